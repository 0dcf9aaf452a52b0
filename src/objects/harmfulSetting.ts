import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import type { Problem } from './change.ts';
import {
  type Fragment,
  isCut,
  jsonRows,
  NO_ROWS,
  SETTING_NAME,
  SETTING_VALUE,
  TOO_LONG_TO_READ,
  textArray,
} from './observe.ts';
import { lookUp, parameterName } from './parameter.ts';
import { LIBRARIES, MISSING } from './preloadLibraries.ts';
import { isHealed } from './setting.ts';

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
  /** Of the superuser and the database; what a user of the database has is that user's own. */
  readonly ofSuperuser?: true;
  /** What to declare in its place. */
  readonly instead?: string;
}

const IS_ON = (value: string) => /^(?:on|t(?:r(?:u(?:e)?)?)?|y(?:e(?:s)?)?|1)$/i.test(value);
const IS_OFF = (value: string) => /^(?:off?|f(?:a(?:l(?:s(?:e)?)?)?)?|no?|0)$/i.test(value);
const NEVER = () => false;
const NOT_FOUND = 'extensions and libraries are looked for elsewhere than the server has them';

/** Milliseconds in each unit (PostgreSQL documentation, "Parameter Names and Values"). */
const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** 0 means no limit. A value that is not read here is left to the server. */
function isLongEnough(value: string): boolean {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)$/.exec(value.trim()) ?? [];
  const milliseconds = Number.parseFloat(digits) * (UNITS[unit === '' ? 'ms' : unit] ?? Number.NaN);
  return !(milliseconds > 0 && milliseconds < 1000);
}

const TOO_SHORT: Harm = {
  isHarmless: isLongEnough,
  why: 'those would be ended in the middle of what they do; a second is the least',
};

const READ_ONLY = 'default_transaction_read_only';

const HARMFUL: ReadonlyMap<string, Harm> = new Map<string, Harm>([
  [
    'citus.enable_metadata_sync',
    { isHarmless: IS_ON, why: 'workers would not learn what the coordinator creates', ofSuperuser: true },
  ],
  [
    'citus.hide_citus_dependent_objects',
    { isHarmless: IS_OFF, why: "Citus' own queries on the catalogs would fail", ofSuperuser: true },
  ],
  ['citus.node_connection_timeout', { isHarmless: isLongEnough, why: 'no connection is opened in so short a time' }],
  [
    READ_ONLY,
    {
      isHarmless: IS_OFF,
      why: 'those would be read-only too',
      ofSuperuser: true,
      instead: 'set it for the users who are to read only (`users[].parameters`)',
    },
  ],
  // PostgreSQL 17 and later. Citus hears of dropped tables by an event trigger of its own (Citus: citus_drop_trigger).
  [
    'event_triggers',
    { isHarmless: IS_ON, why: 'Citus would keep the metadata and the shards of tables that are dropped' },
  ],
  ['statement_timeout', TOO_SHORT],
  ['transaction_timeout', TOO_SHORT],
  ['idle_in_transaction_session_timeout', TOO_SHORT],
  ['idle_session_timeout', TOO_SHORT],
  ['extension_destdir', { isHarmless: (value) => value === '', why: NOT_FOUND, ofSuperuser: true }],
  ['extension_control_path', { isHarmless: NEVER, why: NOT_FOUND, ofSuperuser: true }],
]);

export function observeHarmfulSettings(database: string, users: readonly string[]): Fragment {
  const harmful = `pg_catalog.lower(${SETTING_NAME}) = ANY (${textArray([...HARMFUL.keys(), ...LIBRARIES.keys()])})`;
  return {
    key: 'harmfulSettings',
    when: `EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) entry WHERE ${harmful})`,
    otherwise: NO_ROWS,
    value: jsonRows(`
      SELECT found.*, ${MISSING} AS missing FROM (
      SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END AS role, s.setdatabase <> 0 AS "inDatabase",
             ${SETTING_NAME} AS name, ${SETTING_VALUE} AS value
      FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) entry
      WHERE (s.setdatabase = 0 OR d.datname::pg_catalog.text = ${quoteLiteral(database)})
        AND (s.setrole = 0
          OR pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text = ANY (${textArray(users)} || current_user::pg_catalog.text))
        AND ${harmful}
      ) found ORDER BY 1, 2, 3`),
  };
}

