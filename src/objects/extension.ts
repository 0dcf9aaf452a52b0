import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { ExtensionSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Item, Problem } from './change.ts';
import { note } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
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

/** The declared extensions, in the order of the spec. */
export function diffExtensions(
  wanted: readonly ExtensionSpec[],
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
    } else if (extension.version !== undefined && existing.version !== extension.version) {
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

function create(extension: ExtensionSpec, context: ExtensionContext): Change {
  const { node, label, coordinator, registered } = context;
  const options = [
    extension.schema === undefined ? [] : `SCHEMA ${quoteIdentifier(extension.schema)}`,
    extension.version === undefined ? [] : `VERSION ${quoteLiteral(extension.version)}`,
  ].flat();
  const text = [`CREATE EXTENSION ${quoteIdentifier(extension.name)} WITH`, ...options, 'CASCADE'].join(' ');
  const schema =
    extension.schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(extension.schema)}`];
  // Without SCHEMA, and when the control file fixes none, an extension goes into the first schema of search_path
  // (PostgreSQL documentation, CREATE EXTENSION), which our sessions keep empty.
  const statements = ['SET LOCAL search_path = public', ...schema, text].map((statement) => ({ text: statement }));
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
    nextOn: Object.fromEntries(
      NOT_INSTALLED.map((code) => [
        code,
        `Install the packages of ${extension.name} in the image of every node, or take it out of \`extensions\``,
      ]),
    ),
    doneOnRetry: [SQLSTATE.duplicateObject],
    batch: 'extensions',
    secret: false,
  };
}

function update(name: string, from: string, to: string, context: ExtensionContext): Change {
  const text = `ALTER EXTENSION ${quoteIdentifier(name)} UPDATE TO ${quoteLiteral(to)}`;
  return {
    kind: 'change',
    node: context.node,
    scope: 'database',
    ...wording('update', `extension ${name} from ${from} to ${to}`),
    statements: context.registered ? withoutPropagation(text) : [{ text }],
    starting: `Updating extension ${name} on ${context.label} from ${from} to ${to}...`,
    failure: `Failed to update extension ${name}`,
    next: `Look at pg_extension_update_paths('${name}') for the versions it can go to`,
    doneOnRetry: [],
    secret: false,
  };
}

/** An extension cannot be moved without danger to what uses it, so a wanted schema that differs is refused. */
export function extensionProblems(
  wanted: readonly ExtensionSpec[],
  observed: readonly ObservedExtension[],
  label: string,
): readonly Problem[] {
  return wanted.flatMap((extension): Problem[] => {
    const existing = observed.find((candidate) => candidate.name === extension.name);
    if (existing === undefined || extension.schema === undefined || existing.schema === extension.schema) return [];
    return [
      {
        kind: 'refused',
        what: `Extension ${extension.name} is in schema '${existing.schema}', not in '${extension.schema}'`,
        node: label,
        next: `Declare schema: ${existing.schema}, or move it by hand: ALTER EXTENSION ${quoteIdentifier(extension.name)} SET SCHEMA ${quoteIdentifier(extension.schema)}`,
      },
    ];
  });
}

/** All extensions that a node cannot install, at once. */
export function availabilityProblems(
  wanted: readonly MissingExtension[],
  available: readonly AvailableExtension[],
  label: string,
): readonly Problem[] {
  const missing: string[] = [];
  const problems: Problem[] = [];
  for (const extension of wanted) {
    const found = available.find((candidate) => candidate.name === extension.name);
    const alike = available.find(({ name }) => name.toLowerCase() === extension.name.toLowerCase());
    if (found === undefined && alike !== undefined) problems.push(misspelt(extension.name, alike.name, label));
    else if (found === undefined) missing.push(extension.name);
    else if (extension.version !== undefined && !found.versions.includes(extension.version)) {
      missing.push(`${extension.name} ${extension.version} (it has ${found.versions.toSorted().join(', ')})`);
    } else if (found.reachable === false) problems.push(unreachable(extension, label));
  }
  if (missing.length === 0) return problems;
  return [
    ...problems,
    {
      kind: 'failed',
      what: `Not installed on the server: ${missing.length === 1 ? 'extension' : 'extensions'} ${missing.join(', ')}`,
      node: label,
      next: "Add their packages to the nodes' image (Dockerfile.citus), or take them out of `extensions`",
    },
  ];
}

function misspelt(name: string, actual: string, label: string): Problem {
  return {
    kind: 'invalid',
    what: `Extension '${name}' is called '${actual}': names of extensions are case-sensitive`,
    node: label,
    next: `Declare ${actual} in \`extensions\``,
  };
}

/** As a rule a downgrade: extensions come with scripts for updates only. */
function unreachable({ name, from, version }: MissingExtension, label: string): Problem {
  return {
    kind: 'refused',
    what: `Extension ${name} is at version ${from} and cannot go to ${version}: it has no update path there`,
    node: label,
    next: `Declare version: ${from}, or a later one; SELECT target FROM pg_extension_update_paths('${name}') WHERE source = '${from}' AND path IS NOT NULL lists them`,
  };
}

/**
 * Where the default version is taken, nodes with other packages would end up with other versions: found before anything
 * is made. `catalogues` are those of the nodes that still lack extensions.
 */
export function packageProblems(
  wanted: readonly ExtensionSpec[],
  catalogues: readonly { readonly label: string; readonly available: readonly AvailableExtension[] }[],
): readonly Problem[] {
  return wanted.flatMap((extension): readonly Problem[] => {
    if (extension.version !== undefined) return [];
    const found = catalogues.flatMap(({ label, available }) =>
      available
        .filter((candidate) => candidate.name === extension.name)
        .map(({ defaultVersion }) => ({ label, defaultVersion })),
    );
    if (new Set(found.map(({ defaultVersion }) => defaultVersion)).size < 2) return [];
    const list = found.map(({ label, defaultVersion }) => `${label} ${defaultVersion}`).join(', ');
    return [
      {
        kind: 'failed',
        what: `The packages of extension ${extension.name} have different versions: ${list}`,
        next: 'Give all nodes the same image, or declare a version that each of them has',
      },
    ];
  });
}

const NO_PROPAGATION = { text: 'SET LOCAL citus.enable_ddl_propagation = off' } as const;

/** On a worker that Citus has registered: what is done there is done there alone. */
export function withoutPropagation(text: string): Change['statements'] {
  return [NO_PROPAGATION, { text }];
}
