import { pause } from '../concurrency/interrupt.ts';
import { asFailure } from '../postgres/asFailure.ts';

/** As Kubernetes' Job controller does between two pods (Kubernetes documentation, "Pod backoff failure policy"). */
const FIRST_PAUSE_SECONDS = 10;
const LONGEST_PAUSE_SECONDS = 360;

export interface Attempts {
  readonly most: number;
  readonly signal: AbortSignal;
  /** Time, for tests. */
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly worthAnother: (error: unknown) => boolean;
  /** Called after each failed attempt, with the pause until the next one. */
  readonly onFailed: (error: unknown, attempt: number, pauseSeconds: number) => void;
}

/**
 * Retries in the same process, so that one pod has the log of all attempts: with a pod for each, `kubectl logs job/NAME`
 * shows the oldest.
 */
export async function withAttempts<T>(attempts: Attempts, body: () => Promise<T>): Promise<T> {
  let nextPause = FIRST_PAUSE_SECONDS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await body();
    } catch (thrown) {
      const error = asFailure(thrown);
      if (attempt >= attempts.most || attempts.signal.aborted || !attempts.worthAnother(error)) throw error;
      attempts.onFailed(error, attempt, nextPause);
      await (attempts.sleep ?? pause)(1000 * nextPause, attempts.signal);
      nextPause = Math.min(2 * nextPause, LONGEST_PAUSE_SECONDS);
    }
  }
}
