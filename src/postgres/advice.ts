import { codeOf } from './sqlstate.ts';
import { SQLSTATE } from './sqlstates.ts';

/**
 * What to do about errors whose cause lies in the server or its surroundings and not in the statement. undefined: the
 * statement itself is to blame, and whoever sent it knows better what to say.
 */
export function adviceOn(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  const known = ADVICE.get(code);
  if (known !== undefined) return known;
  return /^(?:08|57P0)/.test(code) ? UNREACHABLE : undefined;
}

const UNREACHABLE = 'See that every node is up and reaches the others, then run again';
const BUSY = 'Other transactions kept the objects busy until the time was up: see pg_stat_activity, then run again';

const ADVICE: ReadonlyMap<string, string> = new Map([
  [
    SQLSTATE.readOnlySqlTransaction,
    'Nothing can be written there: the server was demoted, or default_transaction_read_only is on for the server, the database or the role. Run again when it accepts writes',
  ],
  [SQLSTATE.serializationFailure, BUSY],
  [SQLSTATE.deadlockDetected, BUSY],
  [
    SQLSTATE.lockNotAvailable,
    'The lock was not free within lock_timeout: see in pg_locks who holds it, or raise lock_timeout, then run again',
  ],
  [SQLSTATE.diskFull, 'Make room on the disk of that node, then run again'],
  [SQLSTATE.outOfMemory, 'The node ran out of memory: lower work_mem or maintenance_work_mem there, then run again'],
  [
    SQLSTATE.tooManyConnections,
    'A node has no connection left: raise max_connections there, or lower citus.max_adaptive_executor_pool_size, then run again',
  ],
  [
    SQLSTATE.queryCanceled,
    'It was cancelled: by statement_timeout, or by an administrator. Raise statement_timeout, then run again',
  ],
]);
