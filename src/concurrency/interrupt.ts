import { setTimeout as delay } from 'node:timers/promises';
import { Interrupted } from '../report/errors.ts';

/** The abort reason is the Interrupted that names the signal. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw signal.reason instanceof Interrupted ? signal.reason : new Interrupted('SIGTERM');
}

/** Waits; throws the signal's own reason, instead of Node's AbortError, as soon as it is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await delay(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
}

/**
 * The end of a wait that cannot be broken off, as for whoever is to write into a pipe that is opened. What was begun is left to
 * itself; main.ts ends the process all the same.
 */
export async function unlessInterrupted<Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> {
  let stop = (): void => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
