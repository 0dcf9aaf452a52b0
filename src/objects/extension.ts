import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { ExtensionSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Item } from './change.ts';
import { note } from './change.ts';
import { ONLY_AUTHORS_RIGHTS } from './extensionRights.ts';
import {
  NEXT_NOT_ALONE,
  type PlacedExtension,
  prepareSchema,
  SEARCH_PATH_PUBLIC,
  schemaStatements,
} from './extensionSchema.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { assertNoMistakenNames } from './scriptNames.ts';
import { wording } from './wording.ts';

export interface ObservedExtension {
  readonly name: string;
  readonly version: string;
  readonly schema: string;
}

/** A row of pg_available_extensions. */
export interface AvailableExtension {
  readonly name: string;
  readonly defaultVersion: string;
  /** All that can be installed or updated to where another one than the default is wanted, else the default alone. */
  readonly versions: readonly string[];
  /** false: no update path leads from the present version to the wanted one. */
  readonly reachable?: boolean;
}

/** What is still to be made on a node, or to be updated. */
export interface MissingExtension extends ExtensionSpec {
  /** The version that is there. undefined: none. */
  readonly from?: string;
}

export function observeExtensions(): Fragment {
  return {
    key: 'extensions',
    value: jsonRows(`
      SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace`),
  };
}

/**
 * Reads every control file on the server, so it is asked only where something may have to be made. Versions take 20 ms
 * of the server's CPU, as every script's name is read for them: they are looked up only where the default will not do.
 */
export function observeAvailableExtensions(wanted: readonly MissingExtension[]): Fragment {
  const names = textArray(wanted.map(({ name }) => name));
  const versions = textArray(wanted.map(({ version }) => version ?? ''));
  const sources = textArray(wanted.map(({ from }) => from ?? ''));
  return {
    key: 'availableExtensions',
    value: jsonRows(`
      SELECT a.name, a.default_version AS "defaultVersion",
             CASE WHEN w.version IN ('', a.default_version) THEN pg_catalog.jsonb_build_array(a.default_version)
               ELSE (SELECT coalesce(pg_catalog.jsonb_agg(v.version), '[]') FROM pg_catalog.pg_available_extension_versions v WHERE v.name = a.name)
             END AS versions,
             w.source = '' OR EXISTS (SELECT FROM pg_catalog.pg_extension_update_paths(a.name) p
               WHERE p.source = w.source AND p.target = w.version AND p.path IS NOT NULL) AS reachable
      FROM ROWS FROM (pg_catalog.unnest(${names}), pg_catalog.unnest(${versions}), pg_catalog.unnest(${sources})) AS w(name, version, source)
        JOIN pg_catalog.pg_available_extensions a ON pg_catalog.lower(a.name::pg_catalog.text) = pg_catalog.lower(w.name)`),
  };
}

export interface ExtensionContext {
  readonly node: NodeSpec;
  readonly label: string;
  readonly coordinator: boolean;
  /** On a worker that Citus has registered, plain CREATE EXTENSION is refused: "operation is not allowed on this node". */
  readonly registered: boolean;
  /** Others may have made functions in the database. */
  readonly open?: boolean;
  /** What the coordinator has: there a registered worker gets its extensions from. */
  readonly onCoordinator: readonly ObservedExtension[];
  /** Default version of the installed citus library, where it is known. */
  readonly citusVersion: string | undefined;
  /** Of citus_columnar, which comes with citus. undefined: not known, or a version of it is declared. */
  readonly columnarVersion: string | undefined;
}

/**
 * A worker follows the coordinator: where no version is declared, it gets the coordinator's, not the newest that its
 * image has. Otherwise a worker that joins after the image was updated would differ for good.
 */
export function versionsLikeCoordinator(
  wanted: readonly ExtensionSpec[],
  onCoordinator: readonly ObservedExtension[],
): readonly ExtensionSpec[] {
  return wanted.map((extension) =>
    // It follows the library of the node, as citus does.
    extension.name === COLUMNAR
      ? extension
      : {
          ...extension,
          version: extension.version ?? onCoordinator.find((candidate) => candidate.name === extension.name)?.version,
        },
  );
}

export const COLUMNAR = 'citus_columnar';

/** It has to be made, or updated. */
export function isDue({ version }: ExtensionSpec, existing: ObservedExtension | undefined): boolean {
  return existing === undefined || (version !== undefined && version !== existing.version);
}

