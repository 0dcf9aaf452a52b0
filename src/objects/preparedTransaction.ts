import { quoteLiteral } from '../postgres/quote.ts';
import { type Fragment, jsonRows, NO_ROWS } from './observe.ts';

/** A transaction that was prepared for a two-phase commit more than a minute ago, and neither committed nor rolled back. */
export interface PreparedTransaction {
  readonly gid: string;
  readonly owner: string;
  readonly seconds: number;
  /** Sessions that wait for what it holds. */
  readonly waiting: readonly string[];
}

/**
 * On the server. Citus settles its own ones within a minute (Citus documentation, citus.recover_2pc_interval); one that
 * is older was left by somebody else, or by a node that cannot be reached. pg_blocking_pids() has 0 for them.
 */
export function observePreparedTransactions(database: string): Fragment {
  return {
    key: 'preparedTransactions',
    // As a rule there are none, and the function is all that the view reads.
    when: 'EXISTS (SELECT FROM pg_catalog.pg_prepared_xact())',
    otherwise: NO_ROWS,
    value: jsonRows(`
      SELECT x.gid, x.owner, pg_catalog.round(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - x.prepared)) AS seconds,
             (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.format('process %s (%s)', a.pid,
                       pg_catalog.concat_ws(', ', a.usename, NULLIF(a.application_name, ''))) ORDER BY a.pid), '[]')
              FROM pg_catalog.pg_stat_activity a WHERE a.wait_event_type = 'Lock'
                AND 0 = ANY (pg_catalog.pg_blocking_pids(a.pid)) AND EXISTS (
                  SELECT FROM pg_catalog.pg_locks t
                  JOIN pg_catalog.pg_locks h ON h.virtualtransaction = t.virtualtransaction AND h.pid IS NULL AND h.granted
                  JOIN pg_catalog.pg_locks w ON w.pid = a.pid AND NOT w.granted AND w.locktype = h.locktype
                    AND (w.database, w.relation, w.page, w.tuple, w.transactionid, w.classid, w.objid, w.objsubid)
                      IS NOT DISTINCT FROM (h.database, h.relation, h.page, h.tuple, h.transactionid, h.classid, h.objid, h.objsubid)
                  WHERE t.pid IS NULL AND t.locktype = 'transactionid' AND t.transactionid = x.transaction)) AS waiting
      FROM pg_catalog.pg_prepared_xacts x
      WHERE x.database = ${quoteLiteral(database)} AND x.prepared < pg_catalog.clock_timestamp() - interval '1 minute'
      ORDER BY x.prepared`),
  };
}

/** What ends it, either way: only who prepared it knows which. */
export function settlePrepared({ gid }: PreparedTransaction): string {
  const quoted = quoteLiteral(gid);
  return `COMMIT PREPARED ${quoted} or ROLLBACK PREPARED ${quoted}`;
}
