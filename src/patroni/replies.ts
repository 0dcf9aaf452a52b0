import * as z from 'zod/mini';
import { type DynamicConfig, RECORD } from './difference.ts';
import type { PendingParameter } from './restart.ts';

/** What Patroni's REST API answers (Patroni documentation, "Patroni REST API"), as far as it is read here. */

const reasons = z.record(z.string(), z.object({ old_value: z.unknown(), new_value: z.unknown() }));

const status = z.object({
  state: z.string(),
  role: z.optional(z.string()),
  replication_state: z.optional(z.string()),
  pending_restart: z.optional(z.boolean()),
  pending_restart_reason: z.optional(reasons),
  postmaster_start_time: z.nullish(z.string()),
  patroni: z.optional(z.object({ name: z.optional(z.string()), scope: z.optional(z.string()) })),
  pause: z.optional(z.boolean()),
});

/** `master`: Patroni before 4.0. */
const PRIMARY: ReadonlySet<string> = new Set(['primary', 'master', 'standby_leader']);

/** GET /patroni: one member about itself. */
export interface MemberStatus {
  /** undefined: Patroni before 4.0 does not tell. */
  readonly name: string | undefined;
  /** Of its cluster; undefined: it does not tell. */
  readonly scope: string | undefined;
  /** Also of a standby cluster. */
  readonly isPrimary: boolean;
  /** running, starting, stopped, ... */
  readonly state: string;
  readonly streaming: boolean;
  /** undefined: nothing waits for a restart; empty: something does, and Patroni (before 4.0) does not say what. */
  readonly pending: readonly PendingParameter[] | undefined;
  /** When the server was started; undefined while it is not there. */
  readonly startedAt: string | undefined;
}

export function parseStatus(body: unknown): MemberStatus {
  const reply = status.parse(body);
  return {
    name: reply.patroni?.name,
    scope: reply.patroni?.scope,
    isPrimary: reply.state === 'running' && PRIMARY.has(reply.role ?? ''),
    state: reply.state,
    streaming: reply.replication_state === 'streaming',
    pending: reply.pending_restart === true ? pendingOf(reply.pending_restart_reason ?? {}) : undefined,
    startedAt: reply.postmaster_start_time ?? undefined,
  };
}

function pendingOf(given: z.output<typeof reasons>): readonly PendingParameter[] {
  return Object.entries(given)
    .map(([name, { old_value, new_value }]) => ({ name, oldValue: String(old_value), newValue: String(new_value) }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

/** Of one group. Each of them is asked. */
const MOST_MEMBERS = 100;

const cluster = z.object({
  members: z
    .array(
      z.object({
        name: z.string(),
        role: z.string(),
        state: z.string(),
        api_url: z.optional(z.string()),
        lag: z.optional(z.union([z.number(), z.string()])),
        tags: z.optional(z.record(z.string(), z.unknown())),
      }),
    )
    .check(z.maxLength(MOST_MEMBERS)),
  pause: z.optional(z.boolean()),
});

/** One member as the group's record in the DCS has it. */
export interface RosterEntry {
  readonly name: string;
  readonly role: 'leader' | 'sync' | 'replica';
  readonly state: string;
  readonly apiUrl: string | undefined;
  /** Bytes; infinite while unknown. */
  readonly lag: number;
  readonly promotable: boolean;
}

export interface Roster {
  readonly members: readonly RosterEntry[];
  /** Maintenance mode: Patroni manages nothing. */
  readonly paused: boolean;
}

export function parseCluster(body: unknown): Roster {
  const reply = cluster.parse(body);
  return {
    paused: reply.pause === true,
    members: reply.members.map((member) => ({
      name: member.name,
      role: roleOf(member.role),
      state: member.state,
      apiUrl: member.api_url,
      lag: typeof member.lag === 'number' ? member.lag : Number.POSITIVE_INFINITY,
      promotable: member.tags?.['nofailover'] !== true && member.tags?.['failover_priority'] !== 0,
    })),
  };
}

function roleOf(role: string): RosterEntry['role'] {
  if (role === 'leader' || role === 'standby_leader') return 'leader';
  return role === 'sync_standby' || role === 'quorum_standby' ? 'sync' : 'replica';
}

const dynamicConfig = z.object({
  loop_wait: z.optional(z.number()),
  postgresql: z.nullish(z.object({ parameters: z.nullish(z.record(z.string(), z.unknown())) })),
  [RECORD]: z.catch(z.nullish(z.object({ managed: z.optional(z.array(z.string())) })), undefined),
});

export function parseConfig(body: unknown): DynamicConfig {
  const reply = dynamicConfig.parse(body);
  return {
    // Patroni's own default
    loopWaitSeconds: reply.loop_wait ?? 10,
    parameters: reply.postgresql?.parameters ?? {},
    managed: reply[RECORD]?.managed,
  };
}
