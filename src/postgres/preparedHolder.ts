import type { Session } from './connection.ts';
import { type HolderRow, holderOf, type LockHolder, type LockKey, SAME_KEY } from './lockHolder.ts';
import { quoteLiteral } from './quote.ts';
import { codeOf } from './sqlstate.ts';
import { SQLSTATE } from './sqlstates.ts';

/**
 * A transaction that was prepared keeps its advisory locks, without a session, also when the server starts again (PostgreSQL
 * documentation, PREPARE TRANSACTION). Whoever may connect can prepare one, where Citus is: it raises max_prepared_transactions. In
 * pg_locks its row has no process, and the lock on its own transaction id stands beside it.
 */
interface PreparedRow extends HolderRow {
  readonly gid: string;
  /** Who asks is a superuser, and who prepared it is none. */
  readonly may_end: boolean;
}

const HOLDERS = `SELECT DISTINCT 0 AS pid, x.gid, coalesce(x.owner, 'nobody') AS role, NULL AS application_name, NULL AS client_addr, x.prepared AS since,
          NOT coalesce(r.rolsuper, false) AND EXISTS (SELECT FROM pg_roles s WHERE s.rolname = session_user AND s.rolsuper) AS may_end
     FROM pg_locks l
     JOIN pg_locks t ON t.virtualtransaction = l.virtualtransaction AND t.pid IS NULL AND t.locktype = 'transactionid'
     JOIN pg_prepared_xacts x ON x.transaction = t.transactionid LEFT JOIN pg_roles r ON r.rolname = x.owner
    WHERE ${SAME_KEY} AND l.pid IS NULL`;

/** No run prepares its lock: whoever is no superuser has done that to hold runs up. What is left is named. */
export async function rollBackPrepared(
  session: Session,
  lock: LockKey,
): Promise<{ readonly ended: readonly LockHolder[]; readonly left: LockHolder | undefined }> {
  const { rows } = await session.query<PreparedRow>(HOLDERS, [lock.key]);
  const ended: LockHolder[] = [];
  for (const row of rows.filter(({ may_end }) => may_end)) {
    try {
      await session.script(`ROLLBACK PREPARED ${quoteLiteral(row.gid)}`);
      ended.push(preparedHolder(row));
    } catch (error) {
      if (!GONE.includes(codeOf(error) ?? '')) throw error;
    }
  }
  const left = rows.find(({ may_end }) => !may_end);
  return { ended, left: left === undefined ? undefined : preparedHolder(left) };
}

/** Its owner has ended it meanwhile, or is doing so. */
const GONE: readonly string[] = [SQLSTATE.undefinedObject, SQLSTATE.objectNotInPrerequisiteState];

function preparedHolder(row: PreparedRow): LockHolder {
  return { ...holderOf(row), gid: row.gid };
}
