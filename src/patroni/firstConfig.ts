import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import { poll } from '../concurrency/poll.ts';
import type { Context } from '../context.ts';
import { classify } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { PatroniGroupSpec } from '../spec/types.ts';
import type { DynamicConfig } from './difference.ts';
import { readConfig, reasonOf } from './group.ts';
import { groupLabel } from './plan.ts';
import type { Tools } from './tools.ts';

const POLL_MS = 2_000;
const NEWS_MS = 20_000;
const HOPELESS_MS = 30_000;

/** A group that is only just being made answers after a while; a certificate that does not verify hardly mends. */
export async function firstConfig(context: Context, group: PatroniGroupSpec, tools: Tools): Promise<DynamicConfig> {
  const label = groupLabel(group.group, context.spec.cluster.citus);
  const startedAt = performance.now();
  const deadline = startedAt + tools.patroni.timeoutSeconds * 1000;
  let told = performance.now() - NEWS_MS + POLL_MS;
  async function ask(): Promise<DynamicConfig | undefined> {
    try {
      return await readConfig(group, tools.rest);
    } catch (error) {
      throwIfInterrupted(tools.signal);
      if (!(error instanceof Failure) || error.details.kind === 'refused' || performance.now() > deadline) throw error;
      if (classify(error) === 'hopeless' && performance.now() - startedAt > HOPELESS_MS) throw error;
      if (performance.now() - told >= NEWS_MS) {
        context.log.line(`Waiting for Patroni: ${label} (${error.details.node}: ${reasonOf(error)})`);
        told = performance.now();
      }
      return undefined;
    }
  }
  // The last question comes right at the deadline, and its error is thrown.
  return (
    (await poll(ask, { everyMs: POLL_MS, deadline, signal: tools.signal })) ?? (await readConfig(group, tools.rest))
  );
}
