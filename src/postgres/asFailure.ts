import { Failure, type FailureDetails, Interrupted } from '../report/errors.ts';
import { classify, describe, meaningOf } from './sqlstate.ts';

/**
 * Connections break at any statement, and servers go away under it: also where nothing more exact can be said, that is
 * no defect of this program, and does not stop the other databases of the spec. Everything else is returned as it is.
 */
export function asFailure(error: unknown, database?: string): unknown {
  if (error instanceof Failure || error instanceof Interrupted || classify(error) === 'permanent') return error;
  return new Failure(
    {
      kind: 'failed',
      what: `The run was broken off: ${meaningOf(error) ?? 'a server or the network failed'}`,
      database,
      cause: describe(error, { detail: false }),
      next: 'Run again: what is done is kept, and the rest is done then',
    },
    { cause: error },
  );
}

/** Does something; where it fails, in these words, with what PostgreSQL said as the cause. */
export async function failingWith<Result>(
  words: Omit<FailureDetails, 'cause'>,
  body: () => Promise<Result>,
): Promise<Result> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Failure || error instanceof Interrupted) throw error;
    throw new Failure({ ...words, cause: describe(error) }, { cause: error });
  }
}
