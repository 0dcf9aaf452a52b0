import { initSqlItems } from '../initSqlItems.ts';
import { line, type Step, type Work } from '../work.ts';
import { parameterNotices } from '../works/parameters.ts';
import {
  ownedCommentItems,
  ownedDatabaseItems,
  ownedExtensionItems,
  ownedParameterItems,
  ownedPrivilegeItems,
  ownedRightsItems,
  ownedRoleItems,
  ownedSchemaItems,
} from './items.ts';
import type { OwnerSituation } from './situation.ts';
import { ownedWorkerRightsItems, ownedWorkerRoleItems, ownedWorkerSchemaItems } from './workerItems.ts';

/**
 * The order of work where there is no superuser. Database, citus, pg_dist_authinfo and registration are there, or the run
 * has ended before it (rights.ts).
 */

type OwnedWork = Work<OwnerSituation>;

const onCoordinator: OwnedWork['nodes'] = ({ topology }) => [[topology.coordinator]];

const roles: OwnedWork = {
  name: 'users',
  nodes: ({ topology, database }) => (database.users.length === 0 ? [] : [[topology.coordinator]]),
  items: ownedRoleItems,
  log: 'once',
  summaries: 'withoutNodes',
  nothing: ({ database }) => {
    const names = database.users.map((user) => user.name);
    return names.length > 0 ? `Roles already exist: ${names.join(', ')}` : 'No users specified';
  },
};

const workerRoles: OwnedWork = {
  name: 'roles on workers',
  nodes: ({ topology, database, workers }) =>
    database.users.length === 0 || workers.length === 0 ? [] : [[topology.coordinator]],
  items: ownedWorkerRoleItems,
  log: 'once',
  summaries: 'withoutNodes',
  observe: (_, { changed }) => (changed ? 'servers' : undefined),
};

const database: OwnedWork = {
  name: 'database',
  nodes: onCoordinator,
  items: ownedDatabaseItems,
  log: 'once',
  summaries: 'withoutNodes',
  nothing: (situation) => `Database '${situation.database.name}' already exists`,
};

const extensions: OwnedWork = {
  name: 'extensions',
  nodes: onCoordinator,
  items: ownedExtensionItems,
  log: 'lines',
  after: () => [line('Extensions enabled!')],
};

/** Before schemas are made, which then have the right privileges from the start. */
const privileges: OwnedWork = {
  name: 'default privileges',
  nodes: onCoordinator,
  items: ownedPrivilegeItems,
  log: 'once',
  summaries: 'withoutNodes',
};

const schemas: OwnedWork = {
  name: 'schemas',
  nodes: onCoordinator,
  items: ownedSchemaItems,
  log: 'lines',
  nothing: (situation, stepChanged) => {
    if (stepChanged || situation.database.schemas.length > 0) return undefined;
    return situation.database.users.length === 0 ? 'No schemas specified' : 'Privileges are already set';
  },
};

const workerSchemas: OwnedWork = {
  name: 'schemas on workers',
  nodes: onCoordinator,
  items: ownedWorkerSchemaItems,
  log: 'once',
  summaries: 'withoutNodes',
  observe: ({ database: { schemas: declared } }, { changed }) =>
    changed && declared.length > 0 ? 'contentsAgain' : undefined,
};

const initSql: OwnedWork = {
  name: 'initSQL',
  nodes: onCoordinator,
  items: (situation, node) => initSqlItems(situation, node),
  log: 'lines',
};

const rights: OwnedWork = {
  name: 'rights on objects',
  nodes: ({ topology, database: { users } }) => (users.length === 0 ? [] : [[topology.coordinator]]),
  items: ownedRightsItems,
  log: 'once',
  summaries: 'withoutNodes',
  observe: (_, { changed }) => (changed ? 'contentsAgain' : undefined),
  nothing: (situation) => (situation.database.users.length === 0 ? undefined : 'Rights of users are as declared'),
};

const workerRights: OwnedWork = {
  name: 'rights on objects of workers',
  nodes: ({ topology, database: { users } }) => (users.length === 0 ? [] : [[topology.coordinator]]),
  items: ownedWorkerRightsItems,
  log: 'once',
  summaries: 'withoutNodes',
  observe: (_, { changed }) => (changed ? 'contentsAgain' : undefined),
};

const parameterWarnings: OwnedWork = {
  name: 'parameters that a database cannot hold',
  nodes: onCoordinator,
  items: parameterNotices.items,
  log: 'lines',
};

const parameters: OwnedWork = {
  name: 'parameters',
  nodes: onCoordinator,
  items: ownedParameterItems,
  log: 'once',
  summaries: 'withoutNodes',
  // Extensions and initSQL may have changed the settings of the database.
  observe: (situation, { changed }) => (changed && declaresParameters(situation) ? 'parameters' : undefined),
  nothing: (situation) =>
    declaresParameters(situation) ? 'Database parameters are already set' : 'No database parameters specified',
};

const comment: OwnedWork = {
  name: 'comment',
  nodes: onCoordinator,
  items: ownedCommentItems,
  log: 'once',
  summaries: 'withoutNodes',
};

function declaresParameters({ database: declared }: OwnerSituation): boolean {
  return [declared, ...declared.users].some((each) => Object.keys(each.parameters).length > 0);
}

const heading = (number: number, title: string, planned: string) => ({
  number,
  title: () => title,
  planned: () => planned,
});

export const OWNER_ORDER: readonly Step<OwnerSituation>[] = [
  { heading: heading(1, 'Creating roles...', 'Create roles'), works: [roles, workerRoles] },
  { heading: heading(2, 'Checking the database...', 'Change the database'), works: [database] },
  { heading: heading(3, 'Enabling extensions...', 'Enable extensions'), works: [extensions] },
  {
    heading: heading(
      4,
      'Creating schemas and setting default privileges...',
      'Create schemas and set default privileges',
    ),
    works: [privileges, schemas, workerSchemas],
  },
  {
    heading: heading(5, 'Running custom initialization SQL...', 'Run custom initialization SQL'),
    works: [initSql, rights, workerRights],
  },
  {
    heading: heading(6, 'Setting database parameters...', 'Set database parameters'),
    works: [parameterWarnings, parameters, comment],
  },
];
