import { CITUS_AS_IT_COMES } from '../postgres/citusSettings.ts';
import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { type Fragment, jsonRows, NO_ROWS, SETTING_NAME, settingValue, textArray } from './observe.ts';
import { wording } from './wording.ts';

/** A row of pg_settings for one of the wanted parameters. */
export interface KnownParameter {
  readonly name: string;
  /** pg_settings.context: internal, postmaster, sighup, superuser-backend, backend, superuser or user. */
  readonly context: string;
}

/** What pg_db_role_setting has of the settings that are compared, by name. */
export type ObservedParameters = Readonly<Record<string, string>>;

/** How names are looked up: by the database, and in the sessions of the superuser, whose other settings are Citus' (superuserSetting.ts). */
const ALWAYS_ASKED: readonly string[] = ['role', 'search_path', ...Object.keys(CITUS_AS_IT_COMES)];

/** A condition on `entry`. Every role may set what it likes for itself, thousands of names of its own among it. */
export function isCompared({ parameters, users }: DatabaseSpec): string {
  const declared = [parameters, ...users.map((user) => user.parameters)].flatMap((each) => Object.keys(each));
  const names = new Set([...ALWAYS_ASKED, ...declared].map((name) => name.toLowerCase()));
  return `pg_catalog.lower(${SETTING_NAME}) = ANY (${textArray([...names])})`;
}

/** SQL expression: the whole of what may be as declared. */
export function comparedValue({ parameters, users }: DatabaseSpec): string {
  return settingValue([parameters, ...users.map((user) => user.parameters)].flatMap((each) => Object.values(each)));
}

export function observeParameters(database: DatabaseSpec): Fragment {
  return {
    key: 'parameters',
    value: `(SELECT coalesce(pg_catalog.jsonb_object_agg(${SETTING_NAME}, ${comparedValue(database)}), '{}')
      FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) entry
      WHERE s.setrole = 0 AND d.datname::pg_catalog.text = ${quoteLiteral(database.name)} AND ${isCompared(database)})`,
  };
}

export function observeKnownParameters(names: readonly string[]): Fragment {
  return {
    key: 'knownParameters',
    // What the view pg_settings reads; all settings are written out for it.
    value:
      names.length === 0
        ? NO_ROWS
        : jsonRows(`
      SELECT name, context FROM pg_catalog.pg_show_all_settings()
      WHERE pg_catalog.lower(name) = ANY (${textArray(names.map((name) => name.toLowerCase()))})`),
  };
}

export type ListKind = 'identifiers' | 'files';

/**
 * Parameters whose value is a list of quoted items: set as one literal, `"a,b"` would become one item that contains a
 * comma. The names are those of pg_dump's variable_is_guc_list_quote() (src/bin/pg_dump/dumputils.c) that a database
 * can hold.
 */
const LISTS: ReadonlyMap<string, ListKind> = new Map([
  ['search_path', 'identifiers'],
  ['temp_tablespaces', 'identifiers'],
  ['local_preload_libraries', 'files'],
  ['session_preload_libraries', 'files'],
  ['output_plugin_libraries', 'files'],
]);

/** Of an empty item in them the server would look for the file, and let nobody in. */
const PRELOADED: ReadonlySet<string> = new Set(['local_preload_libraries', 'session_preload_libraries']);

/** What PostgreSQL says of a value that it does not take; undefinedObject: a role, a text search configuration. */
export const WRONG_VALUE: readonly string[] = [
  SQLSTATE.invalidParameterValue,
  SQLSTATE.undefinedObject,
  SQLSTATE.invalidName,
];

/** Sets what differs. Parameters that the spec does not name stay as they are. */
export function diffParameters(wanted: DatabaseSpec, observed: ObservedParameters, node: NodeSpec): readonly Change[] {
  return Object.entries(wanted.parameters).flatMap(([name, value]): Change[] => {
    if (isServerWide(name)) return [];
    const stored = lookUp(observed, name);
    if (isSet(name, stored, value)) return [];
    return [
      {
        kind: 'change',
        node,
        scope: 'server',
        ...wording(
          'set',
          `parameter ${name} of database ${quoteIdentifier(wanted.name)} to ${quoteLiteral(shortened(value)).trim()}`,
        ),
        statements: [
          {
            text: `ALTER DATABASE ${quoteIdentifier(wanted.name)} ${setParameter(name, value)}`,
          },
        ],
        failure: `Failed to set parameter ${name}`,
        next: 'Correct the value in `parameters`',
        doneOnRetry: [],
        invalidOn: WRONG_VALUE,
        batch: 'parameters',
        secret: false,
      },
    ];
  });
}

/** A value as a message shows it. */
export function shortened(value: string): string {
  return value.length > 60 ? `${value.slice(0, 57)}...` : value;
}

/** pg_settings does not show it, yet ALTER DATABASE and ALTER ROLE take it (PostgreSQL: guc_tables.c, GUC_NO_SHOW_ALL). */
const UNLISTED: ReadonlySet<string> = new Set(['role']);

