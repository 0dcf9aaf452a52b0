import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { type Fragment, isCut, jsonRows, SETTING_NAME, SETTING_VALUE, TOO_LONG_TO_READ, textArray } from './observe.ts';
import { parameterName, parameterValueSql, shortened } from './parameter.ts';
import { wording } from './wording.ts';

/** A setting of the database, of a role, or of a role in the database (pg_db_role_setting). */
export interface ObservedSetting {
  /** null: of all roles. */
  readonly role: string | null;
  /** false: of the role in every database. */
  readonly inDatabase: boolean;
  readonly name: string;
  readonly value: string;
}

/**
 * Settings that decide whether a session can do anything at all: read-only transactions, a limit that ends every
 * statement, a library that cannot be loaded, another role, another search_path.
 */
const DECISIVE: readonly string[] = [
  'default_transaction_read_only',
  'statement_timeout',
  'transaction_timeout',
  'session_preload_libraries',
  'local_preload_libraries',
  'role',
  'search_path',
];

export function observeSettings(database: string, users: readonly string[]): Fragment {
  return {
    key: 'decisiveSettings',
    value: jsonRows(`
      SELECT CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END AS role, s.setdatabase <> 0 AS "inDatabase",
             ${SETTING_NAME} AS name, ${SETTING_VALUE} AS value
      FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) entry
      WHERE (s.setdatabase = 0 OR d.datname::pg_catalog.text = ${quoteLiteral(database)})
        AND (s.setrole = 0 OR pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text = ANY (${textArray(users)}))
        AND ${SETTING_NAME} = ANY (${textArray(DECISIVE)})
      ORDER BY 1, 2, 3`),
  };
}

/** Whether such a setting of a worker becomes the coordinator's. */
export function isHealed({ users }: DatabaseSpec, { role, name }: Pick<ObservedSetting, 'role' | 'name'>): boolean {
  return DECISIVE.includes(name) && (role === null || users.some((user) => user.name === role));
}

/** A worker's decisive settings become the coordinator's, except those that the spec declares. */
export function diffSettings(
  database: DatabaseSpec,
  coordinator: readonly ObservedSetting[],
  observed: readonly ObservedSetting[],
  node: NodeSpec,
): readonly Change[] {
  const differing = differingSettings(database, coordinator, observed).filter(
    // Of it only the beginning was read.
    (setting) => !isCut(valueIn(coordinator, setting) ?? ''),
  );
  return differing.map((setting) => {
    const wanted = valueIn(coordinator, setting);
    const of = scopeOf(database, setting);
    const name = parameterName(setting.name);
    const action = wanted === undefined ? `RESET ${name}` : `SET ${name} TO ${parameterValueSql(setting.name, wanted)}`;
    return {
      ...{ kind: 'change', node, scope: 'server', doneOnRetry: [], secret: false },
      ...(wanted === undefined
        ? wording(
            'reset',
            `${setting.name} of ${of.words}, which is ${shortened(setting.value)} here and not set on the coordinator`,
          )
        : wording(
            'set',
            `${setting.name} of ${of.words} to ${quoteLiteral(shortened(wanted)).trim()}, as on the coordinator`,
          )),
      statements: [{ text: `ALTER ${of.sql} ${action}` }],
      failure: `Failed to set ${setting.name} of ${of.words}`,
    };
  });
}

function differingSettings(
  database: DatabaseSpec,
  coordinator: readonly ObservedSetting[],
  observed: readonly ObservedSetting[],
): readonly ObservedSetting[] {
  return [
    ...observed.filter((setting) => valueIn(coordinator, setting) !== setting.value),
    ...coordinator.filter((setting) => valueIn(observed, setting) === undefined),
  ].filter((setting) => !isDeclared(database, setting));
}

/** What a worker would have to get from the coordinator and cannot, since not the whole of it was read. */
export function settingProblems(
  database: DatabaseSpec,
  coordinator: readonly ObservedSetting[],
  observed: readonly ObservedSetting[],
  node: string,
): readonly Problem[] {
  return differingSettings(database, coordinator, observed)
    .filter((setting) => isCut(valueIn(coordinator, setting) ?? ''))
    .map((setting): Problem => {
      const of = scopeOf(database, setting);
      return {
        kind: 'refused',
        what: `Setting '${setting.name}' of ${of.words} on the coordinator is ${TOO_LONG_TO_READ}, and differs on this worker, which does not get it`,
        node,
        next: `Set it on that worker as on the coordinator (SET citus.enable_ddl_propagation = off; ALTER ${of.sql} SET …), or on the coordinator: ALTER ${of.sql} RESET ${parameterName(setting.name)}`,
      };
    });
}

function valueIn(
  settings: readonly ObservedSetting[],
  { role, inDatabase, name }: ObservedSetting,
): string | undefined {
  return settings.find(
    (candidate) => candidate.role === role && candidate.inDatabase === inDatabase && candidate.name === name,
  )?.value;
}

function isDeclared(database: DatabaseSpec, { role, inDatabase, name }: ObservedSetting): boolean {
  if (!inDatabase) return false;
  const parameters =
    role === null ? database.parameters : database.users.find((user) => user.name === role)?.parameters;
  return Object.keys(parameters ?? {}).some((parameter) => parameter.toLowerCase() === name);
}

function scopeOf({ name }: DatabaseSpec, { role, inDatabase }: ObservedSetting) {
  const database = `database ${quoteIdentifier(name)}`;
  if (role === null) {
    return inDatabase
      ? { words: database, sql: `DATABASE ${quoteIdentifier(name)}` }
      : { words: 'all roles', sql: 'ROLE ALL' };
  }
  const quoted = quoteIdentifier(role);
  return inDatabase
    ? { words: `role ${quoted} in ${database}`, sql: `ROLE ${quoted} IN DATABASE ${quoteIdentifier(name)}` }
    : { words: `role ${quoted}`, sql: `ROLE ${quoted}` };
}
