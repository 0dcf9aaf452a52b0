/** A member of a group as far as restarts are concerned. */
export interface RestartMember {
  readonly name: string;
  readonly role: 'leader' | 'sync' | 'replica';
  /** A leader that runs, a standby that streams and has nearly caught up. */
  readonly healthy: boolean;
  /** Bytes behind the leader. */
  readonly lag: number;
  /** Tag nofailover. */
  readonly promotable: boolean;
  /** undefined: nothing waits for a restart. */
  readonly pending: readonly PendingParameter[] | undefined;
}

export interface PendingParameter {
  readonly name: string;
  readonly oldValue: string;
  readonly newValue: string;
}

export type RestartStep =
  | { readonly kind: 'none' }
  | { readonly kind: 'restart'; readonly member: string; readonly primary: boolean }
  | { readonly kind: 'switchover'; readonly leader: string; readonly candidate: string }
  | { readonly kind: 'noLeader' }
  | { readonly kind: 'refuse'; readonly leader: string };

/**
 * A standby must have at least the primary's value of each, else it cannot replay (PostgreSQL documentation, "Hot
 * Standby", "Administrator's Overview"). So an increase goes to standbys first and a decrease to the primary first;
 * Patroni starts a standby with the old, larger value until then (patroni/postgresql/config.py,
 * effective_configuration), which makes a restart for a decrease alone useless.
 */
const STANDBY_NEEDS_AS_MUCH: ReadonlySet<string> = new Set([
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'max_wal_senders',
  'max_worker_processes',
]);

/** What to do next in a group, from how it stands now: called again after each step until there is none left. */
export function nextRestart(members: readonly RestartMember[], allowInterruption: boolean): RestartStep {
  if (members.every((member) => member.pending === undefined)) return { kind: 'none' };
  const leader = members.find((member) => member.role === 'leader');
  if (leader === undefined) return { kind: 'noLeader' };
  const standbys = members.filter((member) => member.role !== 'leader').toSorted(bySafety);

  const standby = standbys.find((member) => mends(member, leader));
  if (standby !== undefined) return { kind: 'restart', member: standby.name, primary: false };
  if (leader.pending === undefined) return { kind: 'none' };

  const healthy = standbys.filter((member) => member.healthy);
  if (healthy.length === 0 && !allowInterruption) return { kind: 'refuse', leader: leader.name };
  const candidate = healthy
    .filter((member) => member.role === 'sync' && member.promotable && member.pending === undefined)
    .toSorted((left, right) => left.lag - right.lag)[0];
  // the new primary would run with the old, larger value: only a restart of the primary itself makes it smaller
  if (candidate !== undefined && !leader.pending.some(isDecrease)) {
    return { kind: 'switchover', leader: leader.name, candidate: candidate.name };
  }
  return { kind: 'restart', member: leader.name, primary: true };
}

/** Whether a restart of a standby would put anything into force, as long as the leader runs with what it has. */
function mends(standby: RestartMember, leader: RestartMember): boolean {
  const waits = new Set(leader.pending?.filter(isDecrease).map((parameter) => parameter.name));
  if (standby.pending === undefined) return false;
  // Patroni before 4.0 does not tell what a restart is needed for
  if (standby.pending.length === 0) return true;
  return standby.pending.some((parameter) => !waits.has(parameter.name));
}

function isDecrease(parameter: PendingParameter): boolean {
  return (
    STANDBY_NEEDS_AS_MUCH.has(parameter.name.toLowerCase()) && Number(parameter.newValue) < Number(parameter.oldValue)
  );
}

/** Those whose loss matters least come first: ailing ones, then asynchronous ones. */
function bySafety(left: RestartMember, right: RestartMember): number {
  const rank = (member: RestartMember) => (member.healthy ? 1 : 0) + (member.role === 'sync' ? 2 : 0);
  return rank(left) - rank(right) || (left.name < right.name ? -1 : 1);
}

/** The order in which a person would restart the members: the same decisions, played through. */
export function restartOrder(members: readonly RestartMember[]): readonly string[] {
  const order: string[] = [];
  let state = members;
  for (let step = 0; step < 3 * members.length; step += 1) {
    const next = nextRestart(state, true);
    if (next.kind !== 'restart' && next.kind !== 'switchover') break;
    // by hand the primary is restarted where it is
    const name = next.kind === 'restart' ? next.member : next.leader;
    if (order.at(-1) !== name) order.push(name);
    const leader = state.find((member) => member.role === 'leader');
    state = state.map((member) => (member.name === name ? restarted(member, leader) : member));
  }
  return order;
}

function restarted(member: RestartMember, leader: RestartMember | undefined): RestartMember {
  if (member.role === 'leader' || leader?.pending === undefined) return { ...member, pending: undefined };
  const waits = new Set(leader.pending.filter(isDecrease).map((parameter) => parameter.name));
  const left = member.pending?.filter((parameter) => waits.has(parameter.name)) ?? [];
  return { ...member, pending: left.length === 0 ? undefined : left };
}
