import { pause } from '../concurrency/interrupt.ts';
import type { Kubernetes } from '../kubernetes/client.ts';
import type { ImageState } from '../kubernetes/podImages.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { AbsentPods } from './absentPods.ts';
import type { WhileWaiting } from './ready.ts';

/** An API server that does not answer for so many attempts is done without. */
const UNANSWERED = 3;

export interface Rollout {
  readonly image: string;
  /** The Services of the groups. */
  readonly hosts: readonly string[];
  readonly maxAttempts: number;
  readonly retryDelaySeconds: number;
  readonly signal: AbortSignal;
  readonly log: LineLog;
  /** Undefined outside Kubernetes. */
  readonly kubernetes: (signal: AbortSignal) => Promise<Kubernetes | undefined>;
  /** Why pods are not there: a quota that is used up, or a new image that cannot be pulled, which stops the rollout. */
  readonly absent: Pick<AbsentPods, 'look' | 'explained'>;
  readonly whileWaiting?: WhileWaiting | undefined;
}

/**
 * Waits until every server's pod runs the image of this release, standbys included. The Jobs of an upgrade start while
 * the leaders still run the old image, and all of them alike: the nodes alone do not tell. An extension that is updated
 * then is newer than the library that is loaded, and a standby of the old image may become leader again.
 */
export async function waitForImage(rollout: Rollout): Promise<void> {
  const { image, hosts, maxAttempts, retryDelaySeconds, signal, log, absent } = rollout;
  const kubernetes = await rollout.kubernetes(signal);
  if (kubernetes === undefined) return;
  const { podsOfOtherImages } = await import('../kubernetes/podImages.ts');
  // Writes fail from the first new leader on until the extension is updated: asked every second, told less often.
  const asksPerAttempt = Math.max(1, Math.floor(retryDelaySeconds));
  let unanswered = 0;
  for (let ask = 0; ; ask += 1) {
    signal.throwIfAborted();
    const state: ImageState | { readonly kind: 'unanswered'; readonly reason: string } = await podsOfOtherImages(
      kubernetes,
      hosts,
      image,
    ).catch((error: unknown) => ({ kind: 'unanswered', reason: describe(error) }));
    unanswered = state.kind === 'unanswered' ? unanswered + 1 : 0;
    if (state.kind === 'forbidden' || (state.kind === 'unanswered' && unanswered >= UNANSWERED)) {
      log.warn(`Whether all pods run ${image} is not known (${state.reason}). Going on`);
      return;
    }
    if (state.kind === 'known' && state.others.length === 0) return;
    await rollout.whileWaiting?.();
    const reason = state.kind === 'known' ? state.others.join('; ') : state.reason;
    const attempt = Math.floor(ask / asksPerAttempt) + 1;
    if (attempt >= maxAttempts && (ask + 1) % asksPerAttempt === 0) throw absent.explained(unfinished(rollout, reason));
    if (ask % asksPerAttempt === 0) {
      log.line(`Waiting for pods with ${image}... (attempt ${attempt}/${maxAttempts}: ${reason})`);
      await absent.look(attempt);
    }
    await pause((1000 * retryDelaySeconds) / asksPerAttempt, signal);
  }
}

function unfinished({ image, hosts, maxAttempts }: Rollout, reason: string): Failure {
  return new Failure({
    kind: 'failed',
    what: `Not all servers run the image of this release, ${image}, after ${maxAttempts} attempts`,
    cause: reason,
    next: `Look at the rollout (${hosts.map((host) => `kubectl rollout status statefulset/${host}`).join('; ')}); run again when it has ended`,
  });
}
