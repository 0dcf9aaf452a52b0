import type { Change, Item } from '../../objects/change.ts';
import { NO_METADATA, registration } from '../../objects/citusMetadata.ts';
import { diffSchemas, diffTenantSchemas, diffWorkerSchemas } from '../../objects/schema.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, isPlain, type Situation } from '../situation.ts';
import { type DatabaseWork, onCoordinator, onDatabaseNodes } from './databaseWork.ts';

export const schemas: DatabaseWork = {
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

function schemaItems(situation: Situation): readonly Item[] {
  const { coordinator } = situation.topology;
  const { schemas, tenantSchemas = [] } = inside(situation, coordinator);
  return [
    ...diffSchemas(situation.database, schemas, coordinator),
    ...diffTenantSchemas(situation.database, schemas, tenantSchemas, situation.spec.cluster.user, coordinator),
  ];
}

/** What the coordinator has and a worker lacks, or has from somebody else: initSQL relies on it. */
export const workerSchemas: DatabaseWork = {
  name: 'schemas on workers',
  nodes: onDatabaseNodes,
  items: workerSchemaItems,
  log: 'once',
  observe: ({ database }, { changed }) => (changed && database.schemas.length > 0 ? 'contentsAgain' : undefined),
};

/** On a worker: what Citus should have carried there. Not before it is registered: then it may still do so. */
function workerSchemaItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { coordinator } = situation.topology;
  const { metadata = NO_METADATA, schemas } = inside(situation, coordinator);
  if (node.group === coordinator.group || registration(node, metadata) === undefined) return [];
  return diffWorkerSchemas(situation.database, schemas, inside(situation, node).schemas, node);
}
