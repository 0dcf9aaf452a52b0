import type { RecordedUnit, SqlPart } from '../initSql/types.ts';
import { type RetryOptions, retryTransient } from '../postgres/retry.ts';
import { statementFailure } from './initSqlFailure.ts';
import type { Run } from './run.ts';

interface Transaction extends Pick<RetryOptions, 'unless' | 'onRetry'> {
  /** In the order in which they are answered: a failure is that of the first without an answer. */
  readonly statements: readonly SqlPart[];
  /** Sends all of it; `onDone` after each statement that succeeded. */
  readonly send: (onDone: () => void) => Promise<void>;
  /** After a failure, whether or not it is tried again. */
  readonly undo: () => Promise<void>;
  /** What failed, in better words than PostgreSQL's. */
  readonly explain?: (error: unknown) => unknown;
}

/** Executes a unit of initSQL in one transaction, again after what passes. */
export async function executeInTransaction(
  run: Run,
  unit: RecordedUnit,
  { statements, send, undo, explain = (error) => error, ...retry }: Transaction,
): Promise<void> {
  await retryTransient(
    async () => {
      let succeeded = 0;
      try {
        await send(() => {
          succeeded += 1;
        });
      } catch (error) {
        await undo();
        const part = statements[succeeded] ?? unit;
        throw statementFailure(run, part, explain(error), { located: succeeded < statements.length });
      }
    },
    { deadline: run.deadline(), signal: run.signal, ...retry },
  );
}
