import { CITUS_AS_IT_COMES } from './citusSettings.ts';

/**
 * Settings that a session starts with. They travel in the startup message and so cost no round trip, and they win over
 * ALTER ROLE SET and ALTER DATABASE SET (PostgreSQL documentation, "Setting Parameters"). Only settings that any user
 * may change are here: one that needs a superuser would lock everybody else out.
 */

/** The server notices within half a minute that this program is gone, and lets its locks go. */
const KEEPALIVES = {
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '30000',
} as const;

/** Whoever owns the database may name a library that is not there, and nobody would get in any more. */
const NO_LIBRARIES = { local_preload_libraries: '' } as const;

/** With other values what is made is unknown on workers, or cannot be looked at any more. */
const REACHES_EVERY_NODE = {
  'citus.enable_metadata_sync': 'on',
  'citus.enable_ddl_propagation': 'on',
  'citus.hide_citus_dependent_objects': 'off',
  exit_on_error: 'off',
} as const;

const PINNED = {
  // an empty path but for the catalog: every other name is written with its schema
  search_path: 'pg_catalog',
  role: 'none',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  default_tablespace: '',
  default_table_access_method: 'heap',
  // What the catalogs say is sorted in memory, whatever temp_file_limit allows.
  work_mem: '16MB',
  hash_mem_multiplier: '2',
  // The planner takes queries of catalogs for enormous ones: to compile one took 8 s, to run it 0.1 s.
  jit: 'off',
  row_security: 'on',
  check_function_bodies: 'on',
  client_min_messages: 'notice',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  quote_all_identifiers: 'off',
  transform_null_equals: 'off',
  array_nulls: 'on',
  bytea_output: 'hex',
  extra_float_digits: '1',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  ...REACHES_EVERY_NODE,
  ...CITUS_AS_IT_COMES,
  'citus.node_connection_timeout': '30000',
  'citus.propagate_set_commands': 'none',
  'citus.enable_schema_based_sharding': 'off',
  'citus.use_citus_managed_tables': 'off',
  'citus.shard_replication_factor': '1',
  'citus.multi_shard_modify_mode': 'parallel',
  'citus.create_object_propagation': 'immediate',
  'citus.override_table_visibility': 'on',
  'citus.enable_manual_changes_to_shards': 'off',
  // With it, Citus copies tables of others behind whatever drops a constraint (guardInitSql.ts).
  'citus.enable_local_reference_table_foreign_keys': 'off',
  'citus.enable_local_execution': 'on',
  'citus.multi_task_query_log_level': 'off',
} as const;

/**
 * The session of initSQL has the user's settings on purpose, save for those with which the ledger cannot be written or no
 * statement ends.
 */
const FOR_LEDGER = {
  ...REACHES_EVERY_NODE,
  ...CITUS_AS_IT_COMES,
  default_transaction_read_only: 'off',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  standard_conforming_strings: 'on',
  // The types of its columns are compared as format_type() writes them.
  quote_all_identifiers: 'off',
} as const;

/** For sessions whose statements may hold a secret, failed ones included. A superuser may set these. */
export const UNLOGGED: Readonly<Record<string, string>> = {
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_transaction_sample_rate: '0',
  log_min_error_statement: 'panic',
  log_min_messages: 'panic',
  // Of extensions that keep statements as they are, where the server has loaded them; elsewhere the names mean nothing.
  'pgaudit.log': 'none',
  'pg_stat_statements.track': 'none',
  'auto_explain.log_min_duration': '-1',
};

export interface StartupSettings {
  /** false: the user's settings hold, as his SQL expects: those given here, and the role's and the database's own. */
  readonly pinned: boolean;
  /** Pinned, but for search_path: what some extensions do to it starts from the database's own value. */
  readonly ownSearchPath?: boolean | undefined;
  /** Further settings; they win over pinned ones. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** The `options` field of the startup message: `-c name=value`, blanks and backslashes escaped (libpq documentation). */
export function startupOptions({ pinned, ownSearchPath, settings }: StartupSettings): string {
  const { search_path, ...others } = PINNED;
  const chosen = ownSearchPath === true ? others : { search_path, ...others };
  const always = { ...KEEPALIVES, ...NO_LIBRARIES, client_encoding: 'UTF8' };
  const all = pinned ? { ...always, ...chosen, ...settings } : { ...settings, ...always, ...FOR_LEDGER };
  return Object.entries(all)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`)
    .join(' ');
}

/** What pg_stat_activity shows, and another run that waits for a lock tells. `database`: the declared one. */
export function applicationName(command: string, database?: string): string {
  return ['citus-databases', command, ...(database === undefined ? [] : [database])].join(' ');
}
