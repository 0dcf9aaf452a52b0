import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';

/** A row of pg_settings for one of the wanted parameters. */
export interface KnownParameter {
  readonly name: string;
  /** pg_settings.context: internal, postmaster, sighup, superuser-backend, backend, superuser or user. */
  readonly context: string;
}

/** `name=value` pairs of pg_db_role_setting for the database and all roles, as an object. */
export type ObservedParameters = Readonly<Record<string, string>>;

export function observeParameters(database: string): Fragment {
  return {
    key: 'parameters',
    value: `(SELECT coalesce(pg_catalog.jsonb_object_agg(
        pg_catalog.split_part(entry, '=', 1), pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1)), '{}')
      FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) entry
      WHERE s.setrole = 0 AND d.datname::pg_catalog.text = ${quoteLiteral(database)})`,
  };
}

export function observeKnownParameters(names: readonly string[]): Fragment {
  return {
    key: 'knownParameters',
    value: jsonRows(`
      SELECT name, context FROM pg_catalog.pg_settings
      WHERE pg_catalog.lower(name) = ANY (${textArray(names.map((name) => name.toLowerCase()))})`),
  };
}

/**
 * Parameters whose value is a list of identifiers: set as one literal, `"a,b"` would become one identifier that
 * contains a comma. The list is that of pg_dump's variable_is_guc_list_quote() (src/bin/pg_dump/dumputils.c).
 */
const IDENTIFIER_LISTS: ReadonlySet<string> = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** Sets what differs. Parameters that the spec does not name stay as they are. */
export function diffParameters(wanted: DatabaseSpec, observed: ObservedParameters, node: NodeSpec): readonly Change[] {
  return Object.entries(wanted.parameters).flatMap(([name, value]): Change[] => {
    if (isServerWide(name)) return [];
    if (lookUp(observed, name) === storedValue(name, value)) return [];
    const shown = value.length > 60 ? `${value.slice(0, 57)}...` : value;
    return [
      {
        kind: 'change',
        node,
        scope: 'server',
        summary: `set parameter ${name} of database ${quoteIdentifier(wanted.name)} to ${quoteLiteral(shown).trim()}`,
        statements: [
          {
            text: `ALTER DATABASE ${quoteIdentifier(wanted.name)} SET ${parameterName(name)} TO ${sqlValue(name, value)}`,
          },
        ],
        failure: `Failed to set parameter ${name}`,
        next: 'Correct the value in `parameters`',
        doneOnRetry: [],
        secret: false,
      },
    ];
  });
}

/** Parameters that a database cannot hold, and why; asked before anything is made. */
export function parameterProblems(wanted: DatabaseSpec, known: readonly KnownParameter[]): readonly Problem[] {
  return Object.keys(wanted.parameters).flatMap((name): Problem[] => {
    if (isServerWide(name)) return [];
    const found = known.find((parameter) => parameter.name.toLowerCase() === name.toLowerCase());
    if (found === undefined) {
      // A name with a dot may belong to a library that is loaded later (PostgreSQL documentation, "Customized Options").
      if (name.includes('.')) return [];
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
function isServerWide(name: string): boolean {
  return name.toLowerCase().startsWith('pg_partman_bgw.');
}

function reason(context: string): string {
  if (context === 'internal') return 'PostgreSQL fixes it itself';
  if (context === 'postmaster') return 'it is set when the server starts';
  if (context === 'sighup') return "it is read from the server's configuration only";
  return 'it can only be set when a connection is opened';
}

/** What pg_db_role_setting holds once the value is set, to compare with. */
export function storedValue(name: string, value: string): string {
  if (!isIdentifierList(name)) return value;
  return splitIdentifierList(value).map(quoteListItem).join(', ');
}

function sqlValue(name: string, value: string): string {
  if (!isIdentifierList(name)) return quoteLiteral(value);
  const items = splitIdentifierList(value);
  return items.length === 0 ? "''" : items.map(quoteLiteral).join(', ');
}

function isIdentifierList(name: string): boolean {
  return IDENTIFIER_LISTS.has(name.toLowerCase());
}

/** Comma-separated, with double quotes as in SplitIdentifierString() (src/backend/utils/adt/varlena.c). */
export function splitIdentifierList(value: string): readonly string[] {
  const items: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/gy;
  while (pattern.lastIndex < value.length) {
    const match = pattern.exec(value);
    if (match === null) break;
    const [, quoted, plain] = match;
    const item = quoted === undefined ? (plain ?? '').trim().toLowerCase() : quoted.replaceAll('""', '"');
    if (item !== '') items.push(item);
  }
  return items;
}

/** quote_identifier(): quotes only where needed (src/backend/utils/adt/ruleutils.c); reserved words are quoted too. */
function quoteListItem(item: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(item) && !RESERVED.has(item) ? item : quoteIdentifier(item);
}

/** The reserved words that somebody might name a schema (PostgreSQL documentation, "SQL Key Words"). */
const RESERVED: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
  char character check coalesce collate collation column concurrently constraint create cross current_catalog
  current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
  desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
  grouping having ilike in initially inner inout int integer intersect interval into is isnull join json_array
  json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
  lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize not
  notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary
  real references returning right row select session_user setof similar smallint some substring symmetric system_user
  table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic
  verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
  xmlroot xmlserialize xmltable`.split(/\s+/),
);

/** Each part of a name such as `citus.shard_count` quoted by itself. */
function parameterName(name: string): string {
  return name.split('.').map(quoteIdentifier).join('.');
}

function lookUp(observed: ObservedParameters, name: string): string | undefined {
  const key = Object.keys(observed).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : observed[key];
}
