import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import type { Problem } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { parameterName } from './parameter.ts';

/**
 * Settings of a database, or of the superuser, with which Citus' own connections between the nodes no longer do what
 * they are for. This program's sessions start neutral; those that Citus opens as the same role start as the server says.
 */
export interface ObservedHarmfulSetting {
  /** null: of all roles. */
  readonly role: string | null;
  readonly inDatabase: boolean;
  readonly name: string;
  readonly value: string;
  /** Of a list of libraries: one of them has no file, so that no session starts. */
  readonly missing: boolean;
}

interface Harm {
  readonly isHarmless: (value: string) => boolean;
  readonly why: string;
}

const IS_ON = (value: string) => /^(?:on|t(?:r(?:u(?:e)?)?)?|y(?:e(?:s)?)?|1)$/i.test(value);
const NEVER = () => false;
const NOT_FOUND = 'extensions and libraries are looked for elsewhere than the server has them';

const HARMFUL: ReadonlyMap<string, Harm> = new Map([
  ['citus.enable_metadata_sync', { isHarmless: IS_ON, why: 'workers would not learn what the coordinator creates' }],
  [
    'citus.hide_citus_dependent_objects',
    { isHarmless: (value) => !IS_ON(value), why: "Citus' own queries on the catalogs would fail" },
  ],
  // In milliseconds; the default is 30 seconds.
  [
    'citus.node_connection_timeout',
    { isHarmless: (value) => !/^\d{1,3}(?:ms)?$/.test(value), why: 'no connection is opened in so short a time' },
  ],
  ['extension_destdir', { isHarmless: (value) => value === '', why: NOT_FOUND }],
  ['extension_control_path', { isHarmless: NEVER, why: NOT_FOUND }],
]);

/** Without a superuser's word to the contrary, sessions load these when they start, or end. */
const LIBRARIES: ReadonlyMap<string, string> = new Map([
  ['session_preload_libraries', '/'],
  // Below the folder of libraries (PostgreSQL documentation, local_preload_libraries).
  ['local_preload_libraries', '/plugins/'],
]);

/** SET x TO '' stores one empty name (PostgreSQL: flatten_set_variable_args()). Names with a path are not judged, nor those that are looked for elsewhere than in the server's own folder. */
const MISSING = `coalesce(pg_catalog.current_setting('dynamic_library_path') = '$libdir' AND EXISTS (
        SELECT FROM pg_catalog.regexp_split_to_table(found.value, ',') item,
             LATERAL (SELECT pg_catalog.btrim(item, ' "') AS name) library,
             (SELECT setting || CASE pg_catalog.lower(found.name) ${[...LIBRARIES]
               .map(([name, folder]) => `WHEN '${name}' THEN '${folder}'`)
               .join(' ')} END AS folder FROM pg_catalog.pg_config WHERE name = 'PKGLIBDIR') place
        WHERE pg_catalog.btrim(item) <> '' AND library.name !~ '/' AND place.folder IS NOT NULL
          AND (library.name = ''
            OR pg_catalog.pg_stat_file(place.folder || library.name || '.so', true) IS NULL
              AND pg_catalog.pg_stat_file(place.folder || library.name || '.dylib', true) IS NULL
              AND pg_catalog.pg_stat_file(place.folder || library.name, true) IS NULL)), false)`;

export function observeHarmfulSettings(database: string): Fragment {
  return {
    key: 'harmfulSettings',
    value: jsonRows(`
      SELECT found.*, ${MISSING} AS missing FROM (
      SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END AS role, s.setdatabase <> 0 AS "inDatabase",
             pg_catalog.split_part(entry, '=', 1) AS name, pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1) AS value
      FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) entry
      WHERE (s.setdatabase = 0 OR d.datname::pg_catalog.text = ${quoteLiteral(database)})
        AND (s.setrole = 0 OR pg_catalog.pg_get_userbyid(s.setrole) = current_user)
        AND pg_catalog.lower(pg_catalog.split_part(entry, '=', 1)) = ANY (${textArray([...HARMFUL.keys(), ...LIBRARIES.keys()])})
      ) found ORDER BY 1, 2, 3`),
  };
}

/** Declared settings of the database that let nobody in as they are: corrected before anything else is done inside. */
export function lockingParameters(
  { parameters }: DatabaseSpec,
  observed: readonly ObservedHarmfulSetting[],
): Readonly<Record<string, string>> {
  const locking = observed.filter(({ role, inDatabase, missing }) => missing && inDatabase && role === null);
  return Object.fromEntries(
    Object.entries(parameters).filter(([name]) => locking.some((setting) => setting.name === name.toLowerCase())),
  );
}

/** Asked before anything is made. */
export function harmfulSettingProblems(
  wanted: DatabaseSpec,
  observed: readonly ObservedHarmfulSetting[],
  label: string,
): readonly Problem[] {
  const corrected = Object.keys(lockingParameters(wanted, observed)).map((name) => name.toLowerCase());
  return observed.flatMap((setting): readonly Problem[] => {
    const { role, inDatabase, name, value, missing } = setting;
    const place = placeOf(role, inDatabase, wanted.name);
    if (missing && !(inDatabase && role === null && corrected.includes(name))) {
      return [
        {
          kind: 'refused',
          what: `Setting '${name}' of ${place.words} lets nobody log in: the server has no library for '${value}'`,
          node: label,
          next: `On that node: ALTER ${place.sql} RESET ${parameterName(name)}; or install the library`,
        },
      ];
    }
    const harm = HARMFUL.get(name.toLowerCase());
    if (harm === undefined || harm.isHarmless(value)) return [];
    return [
      {
        kind: 'refused',
        what: `Setting '${name}' of ${place.words} is '${value}', which acts on connections between the nodes: ${harm.why}`,
        node: label,
        next: `On that node: ALTER ${place.sql} RESET ${parameterName(name)}`,
      },
    ];
  });
}

/** The same of what the spec declares. */
export function harmfulParameterProblems({ parameters }: DatabaseSpec): readonly Problem[] {
  return Object.entries(parameters).flatMap(([name, value]): readonly Problem[] => {
    const harm = HARMFUL.get(name.toLowerCase());
    if (harm === undefined || harm.isHarmless(value)) return [];
    return [
      {
        kind: 'invalid',
        what: `Parameter '${name}' with the value '${value}' cannot belong to a database with Citus: ${harm.why}`,
        next: 'Take it out of `parameters`',
      },
    ];
  });
}

function placeOf(role: string | null, inDatabase: boolean, name: string) {
  const database = `DATABASE ${quoteIdentifier(name)}`;
  if (role === null) {
    return inDatabase ? { words: `database '${name}'`, sql: database } : { words: 'all roles', sql: 'ROLE ALL' };
  }
  const sql = `ROLE ${quoteIdentifier(role)}`;
  return inDatabase
    ? { words: `role '${role}' in database '${name}'`, sql: `${sql} IN ${database}` }
    : { words: `role '${role}'`, sql };
}