/** The declared extensions, in the order of the spec. */
export function diffExtensions(
  wanted: readonly PlacedExtension[],
  observed: readonly ObservedExtension[],
  context: ExtensionContext,
): readonly Item[] {
  const items: Item[] = [];
  const present: string[] = [];
  for (const extension of wanted) {
    const existing = observed.find((candidate) => candidate.name === extension.name);
    if (existing === undefined) {
      // Citus carries what the coordinator creates to the workers it has registered; only what the coordinator has
      // already and the worker lost is mended on the worker itself.
      const carried =
        context.registered && !context.onCoordinator.some((candidate) => candidate.name === extension.name);
      items.push(
        carried
          ? note(`Extension ${extension.name} comes to ${context.label} through the coordinator (Step 4)`)
          : create(extension, context),
      );
      if (carried && extension.alone === true) items.push(prepareSchema(extension, context));
    } else if (extension.version !== undefined && isDue(extension, existing)) {
      const carried =
        context.registered &&
        !context.onCoordinator.some(
          (candidate) => candidate.name === extension.name && candidate.version === extension.version,
        );
      items.push(
        carried
          ? note(`Extension ${extension.name} is updated on ${context.label} through the coordinator (Step 4)`)
          : update(extension.name, existing.version, extension.version, context),
      );
    } else {
      present.push(`${extension.name} ${existing.version}`);
    }
  }
  if (present.length > 0) items.push(note(`Already enabled: ${present.join(', ')}`));
  return items;
}

/** No control file (undefined_file; feature_not_supported from PostgreSQL 16 on), no such version, or no library. */
const NOT_INSTALLED = [SQLSTATE.undefinedFile, SQLSTATE.featureNotSupported, SQLSTATE.invalidParameterValue];

function create(extension: PlacedExtension, context: ExtensionContext): Change {
  const { node, label, coordinator, registered, open = false } = context;
  const options = [
    extension.schema === undefined ? [] : `SCHEMA ${quoteIdentifier(extension.schema)}`,
    extension.version === undefined ? [] : `VERSION ${quoteLiteral(extension.version)}`,
  ].flat();
  const text = [`CREATE EXTENSION ${quoteIdentifier(extension.name)} WITH`, ...options, 'CASCADE'].join(' ');
  // Without SCHEMA, and when the control file fixes none, an extension goes into the first schema of search_path
  // (PostgreSQL documentation, CREATE EXTENSION), which our sessions keep empty.
  const schema = schemaStatements(extension);
  const asserted = open && extension.alone !== true ? assertNoMistakenNames(extension) : [];
  const statements = [...asserted, SEARCH_PATH_PUBLIC, ...schema, text, ...ONLY_AUTHORS_RIGHTS].map((statement) => ({
    text: statement,
  }));
  return {
    kind: 'change',
    node,
    scope: 'database',
    creates: true,
    ...wording(
      'create',
      `extension ${extension.name}${extension.version === undefined ? '' : ` ${extension.version}`}`,
    ),
    statements: registered ? [NO_PROPAGATION, ...statements] : statements,
    starting: coordinator
      ? `- Enabling extension: ${extension.name}`
      : `Enabling extension ${extension.name} on ${label}...`,
    failure: `Failed to create extension ${extension.name}${coordinator ? '' : ' on worker'}`,
    nextOn: {
      ...(extension.alone === true ? NEXT_NOT_ALONE : {}),
      ...Object.fromEntries(
        NOT_INSTALLED.map((code) => [
          code,
          `Install the packages of ${extension.name} in the image of every node, or take it out of \`extensions\``,
        ]),
      ),
    },
    doneOnRetry: [SQLSTATE.duplicateObject],
    batch: 'extensions',
    secret: false,
  };
}

function update(name: string, from: string, to: string, context: ExtensionContext): Change {
  const asserted = context.open === true ? assertNoMistakenNames({ name }) : [];
  const texts = [
    ...asserted,
    `ALTER EXTENSION ${quoteIdentifier(name)} UPDATE TO ${quoteLiteral(to)}`,
    ...ONLY_AUTHORS_RIGHTS,
  ];
  return {
    kind: 'change',
    node: context.node,
    scope: 'database',
    ...wording('update', `extension ${name} from ${from} to ${to}`),
    statements: [...(context.registered ? [NO_PROPAGATION] : []), ...texts.map((text) => ({ text }))],
    starting: `Updating extension ${name} on ${context.label} from ${from} to ${to}...`,
    failure: `Failed to update extension ${name}`,
    next: `Look at pg_extension_update_paths('${name}') for the versions it can go to`,
    doneOnRetry: [],
    secret: false,
  };
}

const NO_PROPAGATION = { text: 'SET LOCAL citus.enable_ddl_propagation = off' } as const;

/** On a worker that Citus has registered: what is done there is done there alone. */
export function withoutPropagation(text: string): Change['statements'] {
  return [NO_PROPAGATION, { text }];
}
