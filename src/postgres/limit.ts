/** Nobody answered in time: the same to a retry as the system's own ETIMEDOUT. */
export class NoAnswer extends Error {
  readonly code = 'ETIMEDOUT';
}

export interface Limit {
  readonly milliseconds: number;
  readonly signal?: AbortSignal | undefined;
  /** The error when the time is up. */
  readonly expired: () => Error;
}

/**
 * Runs something that has to end in time, or when the caller's signal says so. The signal that it gets never aborts
 * after it has ended, so whoever listens to it need not stop listening; one of AbortSignal.any would abort with the caller's
 * signal at any later time.
 */
export async function withLimit<T>(limit: Limit, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  limit.signal?.throwIfAborted();
  const controller = new AbortController();
  const stop = () => controller.abort(limit.signal?.reason);
  const timer = setTimeout(() => controller.abort(limit.expired()), limit.milliseconds);
  limit.signal?.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([run(controller.signal), rejectOnAbort(controller.signal)]);
  } finally {
    clearTimeout(timer);
    limit.signal?.removeEventListener('abort', stop);
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
