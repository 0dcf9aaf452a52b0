import type { Change } from '../objects/change.ts';
import { PIN_SEARCH_PATH } from '../objects/observe.ts';
import { adviceOn } from '../postgres/advice.ts';
import { LONG_MS, type Session } from '../postgres/connection.ts';
import { retryTransient } from '../postgres/retry.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { executeSecretly } from './executeSecretly.ts';
import type { LockLimits, Run } from './run.ts';

/**
 * Carries out one change: again while the error is one that passes, with the deadline in sight. After a lost connection
 * the first attempt may have succeeded unseen; the change names the SQLSTATEs that then mean "done".
 */
export async function executeChange(
  run: Run,
  change: Change,
  log: LineLog,
  deadline: number = run.deadline(),
): Promise<void> {
  await run.assertLock();
  try {
    await retryTransient(
      async (attempt) => {
        const session = await run.session(change);
        await run
          .interruptible(() => executeStatements(run, session, change, run.lockLimits(deadline)))
          .catch(async (error: unknown) => {
            if (attempt === 1 || !change.doneOnRetry.includes(codeOf(error) ?? '')) throw error;
            const { confirm } = change;
            if (confirm !== undefined) await run.interruptible(() => session.script(confirm, run.lockLimits(deadline)));
          });
      },
      {
        deadline,
        signal: run.signal,
        alsoTransient: [...(change.retryOn ?? []), ...madeMeanwhile(change)],
        onRetry: ({ error }) => log.line(`${describe(error, { detail: false })}; trying again`, 2),
      },
    );
  } catch (error) {
    // Within the same time: an error that did not pass for all together is not waited for again with each.
    for (const part of change.oneByOne ?? []) await executeChange(run, part, log, deadline);
    if (change.oneByOne !== undefined) return;
    throw changeFailure(run, change, error);
  }
}

/**
 * What was absent when it was looked for may be there now: a server goes on with the statement of a run that was killed,
 * and its end shows as a duplicate (of an object, or of its row in the catalog when both were under way at once). The
 * second attempt then finds the object. Several changes in one are taken one by one instead: some may still be missing.
 */
function madeMeanwhile(change: Change): readonly string[] {
  if (change.doneOnRetry.length === 0 || change.oneByOne !== undefined) return [];
  return [...change.doneOnRetry, SQLSTATE.uniqueViolation];
}

async function executeStatements(run: Run, session: Session, change: Change, limits: LockLimits): Promise<void> {
  if (change.secret) return await executeSecretly(run, session, change, limits);
  const texts = change.statements.map((statement) => statement.text);
  if (change.separately === true) {
    for (const text of texts) await session.script(text, { ...limits, deadlineMs: LONG_MS });
    return;
  }
  // One simple-protocol message is one implicit transaction (PostgreSQL documentation, "Multiple Statements in a
  // Simple Query"): all or nothing, in one round trip. On the server's side of things (CREATE DATABASE) a statement
  // stands alone, and the session's search_path is pinned already.
  await session.script((change.scope === 'server' ? texts : [PIN_SEARCH_PATH, ...texts]).join(';\n'), {
    ...limits,
    deadlineMs: LONG_MS,
  });
}

function nextStep(change: Change, error: unknown): string {
  const ofCode = change.nextOn?.[codeOf(error) ?? ''];
  return ofCode ?? adviceOn(error) ?? change.next ?? 'Remove the cause and run again: what is done stays done';
}

function changeFailure(run: Run, change: Change, error: unknown): unknown {
  if (error instanceof Failure || error instanceof Interrupted) return error;
  return new Failure(
    {
      kind: change.invalidOn?.includes(codeOf(error) ?? '') === true ? 'invalid' : 'failed',
      what: change.failure,
      node: run.label(change.node),
      database: change.scope === 'database' ? run.database : undefined,
      cause: describe(error, { detail: !change.secret }),
      next: nextStep(change, error),
    },
    { cause: error },
  );
}
