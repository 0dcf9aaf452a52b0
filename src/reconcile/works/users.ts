import { allNodes } from '../../cluster/topology.ts';
import { diffDefaultPrivileges, diffRelationAccess } from '../../objects/access.ts';
import type { Change } from '../../objects/change.ts';
import { diffDistributedRoles } from '../../objects/distributedRole.ts';
import { diffRoleCopy } from '../../objects/role.ts';
import { diffSchemaAccess } from '../../objects/schemaAccess.ts';
import { diffUser } from '../../objects/user.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, isDeclared, isPlain, label, type Situation, server } from '../situation.ts';
import { mayBeMembers } from '../undeclaredMembers.ts';
import { type DatabaseWork, onDatabaseNodes } from './databaseWork.ts';

export const users: DatabaseWork = {
  name: 'users',
  // The coordinator first: after a failure the workers take their verifier from it.
  nodes: ({ topology, database }) =>
    database.users.length === 0 ? [] : [[topology.coordinator], allNodes(topology).slice(1)],
  items: userItems,
  log: 'once',
  // Two runs at once would each make a verifier of their own, with another salt.
  lock: 'registration',
  observe: (_, { list }) => (list === 0 ? 'servers' : undefined),
  nothing: (situation) => {
    const names = situation.database.users.map((user) => user.name);
    if (names.length > 0) return `Roles already exist: ${names.join(', ')}`;
    return isPlain(situation) ? 'No users specified' : undefined;
  },
};

/** Step 1, on any node: the roles, after those that they are members of. */
function userItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { roles, memberships, settings } = server(situation, node);
  return [
    ...(node.group === 0 ? [] : groupItems(situation, node)),
    ...situation.users.flatMap((user) =>
      diffUser(user, roles, memberships, node, settings.version, mayBeMembers(situation, user.role.name, node)),
    ),
  ];
}

/** Roles that users are members of, and that nobody declares: as the coordinator has them. */
function groupItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { roles } = server(situation, node);
  const groups = new Set(situation.users.flatMap((user) => user.groups));
  return server(situation, situation.topology.coordinator)
    .roles.filter(({ name }) => groups.has(name) && !name.startsWith('pg_') && !isDeclared(situation, name))
    .flatMap((role) =>
      diffRoleCopy(role, roles, node, label(situation, node), mayBeMembers(situation, role.name, node)),
    )
    .map(({ starting: _, ...change }) => change);
}

/** Before schemas are made, which then have the right privileges from the start. */
export const privileges: DatabaseWork = {
  name: 'default privileges',
  nodes: onDatabaseNodes,
  items: privilegeItems,
  log: 'once',
};

function privilegeItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { spec, database } = situation;
  const { access, distributedRoles } = inside(situation, node);
  const names = database.users.map((user) => user.name);
  const { settings, roles } = server(situation, node);
  // Of a database that is new, all is known by the roles.
  const superusers = roles.filter(({ superuser }) => superuser).map(({ name }) => name);
  const known = access ?? { schemas: [], relations: [], defaults: [], superusers };
  return [
    ...(spec.cluster.citus ? diffDistributedRoles(names, distributedRoles ?? [], node) : []),
    ...diffDefaultPrivileges(database, spec.cluster.user, known, node, node.group === 0, settings.version),
    ...schemaAccessItems(situation, node),
  ];
}

/** On what is there by then; on workers after the coordinator, from which Citus carries most of them. */
export const rights: DatabaseWork = {
  name: 'rights on objects',
  nodes: ({ topology, database }) => (database.users.length === 0 ? [] : [[topology.coordinator], topology.workers]),
  items: rightsItems,
  log: 'once',
  observe: (_, { changed }) => (changed ? 'contentsAgain' : undefined),
  nothing: ({ database }) => (database.users.length === 0 ? undefined : 'Rights of users are as declared'),
};

/** Step 7, after initSQL: rights on what is there by then. */
function rightsItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return [...schemaAccessItems(situation, node), ...relationAccessItems(situation, node)];
}

/** Steps 6 and 7, for schemas that are there. */
function schemaAccessItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { citus, withoutSuperuser, user } = situation.spec.cluster;
  const context = { citus, superuser: withoutSuperuser ? undefined : user };
  return diffSchemaAccess(situation.database, inside(situation, node).access, node, context);
}

function relationAccessItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { coordinator } = situation.topology;
  const { access } = inside(situation, node);
  const { version } = server(situation, node).settings;
  const context = { serverVersion: version, superuser: situation.spec.cluster.user };
  if (node.group === 0) return diffRelationAccess(situation.database, access, node, context);
  return diffRelationAccess(situation.database, access, node, context, inside(situation, coordinator).access);
}