/** Declared settings of the database with which nothing can be done inside as they are: corrected before all else. */
export function lockingParameters(
  database: DatabaseSpec,
  observed: readonly ObservedHarmfulSetting[],
): Readonly<Record<string, string>> {
  const locking = observed.filter(
    (setting) =>
      setting.inDatabase &&
      setting.role === null &&
      (setting.missing || isCut(setting.value) || harmOf(database, setting) !== undefined),
  );
  return Object.fromEntries(
    Object.entries(database.parameters).filter(([name]) => locking.some((setting) => isNamed(setting, name))),
  );
}

function isNamed(setting: ObservedHarmfulSetting, name: string): boolean {
  return setting.name.toLowerCase() === name.toLowerCase();
}

function harmOf({ users }: DatabaseSpec, { role, name, value }: ObservedHarmfulSetting): Harm | undefined {
  const harm = HARMFUL.get(name.toLowerCase());
  if (harm === undefined || (harm.isHarmless(value) && !isCut(value))) return undefined;
  return harm.ofSuperuser === true && users.some((user) => user.name === role) ? undefined : harm;
}

/** Asked before anything is made. On a worker, what is healed there (setting.ts) is left out. */
export function harmfulSettingProblems(
  wanted: DatabaseSpec,
  observed: readonly ObservedHarmfulSetting[],
  node: { readonly label: string; readonly isWorker: boolean },
): readonly Problem[] {
  const corrected = Object.keys(lockingParameters(wanted, observed));
  return observed.flatMap((setting): readonly Problem[] => {
    const { role, inDatabase, name, value, missing } = setting;
    if (inDatabase && role === null && corrected.some((parameter) => isNamed(setting, parameter))) return [];
    const place = placeOf(role, inDatabase, wanted.name);
    const next = `On that node: ALTER ${place.sql} RESET ${parameterName(name)}`;
    const base = { kind: 'refused', node: node.label } as const;
    if (isCut(value)) {
      if (node.isWorker && isHealed(wanted, setting)) return [];
      return [
        {
          ...base,
          what: `Setting '${name}' of ${place.words} is ${TOO_LONG_TO_READ}, and it acts on connections between the nodes`,
          next,
        },
      ];
    }
    if (missing) {
      return [
        {
          ...base,
          what: `Setting '${name}' of ${place.words} lets nobody log in: the server has no library for '${value}'`,
          next: `${next}; or install the library`,
        },
      ];
    }
    if (node.isWorker && isHealed(wanted, setting)) return [];
    const harm = harmOf(wanted, setting);
    if (harm !== undefined) {
      return [
        {
          ...base,
          what: `Setting '${name}' of ${place.words} is '${value}', which acts on connections between the nodes: ${harm.why}`,
          next,
        },
      ];
    }
    if (!isReadOnlyUser(wanted, setting)) return [];
    return [
      {
        ...base,
        what: `Setting '${name}' of ${place.words} is '${value}': this user of the database could only read`,
        next: `${next}; or declare it in \`users[].parameters\``,
      },
    ];
  });
}

function isReadOnlyUser({ users }: DatabaseSpec, { role, name, value }: ObservedHarmfulSetting): boolean {
  const user = users.find((candidate) => candidate.name === role);
  return (
    user !== undefined &&
    name.toLowerCase() === READ_ONLY &&
    !IS_OFF(value) &&
    lookUp(user.parameters, READ_ONLY) === undefined
  );
}

/** The same of what the spec declares. */
export function harmfulParameterProblems({ parameters, users }: DatabaseSpec): readonly Problem[] {
  return [
    ...harmfulAmong(parameters, 'Take it out of `parameters`'),
    ...users.flatMap((user) =>
      harmfulAmong(user.parameters, 'Take it out of `users[].parameters`', (harm) => harm.ofSuperuser !== true),
    ),
  ];
}

function harmfulAmong(
  parameters: Readonly<Record<string, string>>,
  next: string,
  concerns: (harm: Harm) => boolean = () => true,
): readonly Problem[] {
  return Object.entries(parameters).flatMap(([name, value]): readonly Problem[] => {
    const harm = HARMFUL.get(name.toLowerCase());
    if (harm === undefined || harm.isHarmless(value) || !concerns(harm)) return [];
    return [
      {
        kind: 'invalid',
        what: `Parameter '${name}' with the value '${value}' cannot belong to a database with Citus, since it acts on connections between the nodes: ${harm.why}`,
        next: [next, ...(harm.instead === undefined ? [] : [harm.instead])].join(', and '),
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
