import { quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { HIDE_AUTHINFO } from './authinfo.ts';
import type { Item, Problem } from './change.ts';
import { note } from './change.ts';
import { COLUMNAR, type ExtensionContext, type ObservedExtension, withoutPropagation } from './extension.ts';
import { OWN_SCHEMA } from './ownTable.ts';
import { wording } from './wording.ts';

/** citus itself: made where it is missing, updated where the installed library is newer. */
export function diffCitus(observed: readonly ObservedExtension[], context: ExtensionContext): readonly Item[] {
  const { node, label, coordinator } = context;
  const existing = observed.find((extension) => extension.name === 'citus');
  const base = { kind: 'change', node, scope: 'database', secret: false } as const;
  if (existing === undefined) {
    return [
      {
        ...base,
        creates: true,
        ...wording('create', 'extension citus'),
        // Before Citus is there, which would carry the schema to other nodes; and before anybody can take its name.
        statements: [`CREATE SCHEMA IF NOT EXISTS ${OWN_SCHEMA}`, 'CREATE EXTENSION citus', HIDE_AUTHINFO].map(
          (text) => ({
            text,
          }),
        ),
        ...(coordinator ? {} : { starting: `Enabling Citus extension on ${label}...` }),
        ...(coordinator ? { done: 'Citus extension enabled on coordinator!' } : {}),
        failure: coordinator ? 'Failed to create extension citus' : 'Failed to create extension citus on worker',
        doneOnRetry: [SQLSTATE.duplicateObject],
      },
    ];
  }
  if (context.citusVersion !== undefined && isNewer(context.citusVersion, existing.version)) {
    return [
      {
        ...base,
        ...wording('update', `extension citus from ${existing.version} to ${context.citusVersion}`),
        statements: withoutPropagation(`ALTER EXTENSION citus UPDATE TO ${quoteLiteral(context.citusVersion)}`),
        starting: `Updating Citus extension on ${label} from ${existing.version} to ${context.citusVersion}...`,
        failure: 'Failed to update extension citus',
        doneOnRetry: [],
      },
    ];
  }
  return [note(`Citus extension ${existing.version} already exists on ${coordinator ? 'coordinator' : label}`)];
}

/** citus_columnar is released with citus and checks its version as citus does; where it is there it follows. */
export function diffColumnar(observed: readonly ObservedExtension[], context: ExtensionContext): readonly Item[] {
  const { node, label, columnarVersion } = context;
  const existing = observed.find((extension) => extension.name === COLUMNAR);
  if (existing === undefined || columnarVersion === undefined || !isNewer(columnarVersion, existing.version)) return [];
  return [
    {
      ...{ kind: 'change', node, scope: 'database', secret: false, doneOnRetry: [] },
      ...wording('update', `extension ${COLUMNAR} from ${existing.version} to ${columnarVersion}`),
      statements: withoutPropagation(`ALTER EXTENSION ${COLUMNAR} UPDATE TO ${quoteLiteral(columnarVersion)}`),
      starting: `Updating extension ${COLUMNAR} on ${label} from ${existing.version} to ${columnarVersion}...`,
      failure: `Failed to update extension ${COLUMNAR}`,
    },
  ];
}

/** Citus refuses to work with an extension that is newer than its library (Citus: citus.enable_version_checks). */
export function citusProblems(
  observed: readonly ObservedExtension[],
  citusVersion: string | null,
  label: string,
): readonly Problem[] {
  const existing = observed.find((extension) => extension.name === 'citus');
  if (existing === undefined || citusVersion === null || !isNewer(existing.version, citusVersion)) return [];
  return [
    {
      kind: 'refused',
      what: `Extension citus is ${existing.version}, newer than the Citus ${citusVersion} that is installed on the server`,
      node: label,
      next: 'Give the node its newer image back; this program never takes citus back to an older version',
    },
  ];
}

/** Versions such as 13.2-1, compared number by number. */
export function isNewer(version: string, than: string): boolean {
  const numbers = (text: string) => text.split(/[.-]/).map(Number);
  const other = numbers(than);
  for (const [index, number] of numbers(version).entries()) {
    const difference = number - (other[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

/** In a database that nobody looked at yet. */
export const CITUS_VERSION = `SELECT extversion AS version FROM pg_catalog.pg_extension WHERE extname = 'citus'`;
