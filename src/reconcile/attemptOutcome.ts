import { poll } from '../concurrency/poll.ts';
import { endAttempt, statusOfAttempt, THERE_ARE_ATTEMPTS } from '../initSql/attempt.ts';
import type { LookupOutcome, UnitKey } from '../initSql/types.ts';
import type { Session } from '../postgres/connection.ts';
import type { Run } from './run.ts';

const PAUSE_MILLISECONDS = 200;

/**
 * What became of a unit that was executed under initSQLRole, by the number of its transaction. One that still runs is
 * that of a run that was killed: whoever calls holds the database's lock. undefined: no number was written down.
 */
export async function outcomeOfAttempt(run: Run, ledger: Session, unit: UnitKey): Promise<LookupOutcome | undefined> {
  const { rows } = await ledger.query<{ readonly attempts: boolean }>(THERE_ARE_ATTEMPTS);
  if (rows[0]?.attempts !== true) return undefined;
  const outcome = await poll(
    async () => {
      const results = await ledger.script<{ readonly status?: string | null }>(statusOfAttempt(unit));
      const found = results.flatMap((result) => result.rows).find((row) => 'status' in row);
      if (found === undefined) return 'unknown';
      if (found.status === 'committed') return 'done';
      if (found.status === 'aborted') return 'notDone';
      if (found.status !== 'in progress') return 'unclear';
      await ledger.script(endAttempt(unit));
      return undefined;
    },
    { everyMs: PAUSE_MILLISECONDS, deadline: run.deadline(), signal: run.signal },
  );
  return outcome === 'unknown' ? undefined : (outcome ?? 'unclear');
}
