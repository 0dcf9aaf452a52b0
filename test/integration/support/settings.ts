import type pg from 'pg';
import { parameterName, parameterValueSql } from '../../../src/objects/parameter.ts';

/** Every setting that ALTER DATABASE and ALTER ROLE take on this server, with values other than its own. */

export interface Value {
  readonly name: string;
  readonly value: string;
}

export interface Setting {
  readonly name: string;
  /** In the order in which the rounds of the test take them. */
  readonly values: readonly string[];
}

interface SettingsRow {
  readonly name: string;
  readonly vartype: string;
  readonly setting: string;
  readonly min: string | null;
  readonly max: string | null;
  readonly options: readonly string[] | null;
}

/**
 * pg_settings does not show them, yet any session can set them (Citus 13.2 and 14.0: shared_library_init.c,
 * GUC_NO_SHOW_ALL). Those that a version lacks are left out.
 */
const HIDDEN = `
allow_modifications_from_workers_to_replicated_tables allow_nested_distributed_execution allow_unsafe_constraints
allow_unsafe_locks_from_workers check_available_space_before_move copy_switchover_threshold create_object_propagation
enable_alter_database_owner enable_alter_role_propagation enable_alter_role_set_propagation enable_cluster_clock
enable_cost_based_connection_establishment enable_create_type_propagation enable_ddl_propagation
enable_fast_path_router_planner enable_local_fast_path_query_optimization enable_manual_changes_to_shards
enable_metadata_sync enable_non_colocated_router_query_pushdown enable_outer_joins_with_pseudoconstant_quals_pre_pg17
enable_recurring_outer_join_pushdown enable_repartitioned_insert_select enable_router_execution
enable_single_hash_repartition_joins enable_unique_job_ids enable_unsafe_triggers enable_unsupported_feature_messages
enable_version_checks enforce_foreign_key_restrictions enforce_object_restrictions_for_local_objects
executor_slow_start_interval explain_distributed_queries force_max_query_parallelization
function_opens_transaction_block grep_remote_commands hide_citus_dependent_objects hide_shards_from_app_name_prefixes
local_copy_flush_threshold log_intermediate_results log_local_commands log_multi_join_order
max_rebalancer_logged_ignored_moves metadata_sync_mode next_cleanup_record_id next_operation_id next_placement_id
next_shard_id override_table_visibility prevent_incomplete_connection_establishment
propagate_session_settings_for_loopback_connection rebalancer_by_disk_size_base_cost remote_copy_flush_threshold
replicate_reference_tables_on_activate replication_model running_under_citus_test_suite select_opens_transaction_block
skip_advisory_lock_permission_checks sort_returning subquery_pushdown`
  .split(/\s+/)
  .filter((name) => name !== '')
  .map((name) => `citus.${name}`);

/** The greatest of all that are hidden (Citus 13.2: shared_library_init.c). */
const INT_MAX = 2 ** 31 - 1;

/** Left out on purpose; each stands here with its reason. */
export const EXCLUDED: ReadonlyMap<string, string> = new Map([
  [
    'role',
    'another user: initSQL and what may be declared are tested by name (users.test.ts, neutralSessions.test.ts)',
  ],
  ['session_authorization', 'belongs to one session: ALTER DATABASE and ALTER ROLE refuse it'],
  ['seed', 'not a setting but an action: it can only be set within a session'],
  ['transaction_isolation', 'belongs to one transaction'],
  ['transaction_read_only', 'belongs to one transaction'],
  ['transaction_deferrable', 'belongs to one transaction'],
  ['citus.mitmfifo', "a pipe of Citus' own failure tests: whoever opens it waits for a reader"],
  ['citus.isolation_test_session_process_id', "of Citus' own isolation tests, a process id"],
  ['citus.isolation_test_session_remote_process_id', "of Citus' own isolation tests, a process id"],
]);

