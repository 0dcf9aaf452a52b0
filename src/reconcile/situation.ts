import type { ReleaseRecord } from '../cluster/release.ts';
import type { Topology } from '../cluster/topology.ts';
import type { InitSqlDecision } from '../initSql/policy.ts';
import { type Origin, originOf } from '../objects/bookkeeping.ts';
import { closesFirst, isStillClosed } from '../objects/closedDatabase.ts';
import { isShared } from '../objects/superuserSetting.ts';
import type { WantedUser } from '../objects/user.ts';
import type { DatabaseSpec, NodeSpec, Spec } from '../spec/types.ts';
import {
  type DatabaseObservation,
  EMPTY_DATABASE,
  type RolesObservation,
  type ServerObservation,
} from './observations.ts';
import type { ShardFaults } from './shardFaults.ts';

/** Everything a plan is made of: what is wanted, and what was seen after the lock was taken. Nodes go by group. */
export interface Situation {
  readonly spec: Spec;
  readonly database: DatabaseSpec;
  readonly topology: Topology;
  readonly labels: ReadonlyMap<number, string>;
  readonly servers: ReadonlyMap<number, ServerObservation>;
  /** Nodes on which the database exists. */
  readonly inside: ReadonlyMap<number, DatabaseObservation>;
  readonly shardFaults: ShardFaults;
  /** What the Helm release remembers of its cluster. Absent: no chart asks for it. */
  readonly release?: ReleaseRecord | undefined;
  /** The superuser's password, for pg_dist_authinfo. */
  readonly password: string | undefined;
  /** The declared users, as every node has to have them. */
  readonly users: readonly WantedUser[];
  /** The role of a metrics exporter, likewise. */
  readonly exporter?: WantedUser | undefined;
  /** What is to be done with initSQL; none: the spec has no script, or nobody asks. */
  readonly initSql: AcceptedInitSql | { readonly kind: 'none' };
  /** It may let others in itself (initSql/opening.ts). Absent: it does not. */
  readonly initSqlOpens?: boolean;
  /** Who owns distributed tables after initSQL. undefined: not observed since. */
  readonly tableOwners?: readonly string[];
  /** Of the coordinator and the workers, where Citus is about to copy them. undefined: not observed. */
  readonly managedRoles?: ReadonlyMap<number, RolesObservation>;
}

/** Decisions about initSQL that let the run continue. */
export type AcceptedInitSql = Exclude<InitSqlDecision, { kind: 'refused' | 'copied' }>;

/** One PostgreSQL server without Citus. */
export function isPlain(situation: Situation): boolean {
  return !situation.spec.cluster.citus;
}

export function label(situation: Situation, node: NodeSpec): string {
  return situation.labels.get(node.group) ?? node.nodeName;
}

export function server(situation: Situation, node: NodeSpec): ServerObservation {
  const observation = situation.servers.get(node.group);
  if (observation === undefined) throw new Error(`node of group ${node.group} was not observed`);
  return observation;
}

/** A database that is not there yet is taken to be empty; template1 may prove that wrong, hence the second look. */
export function inside(situation: Situation, node: NodeSpec): DatabaseObservation {
  return situation.inside.get(node.group) ?? EMPTY_DATABASE;
}

/** A role that `users` declares. */
export function isDeclared(situation: Situation, role: string): boolean {
  return situation.users.some((user) => user.spec.name === role);
}

export function origin(situation: Situation): Origin {
  const { database, spec, topology } = situation;
  const coordinator = server(situation, topology.coordinator);
  const { user } = spec.cluster;
  const owners = closes(situation) ? [user] : [user, database.owner];
  return originOf(coordinator.bookkeeping?.row ?? null, coordinator.database ?? undefined, owners);
}

/** Somebody who is no superuser may make functions in the database: by the spec, or as its nodes have it. */
export function isOpen({ database, spec, inside: nodes }: Situation): boolean {
  return isShared(database, spec.cluster.user) || [...nodes.values()].some(({ open }) => open);
}

function closes({ database, spec, initSqlOpens = false }: Situation): boolean {
  return closesFirst(database, spec.cluster.user, initSqlOpens);
}

/** The superuser, as long as nobody else is let in: initSQL has not come to its end yet. */
export function closedFor(situation: Situation): string | undefined {
  const { topology, spec } = situation;
  const { bookkeeping, database: observed } = server(situation, topology.coordinator);
  const closed =
    observed === null
      ? closes(situation)
      : origin(situation) === 'ours' &&
        isStillClosed(bookkeeping?.row ?? null, closes(situation) || observed.connectionLimit === 0);
  return closed ? spec.cluster.user : undefined;
}

/** The same situation with newer knowledge of what the database on one node holds. */
export function withInside(situation: Situation, node: NodeSpec, observation: DatabaseObservation): Situation {
  return { ...situation, inside: new Map(situation.inside).set(node.group, observation) };
}
