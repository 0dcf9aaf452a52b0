import { type PollOptions, poll } from '../concurrency/poll.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { type GroupView, unexpected, viewGroup } from './group.ts';
import type { ConfigureLock } from './lock.ts';
import type { GroupPlan } from './plan.ts';
import { bodyText, callPatroni, type RestAddress } from './rest.ts';
import { nextRestart, type RestartStep } from './restart.ts';
import { type RestMember, restartMember } from './restMember.ts';
import { addressOf } from './speaker.ts';
import type { Tools } from './tools.ts';

const POLL_MS = 1_000;
/** Standbys are restarted once, and once more where the primary had to go first. */
const MOST_RESTARTS = 2;

/** Restarts what needs it, one member at a time, looking again after each. Returns how many restarts there were. */
export async function restartGroup(plan: GroupPlan, tools: Tools, log: LineLog, lock: ConfigureLock): Promise<number> {
  const restarts = new Map<string, number>();
  let total = 0;
  for (;;) {
    // the last restart may have ended the session that held it
    await lock.keep();
    const view = await viewWithLeader(plan, tools);
    const step = nextRestart(ownMembers(view).map(restartMember), tools.patroni.allowInterruption);
    if (step.kind === 'none') return total;
    const name = stepMember(step);
    const count = (restarts.get(name) ?? 0) + 1;
    restarts.set(name, count);
    if (count > MOST_RESTARTS) throw stillPending(plan, view, name);
    total += 1;
    if (step.kind === 'refuse') throw noReplica(plan, step.leader);
    if (step.kind === 'noLeader') throw noLeader(plan);
    const hadSync = view.members.some((member) => member.role === 'sync');
    if (step.kind === 'switchover') {
      const address = addressFor(plan, memberOf(view, step.leader));
      log.line(`Switching over from ${step.leader} to ${step.candidate}, which has the parameters already...`, 1);
      await switchOver(address, step, tools);
    } else {
      const address = addressFor(plan, memberOf(view, step.member));
      log.line(`Restarting ${step.primary ? 'primary' : 'replica'} ${step.member}...`, 1);
      await restart(address, tools);
    }
    const seconds = await untilHealthy(plan, name, hadSync, tools);
    log.line(`✓ ${name} ${step.kind === 'switchover' ? 'follows the new primary' : 'is back'} after ${seconds} s`, 1);
  }
}

function stepMember(step: Exclude<RestartStep, { kind: 'none' }>): string {
  if (step.kind === 'restart') return step.member;
  return step.kind === 'noLeader' ? '' : step.leader;
}

function memberOf(view: GroupView, name: string): RestMember {
  const member = view.members.find((candidate) => candidate.name === name);
  if (member === undefined) throw new Error(`No member ${name}`);
  return member;
}

/** A group may be without a leader for the moment of a failover. */
async function viewWithLeader(plan: GroupPlan, tools: Tools): Promise<GroupView> {
  const found = await poll(async () => {
    const view = await viewGroup(plan.spec, tools.rest);
    if (view.paused) throw paused(plan, tools);
    return view.members.some((member) => member.role === 'leader') ? view : undefined;
  }, patience(tools));
  if (found === undefined) throw noLeader(plan);
  return found;
}

function patience(tools: Tools): PollOptions {
  const deadline = performance.now() + tools.patroni.timeoutSeconds * 1000;
  return { everyMs: POLL_MS, deadline, signal: tools.signal };
}

/**
 * A change is asked for at addresses of the spec alone. That of another member is what a reply says, which whoever may
 * annotate a pod can write, and the password would go there. The report says that it waits.
 */
function ownMembers(view: GroupView): readonly RestMember[] {
  return view.members.filter(({ sql, role }) => sql !== undefined || role === 'leader');
}

function addressFor(plan: GroupPlan, { name, sql }: RestMember): RestAddress {
  if (sql !== undefined) return addressOf(sql);
  throw new Failure({
    kind: 'refused',
    what: `${plan.label}: its leader ${name} waits for a restart, and the spec does not list it`,
    next: 'Add its address to patroni.groups and run again, or restart it with patronictl. The parameters are in place and wait for the restart',
  });
}

