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
