import type { Problem } from '../../objects/change.ts';
import { registration } from '../../objects/citusMetadata.ts';
import { addWorkerSql } from '../../objects/citusNode.ts';
import { diffShouldHaveShards } from '../../objects/nodeShards.ts';
import { quoteIdentifier, quoteLiteral } from '../../postgres/quote.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, label } from '../situation.ts';
import type { AskedNode, OwnerSituation } from './situation.ts';

/** What of the cluster itself is not as declared: only a superuser makes and registers nodes. Pure. */
export function clusterProblems(situation: OwnerSituation): readonly Problem[] {
  const { declared, database, topology } = situation;
  if (!declared.cluster.citus) return [];
  const coordinator = label(situation, topology.coordinator);
  const { extensions } = inside(situation, topology.coordinator);
  if (!extensions.some(({ name }) => name === 'citus')) {
    return [
      {
        kind: 'refused',
        what: `Database '${database.name}' has no extension citus, and only a superuser creates it`,
        node: coordinator,
        next: `Let an administrator run, in this database on every node: CREATE EXTENSION citus; and register the workers there. Without Citus: cluster.citus: false`,
      },
    ];
  }
  return [
    ...registrationProblems(situation),
    ...situation.workers.flatMap((worker) => workerProblems(situation, worker)),
    ...shardProblems(situation),
  ];
}

/** Declared workers, and groups of workers, that the database does not know. */
function registrationProblems(situation: OwnerSituation): readonly Problem[] {
  const { declared, database, rights, topology } = situation;
  const { metadata } = inside(situation, topology.coordinator);
  if (metadata === undefined) return [];
  const node = label(situation, topology.coordinator);
  const { workers } = declared.cluster;
  const wanted = database.workerGroups;
  const takesPart = ({ group }: NodeSpec) => wanted === undefined || wanted.includes(group);
  const problems = (workers ?? []).filter(takesPart).flatMap((worker): readonly Problem[] => {
    const row = registration(worker, metadata);
    const name = `${worker.nodeName}:${worker.nodePort} (group ${worker.group})`;
    if (row?.groupid === worker.group) return [];
    if (row !== undefined) {
      return [
        {
          kind: 'refused',
          what: `Worker ${name} is registered in database '${database.name}' as group ${row.groupid}`,
          node,
          next: `Declare it as group ${row.groupid}`,
        },
      ];
    }
    return [
      {
        kind: 'refused',
        what: `Worker ${name} is not registered in database '${database.name}', and '${rights.user}' may not register it`,
        node,
        next: `Let an administrator run, in this database on the coordinator: SELECT ${addWorkerSql(worker)}; or take it out of cluster.workers`,
      },
    ];
  });
  const named = new Set(workers?.map(({ group }) => group));
  const unknown = (wanted ?? []).filter(
    (group) => !named.has(group) && !situation.workers.some((worker) => worker.node.group === group),
  );
  return [
    ...problems,
    ...unknown.map(
      (group): Problem => ({
        kind: 'refused',
        what: `No worker of group ${group} is registered in database '${database.name}'`,
        node,
        next: 'Let an administrator register one (citus_add_node), or take the group out of workerGroups',
      }),
    ),
  ];
}

function workerProblems(situation: OwnerSituation, { node, isActive, answer, problem }: AskedNode): readonly Problem[] {
  const { rights, database, nodes } = situation;
  const name = label(situation, node);
  if (!isActive) {
    return [
      {
        kind: 'refused',
        what: `The worker is disabled in database '${database.name}', and '${rights.user}' may not activate it`,
        node: name,
        next: `Let an administrator run, in this database on the coordinator: SELECT citus_activate_node(${quoteLiteral(node.nodeName)}, ${node.nodePort})`,
      },
    ];
  }
  if (answer === undefined) {
    return [
      {
        kind: 'failed',
        what: `The coordinator does not reach the worker as '${rights.user}': ${problem ?? 'no answer'}`,
        node: name,
        next: `When the worker is well: '${rights.user}' has to exist there, and nodes have to let it in from the coordinator (pg_hba.conf; a row of pg_dist_authinfo on every node), which is for an administrator to do`,
      },
    ];
  }
  if (answer.standby) {
    return [
      {
        kind: 'failed',
        what: 'What answers there is a standby, which takes no writes',
        node: name,
        next: 'Wait until the service has failed over, and run again',
      },
    ];
  }
  if (answer.nodes === nodes) return [];
  return [
    {
      kind: 'refused',
      what: `The worker knows other nodes (pg_dist_node) than the coordinator in database ${quoteIdentifier(database.name)}`,
      node: name,
      next: `Let an administrator run, in this database on the coordinator: SELECT start_metadata_sync_to_node(${quoteLiteral(node.nodeName)}, ${node.nodePort})`,
    },
  ];
}

function shardProblems(situation: OwnerSituation): readonly Problem[] {
  const { database, rights, topology, workers } = situation;
  const { metadata } = inside(situation, topology.coordinator);
  const nodes = [topology.coordinator, ...workers.map(({ node }) => node)];
  return diffShouldHaveShards(database, nodes, metadata, topology.coordinator).map((change) => ({
    kind: 'refused',
    what: `${change.summary}: '${rights.user}' may not change nodes`,
    node: label(situation, topology.coordinator),
    next: `Let an administrator run, in this database on the coordinator: ${change.statements.map(({ text }) => text).join('; ')}`,
  }));
}
