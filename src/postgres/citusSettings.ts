/**
 * Citus' own values: with others, which an owner may give the database, what is made takes a number that is taken, and statements
 * do not end. Until the interval has passed since the machine was started, no connection is opened (Citus: adaptive_executor.c,
 * ShouldWaitForSlowStart(), with lastConnectionOpenTime 0); run_command_on_all_nodes() sleeps for the other between two looks.
 */
export const CITUS_AS_IT_COMES = {
  'citus.next_shard_id': '0',
  'citus.next_placement_id': '0',
  'citus.next_operation_id': '0',
  'citus.next_cleanup_record_id': '0',
  'citus.executor_slow_start_interval': '10',
  'citus.remote_task_check_interval': '10',
} as const;
