import { allNodes } from '../cluster/topology.ts';
import type { Problem } from '../objects/change.ts';
import { entryOf } from '../objects/entryOf.ts';
import { allowedMembers, memberProblem, type ObservedMembers, revoke } from '../objects/membership.ts';
import { diffRole, groupsOf, rolesOf } from '../objects/user.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { RolesObservation } from './observations.ts';
import { label, type Situation, server } from './situation.ts';

/**
 * On every worker, who is a member of a role that this program makes or aligns, and neither is so on the coordinator nor
 * by the spec. On the coordinator this is normal: since PostgreSQL 16 whoever creates a role is its member.
 */
export function memberProblems(situation: Situation): readonly Problem[] {
  const members = new Map([...situation.servers].map(([group, observed]) => [group, observed.members ?? {}] as const));
  return problemsOf(situation, comparedRoles(situation), members);
}

/** The same for roles that Citus would copy. */
export function managedMemberProblems(situation: Situation): readonly Problem[] {
  const managed: ReadonlyMap<number, RolesObservation> = situation.managedRoles ?? new Map();
  const members = new Map([...managed].map(([group, observed]) => [group, observed.members] as const));
  const names = managed.get(situation.topology.coordinator.group)?.roles.map(({ name }) => name) ?? [];
  return problemsOf(situation, names, members);
}

/**
 * What a declared user that exists is about to be given reaches its members on the coordinator, too. Whoever created the
 * role there may be one of them, so this is a warning. Of the exporter's role nobody is to be a member at any time.
 */
export function memberWarnings(situation: Situation): readonly string[] {
  const { coordinator } = situation.topology;
  const { roles, members = {} } = server(situation, coordinator);
  const allowed = allowedIn(situation.database, {});
  const ofUsers = situation.users.flatMap((user) => {
    const { name } = user.role;
    const others = (entryOf(members, name) ?? []).filter((member) => !allowed(name).has(member));
    if (others.length === 0 || diffRole(user, roles, coordinator).length === 0) return [];
    return [`Role '${name}' exists, and its members get what it is given: ${others.join(', ')}`];
  });
  const exporter = situation.exporter?.role.name ?? '';
  const ofExporter = members[exporter] ?? [];
  if (ofExporter.length === 0) return ofUsers;
  return [
    ...ofUsers,
    `Role '${exporter}' of cluster.exporter has members, who may do what it may: ${ofExporter.join(', ')}. To take it from them: ${revoke(exporter, ofExporter)}`,
  ];
}

/** By name of a role. */
export function allowedIn(
  database: DatabaseSpec,
  onCoordinator: ObservedMembers,
): (role: string) => ReadonlySet<string> {
  const declared = new Map(database.users.map((user) => [user.name, groupsOf(user, database)] as const));
  return (role) => allowedMembers(role, onCoordinator, declared);
}

/** undefined: on the coordinator. */
export function mayBeMembers(situation: Situation, role: string, node: NodeSpec): ReadonlySet<string> | undefined {
  const { coordinator } = situation.topology;
  if (node.group === coordinator.group) return undefined;
  return allowedIn(situation.database, server(situation, coordinator).members ?? {})(role);
}

/** The superuser's members have been made by superusers. */
export function comparedRoles({ database, spec: { cluster } }: Situation): readonly string[] {
  const names = [...rolesOf(database), ...(cluster.exporter === undefined ? [] : [cluster.exporter.name])];
  return names.filter((name) => name !== cluster.user);
}

function problemsOf(
  situation: Situation,
  roles: readonly string[],
  members: ReadonlyMap<number, ObservedMembers>,
): readonly Problem[] {
  const { coordinator } = situation.topology;
  const allowed = allowedIn(situation.database, members.get(coordinator.group) ?? {});
  return allNodes(situation.topology).flatMap((node) => {
    const found = members.get(node.group) ?? {};
    return roles.flatMap((role) => {
      const others = (entryOf(found, role) ?? []).filter((member) => !allowed(role).has(member));
      return others.length === 0 ? [] : [memberProblem(role, others, label(situation, node))];
    });
  });
}
