import { allNodes, databaseNodes } from '../cluster/topology.ts';
import { databaseComment } from '../objects/comment.ts';
import { type Kind, observedOf } from '../objects/kind.ts';
import { rebalancing } from '../objects/rebalance.ts';
import { isDue } from './executeItems.ts';
import { damageItems } from './findings.ts';
import { initSqlItems } from './initSqlItems.ts';
import { rebalanceItems } from './rebalance.ts';
import { inside, isPlain, type Situation, server } from './situation.ts';
import {
  authenticationNotes,
  authinfoItems,
  citusUpgradeItems,
  coordinatorCitusItems,
  coordinatorDatabaseItems,
  coordinatorExtensionItems,
  intentItems,
  managedRoleItems,
  openedItems,
  openingItems,
  parameterItems,
  parameterWarningItems,
  referenceCopyItems,
  registrationItems,
  roleItems,
  schemaItems,
  shardRightsItems,
  shouldHaveShardsItems,
  workerInsideItems,
  workerSchemaItems,
  workerServerItems,
} from './steps.ts';
import { privilegeItems, rightsItems, tableOwnerItems, userItems } from './userSteps.ts';
import { kindsOf, line, type Step, type Work } from './work.ts';

/**
 * The order of work on one database, the only place where it stands. Workers come first, so that citus_add_node() finds
 * the database and its extensions there.
 */

type DatabaseWork = Work<Situation>;

const onCoordinator: DatabaseWork['nodes'] = ({ topology }) => [[topology.coordinator]];
const onWorkers: DatabaseWork['nodes'] = ({ topology }) => [topology.workers];
const onDatabaseNodes: DatabaseWork['nodes'] = ({ topology }) => [databaseNodes(topology)];

/** Before anything is made: tells a half-made database of this program from one that existed before. */
const intent: DatabaseWork = { name: 'intent', nodes: onCoordinator, items: intentItems, log: 'lines' };