async function restart(address: RestAddress, tools: Tools): Promise<void> {
  const reply = await callPatroni(address, tools.rest, {
    method: 'POST',
    path: '/restart',
    body: { restart_pending: true },
    // Patroni answers when the server is up again
    deadlineMs: tools.patroni.timeoutSeconds * 1000,
  });
  if (reply.status === 200) return;
  // nothing waits for a restart any more: somebody else was faster (patroni/ha.py, restart)
  if (reply.status === 503 && bodyText(reply).includes('restart conditions are not satisfied')) return;
  throw unexpected(address, 'POST /restart', reply);
}

async function switchOver(
  address: RestAddress,
  step: { readonly leader: string; readonly candidate: string },
  tools: Tools,
): Promise<void> {
  const reply = await callPatroni(address, tools.rest, {
    method: 'POST',
    path: '/switchover',
    body: { leader: step.leader, candidate: step.candidate },
    deadlineMs: tools.patroni.timeoutSeconds * 1000,
  });
  // 503 with "status unknown": Patroni stopped looking, the switchover may still come about; what follows looks
  if (reply.status === 200 || (reply.status === 503 && bodyText(reply).includes('unknown'))) return;
  throw unexpected(address, 'POST /switchover', reply);
}

/** Until the group has a running leader, the member is well again, and there is a synchronous standby if there was one. */
async function untilHealthy(plan: GroupPlan, name: string, hadSync: boolean, tools: Tools): Promise<number> {
  const startedAt = performance.now();
  let last: unknown;
  async function ask(): Promise<number | undefined> {
    try {
      const view = await viewGroup(plan.spec, tools.rest);
      const members = view.members.map(restartMember);
      const leader = members.find((member) => member.role === 'leader');
      const itself = members.find((member) => member.name === name);
      const sync = members.some((member) => member.role === 'sync' && member.healthy);
      const healthy = leader?.healthy === true && itself?.healthy === true && (sync || !hadSync);
      return healthy ? Math.round((performance.now() - startedAt) / 1000) : undefined;
    } catch (error) {
      tools.signal.throwIfAborted();
      last = error;
      return undefined;
    }
  }
  // Right after the restart Patroni may still say what was before it.
  await tools.pause(POLL_MS);
  const seconds = await poll(ask, patience(tools));
  if (seconds !== undefined) return seconds;
  throw new Failure(
    {
      kind: 'failed',
      what: `${plan.label}: ${name} is not well ${tools.patroni.timeoutSeconds} s after its restart`,
      cause: last instanceof Failure ? last.details.cause : undefined,
      next: `Look at its log (kubectl logs), and at the group (${tools.patroni.patronictl} list). Nothing else was restarted`,
    },
    { cause: last },
  );
}

function noReplica(plan: GroupPlan, leader: string): Failure {
  return new Failure({
    kind: 'refused',
    what: `${plan.label}: the primary ${leader} has to be restarted, and the group has no healthy replica`,
    next: 'Repair or add a replica and run again, or accept the interruption with allowInterruption: true. The parameters are in place and wait for the restart',
  });
}

function noLeader(plan: GroupPlan): Failure {
  return new Failure({
    kind: 'failed',
    what: `${plan.label} has no leader`,
    next: 'Look at the logs of its members (kubectl logs) and run again',
  });
}

function paused(plan: GroupPlan, tools: Tools): Failure {
  const command = [tools.patroni.patronictl, 'resume', tools.patroni.scope].join(' ');
  return new Failure({
    kind: 'refused',
    what: `${plan.label} is in maintenance mode: somebody has paused Patroni, so nothing is restarted`,
    next: `End it when it is over (${command}) and run again. The parameters are in place and wait for the restart`,
  });
}

function stillPending(plan: GroupPlan, view: GroupView, name: string): Failure {
  const pending = memberOf(view, name).status?.pending ?? [];
  return new Failure({
    kind: 'failed',
    what: `${plan.label}: ${name} still waits for a restart after it was restarted`,
    cause: pending.map((each) => `${each.name} is ${each.oldValue}, not ${each.newValue}`).join('\n') || undefined,
    next: 'Look at its log: a parameter may be set elsewhere too (ALTER SYSTEM, the local file of Patroni)',
  });
}