/** Of the values that no catalog lists, and in the place of a neighbour that says little. */
const CHOSEN: Readonly<Record<string, readonly string[]>> = {
  application_name: ['citus_internal gpid=10000000001'],
  backtrace_functions: ['create_distributed_table'],
  'citus.create_object_propagation': ['deferred', 'automatic'],
  'citus.grep_remote_commands': ['%nothing%'],
  'citus.hide_shards_from_app_name_prefixes': ['*'],
  'citus.local_hostname': ['nowhere.invalid'],
  'citus.metadata_sync_mode': ['nontransactional'],
  'citus.node_connection_timeout': ['10', '60000', '3600000'],
  'citus.replication_model': ['statement', 'streaming'],
  'citus.show_shards_for_app_name_prefixes': ['*'],
  'citus.superuser': ['app'],
  client_encoding: ['LATIN1', 'SQL_ASCII'],
  createrole_self_grant: ['set, inherit'],
  datestyle: ['German', 'SQL, DMY'],
  default_table_access_method: ['columnar', 'nowhere'],
  default_tablespace: ['nowhere'],
  default_text_search_config: ['german'],
  dynamic_library_path: ['/nowhere'],
  extension_control_path: ['/nowhere'],
  extension_destdir: ['/nowhere'],
  idle_in_transaction_session_timeout: ['1', '600000'],
  idle_session_timeout: ['1', '600000'],
  lc_messages: ['C.UTF-8', 'POSIX'],
  lc_monetary: ['C.UTF-8', 'POSIX'],
  lc_numeric: ['C.UTF-8', 'POSIX'],
  lc_time: ['C.UTF-8', 'POSIX'],
  local_preload_libraries: ['nowhere'],
  lock_timeout: ['600000', '1000'],
  output_plugin_libraries: ['nowhere'],
  restrict_nonsystem_relation_kind: ['view, foreign-table'],
  search_path: ['nowhere', 'pg_temp, public'],
  session_preload_libraries: ['nowhere'],
  statement_timeout: ['1', '600000'],
  synchronized_standby_slots: ['nowhere'],
  temp_tablespaces: ['nowhere'],
  timezone: ['Asia/Kathmandu', 'America/St_Johns'],
  timezone_abbreviations: ['Australia', 'India'],
  transaction_timeout: ['1', '600000'],
  wal_consistency_checking: ['all'],
};

export async function settingsOf(client: pg.Client): Promise<readonly Setting[]> {
  const { rows } = await client.query<SettingsRow>(`
    SELECT name, vartype, setting, min_val AS min, max_val AS max, enumvals AS options FROM pg_settings
    WHERE context IN ('user', 'superuser')`);
  const hidden = await Promise.all(
    HIDDEN.map(async (name): Promise<readonly SettingsRow[]> => {
      const { rows: found } = await client.query<{ setting: string | null }>(
        'SELECT current_setting($1, true) AS setting',
        [name],
      );
      const setting = found[0]?.setting ?? null;
      if (setting === null) return [];
      const vartype = /^(?:on|off)$/.test(setting) ? 'bool' : /^\d/.test(setting) ? 'integer' : 'string';
      return [{ name, vartype, setting, min: '1', max: String(INT_MAX), options: null }];
    }),
  );
  return [...rows, ...hidden.flat()]
    .filter(({ name }) => !EXCLUDED.has(name.toLowerCase()))
    .map((row) => ({ name: row.name, values: valuesOf(row).filter((value) => value !== row.setting) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Each value of an enumeration costs a round of the whole test. */
const MOST = 5;

/** Longer enumerations are levels of messages and names alike: the last, the first and one in the middle. */
function someOf(options: readonly string[]): readonly string[] {
  return [options.at(-1), options[0], options[Math.floor(options.length / 2)]].filter((option) => option !== undefined);
}

/** The other of a boolean, each other of an enumeration, the least number, the one next to the present one, the greatest. */
function valuesOf({ name, vartype, setting, min, max, options }: SettingsRow): readonly string[] {
  const chosen = CHOSEN[name.toLowerCase()];
  if (chosen !== undefined) return chosen;
  if (vartype === 'bool') return [setting === 'on' ? 'off' : 'on'];
  if (options !== null) return options.length > MOST ? someOf(options) : options.toReversed();
  // Of a string nothing is known; and debug_discard_caches takes one value only where assertions are off.
  if (vartype === 'string' || (min !== null && min === max)) return [];
  const step = vartype === 'integer' ? 1 : 0.25;
  const present = Number.parseFloat(setting);
  const next = String(max !== null && present + step > Number(max) ? present - step : present + step);
  const greatest = name.startsWith('citus.') ? max : null;
  return [...new Set([min, next, greatest].filter((value) => value !== null))];
}

/** As ALTER DATABASE and ALTER ROLE take it. */
export function assignment({ name, value }: Value): string {
  return `SET ${parameterName(name)} TO ${parameterValueSql(name, value)}`;
}
