import { quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import type { ObservedMetadata } from './citusMetadata.ts';
import { wording } from './wording.ts';

/**
 * Without it the coordinator is known as localhost, and workers cannot reach it (Citus documentation,
 * citus_set_coordinator_host).
 */
export function diffCoordinatorHost(coordinator: NodeSpec, metadata: ObservedMetadata): readonly Change[] {
  const own = metadata.nodes.find((row) => row.groupid === 0 && row.noderole === 'primary');
  if (own !== undefined && own.nodename === coordinator.nodeName && own.nodeport === coordinator.nodePort) return [];
  return [
    {
      kind: 'change',
      node: coordinator,
      scope: 'database',
      creates: own === undefined,
      ...wording('register', `the coordinator as ${coordinator.nodeName}:${coordinator.nodePort}`),
      statements: [
        {
          text: `SELECT pg_catalog.citus_set_coordinator_host(${quoteLiteral(coordinator.nodeName)}, ${coordinator.nodePort})`,
        },
      ],
      starting: `Registering coordinator as: ${coordinator.nodeName}:${coordinator.nodePort}`,
      failure: 'Failed to register the coordinator under its own name',
      doneOnRetry: [],
      secret: false,
    },
  ];
}

/** The group is passed: citus_add_node() alone would take the next free number, not Patroni's. */
export function addWorkerSql(worker: NodeSpec): string {
  return `pg_catalog.citus_add_node(${quoteLiteral(worker.nodeName)}, ${worker.nodePort}, groupid => ${worker.group})`;
}

/**
 * All workers in one statement: one worker after the other costs several times as much. It is all or nothing, so a
 * failure does not say which worker it was: the caller then adds them one by one to find out.
 */
export function registerWorkers(coordinator: NodeSpec, workers: readonly NodeSpec[]): Change {
  return {
    kind: 'change',
    node: coordinator,
    scope: 'database',
    creates: true,
    ...wording(
      'register',
      `${workers.map((worker) => `${worker.nodeName}:${worker.nodePort} (group ${worker.group})`).join(', ')}`,
    ),
    statements: [{ text: `SELECT ${workers.map(addWorkerSql).join(', ')}` }],
    failure: `Failed to add worker${workers.length === 1 ? ` ${workers[0]?.nodeName}:${workers[0]?.nodePort}` : 's'}`,
    next: 'Look at the cause: the coordinator has to reach the worker by that name and log in to it (citus.node_conninfo, pg_hba, pg_dist_authinfo)',
    doneOnRetry: [],
    ...(workers.length > 1 ? { oneByOne: workers.map((worker) => registerWorkers(coordinator, [worker])) } : {}),
    secret: false,
  };
}

export function activateWorker(coordinator: NodeSpec, worker: NodeSpec, reason: string): Change {
  const name = `${worker.nodeName}:${worker.nodePort}`;
  return {
    kind: 'change',
    node: coordinator,
    scope: 'database',
    ...wording('sync', `metadata to ${name}: ${reason}`),
    statements: [
      { text: `SELECT pg_catalog.citus_activate_node(${quoteLiteral(worker.nodeName)}, ${worker.nodePort})` },
    ],
    starting: `Repairing worker: ${name} (${reason})`,
    failure: `Failed to activate worker ${name}`,
    next: 'Look at the cause; the worker has to accept writes and its database has to exist',
    doneOnRetry: [],
    secret: false,
  };
}

export const ACTIVE_WORKERS = `SELECT groupid, nodename, nodeport FROM pg_catalog.pg_dist_node
  WHERE groupid <> 0 AND noderole = 'primary' AND isactive ORDER BY groupid`;
