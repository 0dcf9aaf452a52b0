import type { PatroniMemberSpec } from '../spec/types.ts';
import type { MemberStatus, RosterEntry } from './replies.ts';
import type { RestAddress } from './rest.ts';
import type { RestartMember } from './restart.ts';

/** One member: what the group's record says of it, and what it says itself. */
export interface RestMember extends RosterEntry {
  /** undefined: Patroni knows no address of its REST API, and the spec does not list it. */
  readonly address: RestAddress | undefined;
  /**
   * Where PostgreSQL is asked; undefined for members that the spec does not list: the address that Patroni has of
   * them may be the Service of the whole group.
   */
  readonly sql: PatroniMemberSpec | undefined;
  /** undefined: it did not answer, see `error`. */
  readonly status: MemberStatus | undefined;
  readonly error: unknown;
}

/** A standby that is further behind would make a switchover long (Patroni's default maximum_lag_on_failover). */
const NEARLY_CAUGHT_UP = 1024 * 1024;

export function restartMember(member: RestMember): RestartMember {
  const { name, role, lag, promotable, status } = member;
  const running = status?.state === 'running';
  const healthy = role === 'leader' ? running : running && status.streaming && lag <= NEARLY_CAUGHT_UP;
  return { name, role, lag, promotable, healthy, pending: status?.pending };
}
