import { forAll } from '../concurrency/parallel.ts';
import { classify, describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import { difference } from './difference.ts';
import { readConfig, reasonOf, viewGroup } from './group.ts';
import { type GroupPlan, watched } from './plan.ts';
import { type MemberReading, type Progress, progressOf, type WatchedParameter } from './progress.ts';
import type { RestMember } from './restMember.ts';
import { readSettings } from './serverSettings.ts';
import type { Tools } from './tools.ts';
import type { KnownSettings } from './values.ts';

export interface MemberState {
  readonly member: RestMember;
  /** undefined: the member does not answer, or its server does not run; `reason` tells. */
  readonly progress: ReadonlyMap<string, Progress> | undefined;
  readonly reason: string | undefined;
  readonly settings: KnownSettings | undefined;
  /** The server runs and does not let this program in, so that what is in force there cannot be seen. */
  readonly closed: boolean;
}

export interface GroupState {
  readonly members: readonly MemberState[];
  readonly strangers: readonly string[];
  readonly paused: boolean;
}

/** How long after its loop_wait a member may still be at its reload. */
const LOOP_GRACE_MS = 3_000;
const POLL_MS = 1_000;
/** A server that has just been made may not have its password yet. */
const LOGIN_GRACE_MS = 30_000;

/**
 * Asks until every member of the group has taken the configuration, or knows that it needs a restart. `sentAt`: when the
 * configuration was changed; undefined when there was nothing to change, and then nobody who is away is waited for.
 */
export async function settleGroup(plan: GroupPlan, tools: Tools, sentAt: number | undefined): Promise<GroupState> {
  const startedAt = performance.now();
  const loopMs = plan.config.loopWaitSeconds * 1000 + LOOP_GRACE_MS;
  const deadline = startedAt + tools.patroni.timeoutSeconds * 1000;
  for (;;) {
    const state = await readGroup(plan, tools, sentAt === undefined || performance.now() - sentAt > loopMs);
    const absent = state.members.filter((member) => member.progress === undefined);
    const waiting = state.members.filter((member) => isWaiting(member));
    const closed = state.members.filter((member) => member.closed);
    if (waiting.length === 0 && (absent.length === 0 || sentAt === undefined)) {
      if (closed.length === 0) return state;
      if (performance.now() - startedAt > LOGIN_GRACE_MS) throw unseen(plan, closed);
    }
    // a member that answers has had three loops to take it: something else outweighs the configuration
    const lateness = Math.max(3 * loopMs, 10_000);
    if (waiting.length > 0 && (performance.now() - startedAt > lateness || performance.now() > deadline)) {
      throw (await isOvertaken(plan, tools)) ? overtaken(plan) : outweighed(plan, waiting);
    }
    if (performance.now() > deadline) throw away(plan, absent);
    await tools.pause(POLL_MS);
  }
}

function isWaiting(member: MemberState): boolean {
  return member.progress !== undefined && [...member.progress.values()].includes('waiting');
}

async function readGroup(plan: GroupPlan, tools: Tools, loopPassed: boolean): Promise<GroupState> {
  const view = await viewGroup(plan.spec, tools.rest);
  const names = watched(plan);
  const members = await forAll(view.members, (member) => readMember(plan, member, names, tools, loopPassed));
  return { members, strangers: view.strangers, paused: view.paused };
}

async function readMember(
  plan: GroupPlan,
  member: RestMember,
  names: readonly WatchedParameter[],
  tools: Tools,
  loopPassed: boolean,
): Promise<MemberState> {
  const { status } = member;
  const nothing = { member, progress: undefined, settings: undefined, closed: false };
  if (status === undefined)
    return {
      ...nothing,
      reason: member.error === undefined ? 'Patroni knows no address of it' : reasonOf(member.error),
    };
  if (status.state !== 'running') return { ...nothing, reason: `its server is ${status.state}` };
  let settings: KnownSettings | undefined;
  let reason: string | undefined;
  let closed = false;
  if (member.sql !== undefined) {
    try {
      settings = await readSettings(plan.spec.group, member.sql, tools.sql);
    } catch (error) {
      tools.signal.throwIfAborted();
      reason = describe(error);
      closed = classify(error) === 'hopeless';
    }
  }
  const reading: MemberReading = { pending: status.pending, settings, loopPassed };
  const progress = new Map(names.map((parameter) => [parameter.name, progressOf(parameter, reading)]));
  return { member, progress, settings, reason, closed };
}

function unseen(plan: GroupPlan, members: readonly MemberState[]): Failure {
  return new Failure({
    kind: 'failed',
    what: `${plan.label}: what is in force cannot be seen`,
    cause: members.map(({ member, reason }) => `${member.name}: ${reason ?? 'no login'}`).join('\n'),
    next: 'Compare the password of cluster.user and the certificates with what the servers have, and run again',
  });
}

/** By another run that held the lock while a restart had ended the session that held ours, or by `patronictl edit-config`. */
async function isOvertaken(plan: GroupPlan, tools: Tools): Promise<boolean> {
  const config = await readConfig(plan.spec, tools.rest);
  const { changes } = difference({ config, wanted: plan.wanted, managedBefore: [], fallback: () => undefined });
  return changes.length > 0;
}

function overtaken(plan: GroupPlan): Failure {
  return new Failure({
    kind: 'failed',
    what: `${plan.label}: somebody else has changed Patroni's configuration since this run did`,
    next: 'Find out who (another run of configure, patronictl edit-config), and run again with the values that shall hold',
  });
}

function outweighed(plan: GroupPlan, members: readonly MemberState[]): Failure {
  const lines = members.flatMap(({ member, progress, settings }) =>
    [...(progress ?? [])].flatMap(([name, state]) => {
      if (state !== 'waiting') return [];
      const row = settings?.get(name);
      const place = row?.sourcefile ?? row?.source ?? 'unknown';
      return [`${member.name}: ${name} is ${row?.setting ?? 'unknown'}, not ${plan.wanted[name]} (set by ${place})`];
    }),
  );
  return new Failure({
    kind: 'failed',
    what: `${plan.label}: members do not take the parameters from Patroni's configuration`,
    cause: lines.join('\n'),
    next:
      "What postgresql.parameters in Patroni's local file, its environment or ALTER SYSTEM (postgresql.auto.conf) sets " +
      "outweighs the group's configuration: take it out there, or out of the spec",
  });
}

function away(plan: GroupPlan, members: readonly MemberState[]): Failure {
  return new Failure({
    kind: 'failed',
    what: `${plan.label}: the parameters are in Patroni's configuration, but not every member could be asked whether it has them`,
    cause: members.map(({ member, reason }) => `${member.name}: ${reason ?? 'no answer'}`).join('\n'),
    next: 'Look at these members (kubectl get pods, kubectl logs); they take the parameters when they come back. Run again to be sure',
  });
}
