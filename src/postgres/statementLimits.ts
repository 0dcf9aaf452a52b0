import type { Socket } from 'node:net';
import { type Activity, describeWait } from './activity.ts';
import { asError, NoAnswer } from './limit.ts';
import { LockBudgetSpent } from './lockBudget.ts';
import { newLostAnswer } from './lostAnswer.ts';
import type { ServerAddress } from './serverAddress.ts';
import type { QueryOptions } from './session.ts';
import { newStopper, type Stopper } from './stopper.ts';
import { placeOf } from './stream.ts';
import { type Probe, watch } from './watch.ts';

export interface LimitParts {
  readonly node: ServerAddress;
  readonly tcp: Socket;
  /** Of the whole program: once it aborts, no statement goes on for longer than a moment. */
  readonly signal: AbortSignal | undefined;
  readonly probeAfterMs: number;
  readonly probe: () => Promise<Probe>;
  /** As the last probe saw it. */
  readonly activity: () => Activity | undefined;
}

export interface StatementLimits {
  /** Why the statement was ended, if one of them ended it. */
  readonly reason: () => Error | undefined;
  readonly release: () => void;
}

/** How long a statement may go on after the program's signal, and how long it may take to be cancelled then. */
const SIGNAL_GRACE_MS = 1_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * What ends a statement before its answer: its caller's signal, its deadlines, the program's signal, and a server that is
 * gone. They hold until they are released.
 */
export function limitStatement(
  { requestCancel, ...parts }: LimitParts & { readonly requestCancel: () => void },
  { deadlineMs, lockDeadline, lockBudget, signal }: QueryOptions,
): StatementLimits {
  const stop = newStopper({ requestCancel, destroy: (reason) => parts.tcp.destroy(reason) });
  const onAbort = () => stop.now(asError(signal?.reason));
  signal?.addEventListener('abort', onAbort, { once: true });
  const forgetSignal = endAfterSignal(parts.signal, stop);
  const timer = deadlineTimer(parts.node, deadlineMs, stop.now);
  const watching = watchServer(parts, lockWatcher(parts.node, { lockDeadline, lockBudget }, stop));
  return {
    reason: stop.reason,
    release: () => {
      watching.stop();
      stop.done();
      clearTimeout(timer);
      forgetSignal();
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** To be called with what each look has seen. */
function lockWatcher(
  node: ServerAddress,
  { lockDeadline, lockBudget }: Pick<QueryOptions, 'lockDeadline' | 'lockBudget'>,
  stop: Stopper,
): (seen: Activity) => void {
  let lookedAt = performance.now();
  return (seen) => {
    const now = performance.now();
    const since = now - lookedAt;
    lookedAt = now;
    if (seen.lock === null) return;
    const message = `The statement on ${placeOf(node)} gave up after ${seen.seconds} s: it ${describeWait(seen)}`;
    if (lockBudget?.spend(since) === false) {
      const seconds = Math.round(lockBudget.milliseconds / 1000);
      stop.now(new LockBudgetSpent(`${message}. This run has waited ${seconds} s for locks altogether`));
    } else if (lockDeadline !== undefined && now >= lockDeadline) stop.now(new NoAnswer(message));
  };
}

/** Also of a statement that begins after the signal, to clean up: its server may not answer any more. */
function endAfterSignal(signal: AbortSignal | undefined, stop: Stopper): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => stop.now(asError(signal?.reason), SIGNAL_GRACE_MS), SIGNAL_GRACE_MS);
  };
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
}

function deadlineTimer(
  node: ServerAddress,
  deadlineMs: number | undefined,
  stop: (reason: Error) => void,
): NodeJS.Timeout | undefined {
  if (deadlineMs === undefined || deadlineMs > LONGEST_TIMER_MS) return undefined;
  const seconds = deadlineMs / 1000;
  return setTimeout(
    () => stop(new NoAnswer(`The statement on ${placeOf(node)} did not end within ${seconds} s`)),
    deadlineMs,
  );
}

function watchServer({ node, tcp, probeAfterMs, probe, activity }: LimitParts, onActivity: (seen: Activity) => void) {
  const isLost = newLostAnswer(tcp);
  return watch({
    everyMs: probeAfterMs,
    probe: async () => {
      const state = await probe();
      const seen = activity();
      if (state !== 'alive' || seen === undefined) return state;
      onActivity(seen);
      return isLost(seen) ? 'answered' : state;
    },
    onDead: (reason) => tcp.destroy(new NoAnswer(`${placeOf(node)} does not answer any more: ${reason}`)),
  });
}
