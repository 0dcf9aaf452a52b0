import pRetry from 'p-retry';
import { classify, codeOf } from './sqlstate.ts';

export interface RetryOptions {
  /** By performance.now(), which the system's clock does not move: after it no attempt starts. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  /** SQLSTATEs that are worth another attempt here, beside those that always are. */
  readonly alsoTransient?: readonly string[] | undefined;
  /** Errors that are not worth another attempt here, whatever their code says. */
  readonly unless?: ((error: Error) => boolean) | undefined;
  /** Called before each wait, with the error that makes another attempt necessary. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

export interface RetryEvent {
  readonly error: Error;
  /** Attempts made so far. */
  readonly attempt: number;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;

/**
 * Runs an action until it succeeds. Only transient errors (sqlstate.ts) are worth another attempt, and only until the
 * deadline; then the last error is thrown as it is. Delays double from a quarter of a second to five seconds, with
 * some chance in them so that parallel runs do not collide again.
 */
export async function retryTransient<T>(action: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  return pRetry(action, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: FIRST_DELAY_MS,
    maxTimeout: LONGEST_DELAY_MS,
    factor: 2,
    randomize: true,
    maxRetryTime: Math.max(0, options.deadline - performance.now()),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    shouldRetry: ({ error, attemptNumber }) => {
      const worth = classify(error) === 'transient' || options.alsoTransient?.includes(codeOf(error) ?? '') === true;
      if (!worth || options.unless?.(error) === true) return false;
      options.onRetry?.({ error, attempt: attemptNumber });
      return true;
    },
  });
}
