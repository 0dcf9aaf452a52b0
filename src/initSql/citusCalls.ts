import { relationIn } from './relationName.ts';
import { isTree, stringOf, textOf } from './tree.ts';

/** Functions of Citus that make a table into one of another kind, and so copy its rows. Their first argument is the table. */
const CONVERTING: ReadonlySet<string> = new Set([
  ...['create_distributed_table', 'create_distributed_table_concurrently', 'create_reference_table'],
  ...['create_citus_local_table', 'citus_add_local_table_to_metadata', 'undistribute_table'],
  ...['alter_distributed_table', 'alter_table_set_access_method', 'update_distributed_table_colocation'],
  'truncate_local_data_after_distributing_table',
]);

/** Those of time partitions compute their other arguments. */
const OF_PARTITIONS: ReadonlySet<string> = new Set([
  ...['create_time_partitions', 'drop_old_time_partitions', 'alter_old_partitions_set_access_method'],
]);

/** What keeps to the table that it names, or only tells something. Any other function of Citus is refused (othersCode.ts). */
export const KEEP_TO_NAMED: readonly string[] = [
  ...CONVERTING,
  ...OF_PARTITIONS,
  ...['create_distributed_function', 'get_missing_time_partition_ranges', 'time_partition_range'],
  ...['citus_version', 'citus_get_active_worker_nodes', 'master_get_active_worker_nodes', 'citus_is_coordinator'],
  ...['citus_coordinator_nodeid', 'citus_nodename_for_nodeid', 'citus_nodeport_for_nodeid', 'citus_backend_gpid'],
  ...['citus_relation_size', 'citus_table_size', 'citus_total_relation_size', 'citus_check_cluster_node_health'],
  ...['get_shard_id_for_distribution_column', 'column_to_column_name', 'shard_name', 'citus_set_coordinator_host'],
  // By the names of PostgreSQL's own.
  ...['pg_cancel_backend', 'pg_terminate_backend', 'any_value'],
];

/** Why a call of such a function reaches tables that the statement does not name. */
export function beyondNamedTable(value: unknown): string | undefined {
  if (Array.isArray(value)) return firstOf(value);
  if (!isTree(value)) return undefined;
  // Of SELECT and of CALL.
  return ofCall(value['funcname'], value['args']) ?? firstOf(Object.values(value));
}

function firstOf(values: readonly unknown[]): string | undefined {
  for (const value of values) {
    const found = beyondNamedTable(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

function ofCall(names: unknown, given: unknown): string | undefined {
  const name = Array.isArray(names) ? stringOf(names.at(-1)) : undefined;
  if (name === undefined || !(CONVERTING.has(name) || OF_PARTITIONS.has(name))) return undefined;
  const [table, ...others] = (Array.isArray(given) ? given : []).map(withoutName);
  if (relationIn(constantText(table)) === undefined) {
    return `${name}() is not told as a constant, in the first place, which table it works on`;
  }
  if (OF_PARTITIONS.has(name)) return undefined;
  return others.every(isPlain) ? undefined : `${name}() may reach tables that it does not name (cascade)`;
}

/** `name := value` */
function withoutName(argument: unknown): unknown {
  const named = isTree(argument) ? argument['NamedArgExpr'] : undefined;
  return isTree(named) ? named['arg'] : argument;
}

function constantText(argument: unknown): string | undefined {
  const cast = isTree(argument) ? argument['TypeCast'] : undefined;
  const value = isTree(cast) ? cast['arg'] : argument;
  const constant = isTree(value) ? value['A_Const'] : undefined;
  const text = isTree(constant) ? constant['sval'] : undefined;
  return isTree(text) ? textOf(text['sval']) : undefined;
}

/** Whatever stands for `true` makes the call reach further. */
function isPlain(argument: unknown): boolean {
  const text = constantText(argument);
  if (text !== undefined) return !/^\s*(?:t|tr|tru|true|y|ye|yes|on|1)\s*$/i.test(text);
  const constant = isTree(argument) ? argument['A_Const'] : undefined;
  if (!isTree(constant)) return false;
  const { boolval } = constant;
  return !(isTree(boolval) && boolval['boolval'] === true);
}
