import { allNodes } from '../cluster/topology.ts';
import { diffDefaultPrivileges, diffRelationAccess, diffSchemaAccess } from '../objects/access.ts';
import type { ObservedDatabaseGrants } from '../objects/accessObserved.ts';
import { authinfoOf, diffAuthinfo } from '../objects/authinfo.ts';
import type { Change, Problem } from '../objects/change.ts';
import { diffDatabaseAccess } from '../objects/databaseAccess.ts';
import { diffDistributedRoles } from '../objects/distributedRole.ts';
import { diffRoleCopy } from '../objects/role.ts';
import { diffUser, groupProblems, userProblems } from '../objects/user.ts';
import { diffUserParameters, userParameterProblems } from '../objects/userParameter.ts';
import type { NodeSpec } from '../spec/types.ts';
import { closedFor, inside, label, type Situation, server } from './situation.ts';

/** What the steps have to do for declared users. Nothing here talks to a server. */

/** Step 1, on any node: the roles, after those that they are members of. */
export function userItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { roles, memberships, settings } = server(situation, node);
  return [
    ...(node.group === 0 ? [] : groupItems(situation, node)),
    ...situation.users.flatMap((user) => diffUser(user, roles, memberships, node, settings.version)),
  ];
}

/** Roles that users are members of, and that nobody declares: as the coordinator has them. */
function groupItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { roles } = server(situation, node);
  const groups = new Set(situation.users.flatMap((user) => user.groups));
  return server(situation, situation.topology.coordinator)
    .roles.filter(({ name }) => groups.has(name) && !name.startsWith('pg_') && !isDeclared(situation, name))
    .flatMap((role) => diffRoleCopy(role, roles, node, label(situation, node)))
    .map(({ starting: _, ...change }) => change);
}

export function isDeclared(situation: Situation, role: string): boolean {
  return situation.users.some((user) => user.spec.name === role);
}

/** Steps 1 and 2, once the database is there. */
export function databaseAccessItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { database, databaseGrants } = server(situation, node);
  // null: the database was not there when the server was last observed.
  const owner = database?.owner;
  const grants =
    databaseGrants === null ||
    owner === undefined ||
    owner === situation.database.owner ||
    closedFor(situation) !== undefined
      ? databaseGrants
      : withoutFormerOwner(databaseGrants, owner);
  return diffDatabaseAccess(situation.database, grants ?? undefined, node, tableOwners(situation)).map((change) => ({
    ...change,
    starting: change.underWay,
  }));
}

/** ALTER DATABASE OWNER hands the rights of the former owner to the new one (PostgreSQL: aclnewowner()). */
function withoutFormerOwner(observed: ObservedDatabaseGrants, owner: string): ObservedDatabaseGrants {
  const { [owner]: _, ...grants } = observed.grants;
  return { ...observed, grants };
}

/** Step 7, after initSQL. */
export function tableOwnerItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return situation.tableOwners === undefined ? [] : databaseAccessItems(situation, node);
}

/** Owners of distributed tables; those of tables that initSQL makes belong to the superuser. */
function tableOwners(situation: Situation): readonly string[] {
  const { cluster } = situation.spec;
  if (!cluster.citus) return [];
  const observed = situation.tableOwners ?? inside(situation, situation.topology.coordinator).tableOwners ?? [];
  return [cluster.user, ...observed];
}

/** Step 5: without its row on every node a role cannot use distributed tables. */
export function userAuthinfoItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const observed = inside(situation, node).authinfo ?? [];
  return situation.users.flatMap(({ spec, password }) =>
    password === undefined || !spec.login
      ? []
      : diffAuthinfo(spec.name, authinfoOf(password, situation.spec.ssl), observed, node),
  );
}

/** Step 6, before schemas are made: they are born with the right privileges then. */
export function privilegeItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { spec, database } = situation;
  const { access, distributedRoles } = inside(situation, node);
  const names = database.users.map((user) => user.name);
  const { version } = server(situation, node).settings;
  return [
    ...(spec.cluster.citus ? diffDistributedRoles(names, distributedRoles ?? [], node) : []),
    ...diffDefaultPrivileges(database, spec.cluster.user, access, node, node.group === 0, version),
    ...schemaAccessItems(situation, node),
  ];
}

/** Steps 6 and 7, for schemas that are there. */
function schemaAccessItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return diffSchemaAccess(situation.database, inside(situation, node).access, node, situation.spec.cluster.citus);
}

/** Step 7, after initSQL: rights on what is there by then. */
export function rightsItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return [...schemaAccessItems(situation, node), ...relationAccessItems(situation, node)];
}

function relationAccessItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { coordinator } = situation.topology;
  const { access } = inside(situation, node);
  const { version } = server(situation, node).settings;
  const context = { serverVersion: version, superuser: situation.spec.cluster.user };
  if (node.group === 0) return diffRelationAccess(situation.database, access, node, context);
  return diffRelationAccess(situation.database, access, node, context, inside(situation, coordinator).access);
}

/** Step 8, on one node. */
export function userParameterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return diffUserParameters(situation.database, server(situation, node).userParameters, node);
}

export function usersPreflight(situation: Situation): {
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
} {
  const { database, topology, users } = situation;
  const { roles, knownParameters } = server(situation, topology.coordinator);
  const withoutPassword = users.filter(({ spec, role }) => spec.login && role.verifier === null);
  return {
    problems: [
      ...allNodes(topology).flatMap((node) =>
        userProblems(database.users, server(situation, node).roles, label(situation, node)),
      ),
      ...groupProblems(database, roles, label(situation, topology.coordinator)),
      ...userParameterProblems(database, knownParameters, situation.spec.cluster.citus),
    ],
    warnings: withoutPassword.map(
      ({ spec }) =>
        `User '${spec.name}' has no password: it can log in only where pg_hba.conf asks for none, and through workers not at all`,
    ),
  };
}