const users: DatabaseWork = {
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

const workerDatabase: DatabaseWork = {
  name: 'database on workers',
  nodes: onWorkers,
  items: workerServerItems,
  log: 'lanes',
  before: (_, [name]) => [line(`Configuring worker: ${name}`), line(`Worker ${name} is ready!`, 2)],
};

const workerExtensions: DatabaseWork = {
  name: 'extensions on workers',
  nodes: onWorkers,
  items: workerInsideItems,
  log: 'lanes',
  observe: () => 'contents',
  after: (_, [name]) => [line(`Worker ${name} configured successfully!`, 2)],
  nothing: ({ database }) => `ready; database '${database.name}' and its extensions already exist`,
};

/** Roles belong to servers: workers that the database leaves out get them as well. */
const ownersElsewhere: DatabaseWork = {
  name: 'owners on other workers',
  nodes: ({ topology }) => [topology.otherWorkers],
  items: roleItems,
  log: 'lanes',
};

const coordinatorDatabase: DatabaseWork = {
  name: 'database on coordinator',
  nodes: onCoordinator,
  items: coordinatorDatabaseItems,
  log: 'lines',
};

const coordinatorCitus: DatabaseWork = {
  name: 'citus on coordinator',
  nodes: onCoordinator,
  items: coordinatorCitusItems,
  log: 'lines',
  observe: () => 'contents',
};

const coordinatorExtensions: DatabaseWork = {
  name: 'extensions on coordinator',
  nodes: onCoordinator,
  items: coordinatorExtensionItems,
  log: 'lines',
  observe: () => 'contents',
  after: (situation) => [
    line(isPlain(situation) ? 'Extensions enabled!' : 'Additional extensions enabled on coordinator!'),
  ],
};

const authentication: DatabaseWork = {
  name: 'authentication settings',
  nodes: onCoordinator,
  items: authenticationNotes,
  log: 'lines',
};

const authinfo: DatabaseWork = {
  name: 'pg_dist_authinfo',
  nodes: onDatabaseNodes,
  items: authinfoItems,
  log: 'once',
  summaries: false,
  before: () => [line('Configuring authentication for coordinator (nodeid=0)...')],
  after: (_, names) => [
    line('Coordinator authentication configured!'),
    line(`Written on ${names.join(', ')}: nodeid 0 stands for every node`),
  ],
  nothing: () => 'Authentication between nodes is already configured on every node',
};

/** What Citus itself would copy to a node that is added or synced, with verifiers in the node's log. */
const managedRoles: DatabaseWork = {
  name: 'roles that Citus manages',
  nodes: onWorkers,
  items: managedRoleItems,
  log: 'once',
  lock: 'registration',
  observe: () => 'managedRoles',
};

const registration: DatabaseWork = {
  name: 'registration',
  nodes: onCoordinator,
  items: registrationItems,
  log: 'lines',
  // While a node is added, Citus copies roles to it; two such copies end in "tuple concurrently updated".
  lock: 'registration',
  after: () => [line('Workers added successfully!')],
  // With many workers, one line instead of one for each.
  nothing: ({ topology: { workers } }) =>
    `${workers.length} ${workers.length === 1 ? 'worker is' : 'workers are'} already registered`,
};

const shouldHaveShards: DatabaseWork = {
  name: 'nodes that take shards',
  nodes: onCoordinator,
  items: shouldHaveShardsItems,
  log: 'lines',
};

const referenceCopies: DatabaseWork = {
  name: 'copies of reference tables',
  nodes: onCoordinator,
  items: referenceCopyItems,
  log: 'lines',
};

/** Nothing is built on top of lost data. What came before gives a worker its place back, and takes nothing away. */
const damage: DatabaseWork = { name: 'damage', nodes: onCoordinator, items: damageItems, log: 'lines' };

/**
 * What ALTER EXTENSION leaves to the end: when every node has the new version. Before workers are registered or synced:
 * the new Citus sends them no colocation group of several collations ("cannot colocate tables").
 */
const citusUpgrade: DatabaseWork = {
  name: 'upgrade of citus',
  nodes: onCoordinator,
  items: citusUpgradeItems,
  log: 'lines',
};

/** Before schemas are made, which then have the right privileges from the start. */
const privileges: DatabaseWork = {
  name: 'default privileges',
  nodes: onDatabaseNodes,
  items: privilegeItems,
  log: 'once',
};

const schemas: DatabaseWork = {
  name: 'schemas',
  nodes: onCoordinator,
  items: schemaItems,
  log: 'lines',
  nothing: (situation, stepChanged) => {
    const { schemas, users } = situation.database;
    if (!isPlain(situation) || stepChanged || schemas.length > 0) return undefined;
    return users.length === 0 ? 'No schemas specified' : 'Privileges are already set';
  },
};

/** What the coordinator has and a worker lacks, or has from somebody else: initSQL relies on it. */
const workerSchemas: DatabaseWork = {
  name: 'schemas on workers',
  nodes: onDatabaseNodes,
  items: workerSchemaItems,
  log: 'once',
  observe: ({ database }, { changed }) => (changed && database.schemas.length > 0 ? 'contentsAgain' : undefined),
};

const initSql: DatabaseWork = { name: 'initSQL', nodes: onCoordinator, items: initSqlItems, log: 'lines' };

/** Before that nobody but superusers gets in. */
const opening: DatabaseWork = { name: 'opening', nodes: onDatabaseNodes, items: openingItems, log: 'once' };

const opened: DatabaseWork = { name: 'opened', nodes: onCoordinator, items: openedItems, log: 'lines' };

/** On what is there by then; on workers after the coordinator, from which Citus carries most of them. */
const rights: DatabaseWork = {
  name: 'rights on objects',
  nodes: ({ topology, database }) => (database.users.length === 0 ? [] : [[topology.coordinator], topology.workers]),
  items: rightsItems,
  log: 'once',
  observe: (_, { changed }) => (changed ? 'contentsAgain' : undefined),
  nothing: ({ database }) => (database.users.length === 0 ? undefined : 'Rights of users are as declared'),
};

/** initSQL may have made distributed tables of other owners, and taken CONNECT from PUBLIC. */
const tableOwners: DatabaseWork = {
  name: 'rights of table owners',
  nodes: onDatabaseNodes,
  items: tableOwnerItems,
  log: 'once',
  observe: (situation, { changed }) => (changed && runsInitSql(situation) ? 'tableOwners' : undefined),
};

/** Repeated on the coordinator, from which Citus carries them to every shard. */
const shardRights: DatabaseWork = {
  name: 'rights on shards',
  nodes: onCoordinator,
  items: shardRightsItems,
  log: 'once',
};

const parameterWarnings: DatabaseWork = {
  name: 'parameters that a database cannot hold',
  nodes: onCoordinator,
  items: parameterWarningItems,
  log: 'lines',
};

const parameters: DatabaseWork = {
  name: 'parameters',
  nodes: onDatabaseNodes,
  items: parameterItems,
  log: 'once',
  summaries: 'withoutNodes',
  // Extensions and initSQL may have changed the settings of the database; after initSQL they were observed already.
  observe: (situation, { changed }) =>
    changed && declaresParameters(situation) && situation.tableOwners === undefined ? 'parameters' : undefined,
  after: (_, names) => [line(`Database parameters set on ${names.join(', ')}!`)],
  nothing: (situation) =>
    declaresParameters(situation) ? 'Database parameters are already set' : 'No database parameters specified',
};

function runsInitSql(situation: Situation): boolean {
  return initSqlItems(situation, situation.topology.coordinator).some(isDue);
}

/** A kind of object that one file describes, on every node of the database. */
function everywhere<Observed>(name: string, kind: Kind<Observed>): DatabaseWork {
  return {
    name,
    nodes: onDatabaseNodes,
    kind,
    items: (situation, node) => {
      const observation = kind.scope === 'server' ? server(situation, node) : inside(situation, node);
      return kind.diff(situation.database, observedOf(kind, observation), node);
    },
    log: 'once',
  };
}

/** The last thing of all: it may take hours, and everything else is done by then. */
const rebalance: DatabaseWork = {
  name: 'rebalance',
  nodes: onCoordinator,
  kind: rebalancing,
  items: rebalanceItems,
  log: 'lines',
};

const comment = everywhere('comment', databaseComment);

function declaresParameters({ database }: Situation): boolean {
  return [database, ...database.users].some((declared) => Object.keys(declared.parameters).length > 0);
}

/** A coordinator without the database has nothing to do with the workers yet; in turn would take nearly twice as long. */
function isNew(situation: Situation): boolean {
  return server(situation, situation.topology.coordinator).database === null;
}

const name = ({ database }: Situation) => database.name;

export const CLUSTER_ORDER: readonly Step<Situation>[] = [
  {
    heading: {
      number: 1,
      title: (of) => `Creating database '${name(of)}' on worker nodes first...`,
      planned: (of) => `Create database '${name(of)}' on worker nodes first`,
    },
    works: [intent, users, workerDatabase, workerExtensions, ownersElsewhere],
  },
  {
    heading: {
      number: 2,
      title: (of) => `Creating database '${name(of)}' on coordinator...`,
      planned: (of) => `Create database '${name(of)}' on the coordinator`,
    },
    alongside: isNew,
    works: [coordinatorDatabase],
  },
  {
    heading: {
      number: 3,
      title: () => 'Enabling Citus extension on coordinator...',
      planned: () => 'Enable the Citus extension on the coordinator',
    },
    alongside: isNew,
    works: [coordinatorCitus],
  },
  {
    heading: {
      number: 4,
      title: () => 'Enabling additional extensions on coordinator...',
      planned: () => 'Enable additional extensions on the coordinator',
    },
    alongside: isNew,
    works: [coordinatorExtensions],
  },
  {
    heading: {
      number: 5,
      title: () => 'Configuring SSL certificate authentication (pg_dist_authinfo)...',
      planned: () => 'Configure authentication between nodes (pg_dist_authinfo)',
    },
    works: [authentication, authinfo],
  },
  {
    heading: {
      number: 6,
      title: () => 'Adding worker nodes to Citus metadata...',
      planned: () => 'Add worker nodes to Citus metadata',
    },
    works: [
      citusUpgrade,
      managedRoles,
      registration,
      shouldHaveShards,
      referenceCopies,
      damage,
      privileges,
      schemas,
      workerSchemas,
    ],
  },
  {
    heading: {
      number: 7,
      title: () => 'Running custom initialization SQL...',
      planned: () => 'Run custom initialization SQL',
    },
    works: [initSql, opening, opened, rights, shardRights, tableOwners],
  },
  {
    heading: { number: 8, title: () => 'Setting database parameters...', planned: () => 'Set database parameters' },
    works: [parameterWarnings, parameters, comment, rebalance],
  },
];

/** Where there is one server, its name says nothing. */
function unnamed(work: DatabaseWork): DatabaseWork {
  return { ...work, summaries: 'withoutNodes' };
}

/** One server without workers. */
export const PLAIN_ORDER: readonly Step<Situation>[] = [
  {
    heading: { number: 1, title: () => 'Creating roles...', planned: () => 'Create roles' },
    works: [intent, unnamed(users)],
  },
  {
    heading: {
      number: 2,
      title: (of) => `Creating database '${name(of)}'...`,
      planned: (of) => `Create database '${name(of)}'`,
    },
    alongside: () => false,
    works: [coordinatorDatabase],
  },
  {
    heading: { number: 3, title: () => 'Enabling extensions...', planned: () => 'Enable extensions' },
    alongside: () => false,
    works: [coordinatorExtensions],
  },
  {
    heading: {
      number: 4,
      title: () => 'Creating schemas and setting default privileges...',
      planned: () => 'Create schemas and set default privileges',
    },
    works: [unnamed(privileges), schemas],
  },
  {
    heading: {
      number: 5,
      title: () => 'Running custom initialization SQL...',
      planned: () => 'Run custom initialization SQL',
    },
    works: [initSql, unnamed(opening), opened, unnamed(rights)],
  },
  {
    heading: { number: 6, title: () => 'Setting database parameters...', planned: () => 'Set database parameters' },
    works: [parameterWarnings, parameters, comment],
  },
];

/** What every run observes beside what observations.ts lists. */
export const KINDS = kindsOf([...CLUSTER_ORDER, ...PLAIN_ORDER]);

export function orderOf(situation: Situation): readonly Step<Situation>[] {
  return isPlain(situation) ? PLAIN_ORDER : CLUSTER_ORDER;
}