/** Parameters that a database cannot hold, and why; asked before anything is made. */
export function parameterProblems(wanted: DatabaseSpec, known: readonly KnownParameter[]): readonly Problem[] {
  return Object.keys(wanted.parameters).flatMap((name): Problem[] => {
    if (isServerWide(name)) return [];
    const found = known.find((parameter) => parameter.name.toLowerCase() === name.toLowerCase());
    if (found === undefined) {
      // A name with a dot may belong to a library that is loaded later (PostgreSQL documentation, "Customized Options").
      if (name.includes('.') || UNLISTED.has(name.toLowerCase())) return [];
      return [
        {
          kind: 'invalid',
          what: `Parameter '${name}' is unknown to this PostgreSQL`,
          next: 'Correct its name in `parameters`',
        },
      ];
    }
    if (found.context === 'user' || found.context === 'superuser') return [];
    return [
      {
        kind: 'invalid',
        what: `Parameter '${name}' cannot belong to a database: ${reason(found.context)}`,
        next: 'Take it out of `parameters` and set it for the servers (patroni.postgresql.parameters in the chart)',
      },
    ];
  });
}

/** Things worth knowing about parameters that do not stop a run. */
export function parameterWarnings(wanted: DatabaseSpec): readonly string[] {
  return Object.entries(wanted.parameters).flatMap(([name, value]) => {
    if (isServerWide(name)) {
      return [
        `Parameter '${name}' was not set: pg_partman's background worker reads it from the server's configuration, a database cannot hold it; put it into patroni.postgresql.parameters`,
      ];
    }
    if (name.toLowerCase() === 'statement_timeout' && !/^0+[a-z]*$/.test(value)) {
      return [
        `Parameter 'statement_timeout' of a database also ends Citus' own long statements, shard moves among them`,
      ];
    }
    return [];
  });
}

/**
 * pg_partman's background worker runs outside any one database and reads its settings from the server: ALTER DATABASE
 * fails when the library is preloaded, and is kept without effect when it is not.
 */
export function isServerWide(name: string): boolean {
  return name.toLowerCase().startsWith('pg_partman_bgw.');
}

function reason(context: string): string {
  if (context === 'internal') return 'PostgreSQL fixes it itself';
  if (context === 'postmaster') return 'it is set when the server starts';
  if (context === 'sighup') return "it is read from the server's configuration only";
  return 'it can only be set when a connection is opened';
}

/**
 * Whether pg_db_role_setting holds the wanted value already. A list is kept with the quotes that quote_identifier()
 * finds necessary, which depends on the server's key words: so both are read as lists. `""` is the empty list.
 */
export function isSameValue(name: string, stored: string, wanted: string): boolean {
  const kind = LISTS.get(name.toLowerCase());
  if (kind === undefined) return stored === wanted;
  const storedItems = splitList(stored, kind);
  const wantedItems = splitList(wanted, kind);
  return storedItems.length === wantedItems.length && storedItems.every((item, index) => item === wantedItems[index]);
}

/** Whether the database, or the role, has the wanted value. */
export function isSet(name: string, stored: string | undefined, wanted: string): boolean {
  if (stored === undefined) return isNoLibrary(name, wanted);
  return isNoLibrary(name, wanted) ? false : isSameValue(name, stored, wanted);
}

/** The end of ALTER DATABASE and ALTER ROLE. */
export function setParameter(name: string, value: string): string {
  // SET … TO '' would store one library without a name, and nobody could log in any more.
  if (isNoLibrary(name, value)) return `RESET ${parameterName(name)}`;
  return `SET ${parameterName(name)} TO ${parameterValueSql(name, value)}`;
}

function isNoLibrary(name: string, value: string): boolean {
  return PRELOADED.has(name.toLowerCase()) && splitList(value, 'files').length === 0;
}

/** The value as ALTER DATABASE SET takes it. */
export function parameterValueSql(name: string, value: string): string {
  const kind = LISTS.get(name.toLowerCase());
  if (kind === undefined) return quoteLiteral(value);
  const items = splitList(value, kind);
  return items.length === 0 ? "''" : items.map(quoteLiteral).join(', ');
}

/** The declared settings as a session can start with them: what new sessions have once Step 8 is done. */
export function sessionSettings(wanted: DatabaseSpec): Readonly<Record<string, string>> {
  const own = Object.entries(wanted.parameters).filter(([name]) => !isServerWide(name));
  return Object.fromEntries(own.map(([name, value]) => [name, startupValue(name, value)]));
}

/** A list in the startup message is one text, each item in quotes of its own. */
function startupValue(name: string, value: string): string {
  const kind = LISTS.get(name.toLowerCase());
  return kind === undefined ? value : splitList(value, kind).map(quoteIdentifier).join(', ');
}

/**
 * Comma-separated, with double quotes. Of identifiers that are not quoted PostgreSQL lowers the letters A to Z and, in
 * UTF-8, no others (SplitIdentifierString(), src/backend/utils/adt/varlena.c); file names keep theirs
 * (SplitDirectoriesString(), same file).
 */
export function splitList(value: string, kind: ListKind): readonly string[] {
  const items: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/gy;
  while (pattern.lastIndex < value.length) {
    const match = pattern.exec(value);
    if (match === null) break;
    const [, quoted, plain] = match;
    const item = quoted === undefined ? unquoted((plain ?? '').trim(), kind) : quoted.replaceAll('""', '"');
    if (item !== '') items.push(item);
  }
  return items;
}

function unquoted(item: string, kind: ListKind): string {
  return kind === 'files' ? item : item.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Each part of a name such as `citus.shard_count` quoted by itself. */
export function parameterName(name: string): string {
  return name.split('.').map(quoteIdentifier).join('.');
}

export function lookUp(observed: ObservedParameters, name: string): string | undefined {
  const key = Object.keys(observed).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : observed[key];
}
