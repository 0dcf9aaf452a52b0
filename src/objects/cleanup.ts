import { mayHold } from './held.ts';
import type { Fragment } from './observe.ts';

/** What half-done moves, splits and copies of shards left on one node for Citus to remove. */
export interface Leftovers {
  readonly group: number;
  readonly count: number;
  /** The first of them by name. */
  readonly name: string;
}

/**
 * On the coordinator. Only what failed operations left: what a successful one leaves is dropped a few seconds later by
 * design (Citus: shard_cleaner.h, CLEANUP_DEFERRED_ON_SUCCESS). An operation that is still under way holds a lock on its
 * number (resource_lock.h).
 */
export function observeLeftovers(): Fragment {
  return {
    key: 'leftovers',
    when: `pg_catalog.to_regclass('pg_catalog.pg_dist_cleanup') IS NOT NULL AND ${mayHold('leftovers')}`,
    value: `(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f) ORDER BY f."group"), '[]') FROM (
      SELECT r.node_group_id AS "group", pg_catalog.count(*) AS count, pg_catalog.min(r.object_name) AS name
      FROM pg_catalog.pg_dist_cleanup r
      WHERE r.policy_type IN (${ALWAYS}, ${ON_FAILURE}) AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'advisory' AND l.objsubid = ${OPERATION_LOCK}
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
          AND l.classid::pg_catalog.int8 = r.operation_id >> 32 AND l.objid::pg_catalog.int8 = r.operation_id & 4294967295)
      GROUP BY 1) f)`,
  };
}

const ALWAYS = 0;
const ON_FAILURE = 1;
/** ADV_LOCKTAG_CLASS_CITUS_CLEANUP_OPERATION_ID */
const OPERATION_LOCK = 10;

/** Does at once what Citus' daemon tries again and again. It cannot run in a transaction block. */
export const REMOVE_LEFTOVERS = 'CALL pg_catalog.citus_cleanup_orphaned_resources();';
