import { createHash } from 'node:crypto';
import { quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { describeParts, type MetadataPart } from './metadataParts.ts';
import { type Fragment, jsonRows } from './observe.ts';
import { wording } from './wording.ts';

/** A row of pg_dist_node, as one node sees it. */
export interface ObservedCitusNode {
  readonly nodeid: number;
  readonly groupid: number;
  readonly nodename: string;
  readonly nodeport: number;
  readonly noderole: string;
  readonly isactive: boolean;
  readonly hasmetadata: boolean;
  readonly metadatasynced: boolean;
  readonly shouldhaveshards?: boolean;
}

/** What one node knows of the Citus cluster, in one database. */
export interface ObservedMetadata {
  readonly nodes: readonly ObservedCitusNode[];
  readonly localGroup: number;
  /**
   * Digest of the tables and their numbers of shards, equal on all nodes whose metadata is synced. Append- and
   * range-distributed tables are left out: Citus keeps their metadata on the coordinator (metadata_sync.c,
   * ShouldSyncTableMetadata).
   */
  readonly tables: string;
}

export function observeMetadata(): Fragment {
  return {
    key: 'metadata',
    when: "pg_catalog.to_regclass('pg_catalog.pg_dist_node') IS NOT NULL",
    value: metadataValue(),
  };
}

export function metadataValue(): string {
  return `pg_catalog.jsonb_build_object(
    'nodes', ${jsonRows(`
      SELECT nodeid, groupid, nodename, nodeport, noderole, isactive, hasmetadata, metadatasynced, shouldhaveshards
      FROM pg_catalog.pg_dist_node ORDER BY nodeid`)},
    'localGroup', (SELECT groupid FROM pg_catalog.pg_dist_local_group),
    'tables', (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(
        pg_catalog.concat_ws(':', n.nspname, c.relname, p.partmethod, s.shards), ',' ORDER BY n.nspname, c.relname), ''))
      FROM pg_catalog.pg_dist_partition p
      JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS shards FROM pg_catalog.pg_dist_shard s WHERE s.logicalrelid = p.logicalrelid) s
      WHERE p.partmethod IN ('h', 'n')))`;
}

/** The digest (`tables`) of a node without distributed tables. */
const NO_TABLES = createHash('md5').update('').digest('hex');

/** Nodes that a database's coordinator has to know and does not. */
export function missingWorkers(workers: readonly NodeSpec[], metadata: ObservedMetadata): readonly NodeSpec[] {
  return workers.filter((worker) => registration(worker, metadata) === undefined);
}

export function registration(node: NodeSpec, metadata: ObservedMetadata): ObservedCitusNode | undefined {
  return metadata.nodes.find(
    (row) => row.nodename === node.nodeName && row.nodeport === node.nodePort && row.noderole === 'primary',
  );
}

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

/**
 * Registered workers whose own metadata is not the coordinator's: dropped and made again, restored from an older
 * backup, or never synced. The coordinator's flags do not tell (citus_add_node() returns early for a known node).
 */
export function staleReason(
  worker: NodeSpec,
  coordinator: ObservedMetadata,
  own: ObservedMetadata | undefined,
  /** Parts of its metadata that are not the coordinator's. */
  differing: readonly MetadataPart[] = [],
): string | undefined {
  const row = registration(worker, coordinator);
  if (row === undefined) return undefined;
  if (!row.isactive) return 'it is disabled';
  if (!row.hasmetadata || !row.metadatasynced) return 'its metadata is not synced';
  if (own === undefined) return 'its database has no Citus metadata';
  if (own.localGroup !== row.groupid) return `it takes itself for group ${own.localGroup}`;
  if (nodesKey(own.nodes) !== nodesKey(coordinator.nodes)) return 'it knows other nodes than the coordinator';
  if (own.tables !== coordinator.tables) return 'it knows other distributed tables than the coordinator';
  if (differing.length > 0) return `it knows ${describeParts(differing)} than the coordinator`;
  return undefined;
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

/** What contradicts the declared nodes in such a way that going on could join two clusters. */
export function citusNodeProblems(
  coordinator: NodeSpec,
  workers: readonly NodeSpec[],
  metadata: ReadonlyMap<number, ObservedMetadata | undefined>,
  label: (node: NodeSpec) => string,
): readonly Problem[] {
  const known = metadata.get(coordinator.group);
  const problems: Problem[] = [];
  for (const worker of workers) {
    const row = known === undefined ? undefined : registration(worker, known);
    const sameGroup = known?.nodes.find(
      (candidate) => candidate.groupid === worker.group && candidate.noderole === 'primary' && candidate !== row,
    );
    if (row !== undefined && row.groupid !== worker.group) {
      problems.push({
        kind: 'refused',
        what: `${worker.nodeName}:${worker.nodePort} is registered as group ${row.groupid}, not ${worker.group}`,
        next: "Correct the worker's group, or remove the node with citus_remove_node() if it holds no shards",
      });
    } else if (sameGroup !== undefined) {
      problems.push({
        kind: 'refused',
        what: `Group ${worker.group} is registered as ${sameGroup.nodename}:${sameGroup.nodeport}, not as ${worker.nodeName}:${worker.nodePort}`,
        next: `If it is the same server: SELECT citus_update_node(${sameGroup.nodeid}, ${quoteLiteral(worker.nodeName)}, ${worker.nodePort})`,
      });
    }
    const own = metadata.get(worker.group);
    if (
      own !== undefined &&
      own.localGroup !== 0 &&
      own.localGroup !== worker.group &&
      known?.nodes.some(({ groupid, noderole }) => groupid === own.localGroup && noderole === 'primary') === true
    ) {
      problems.push({
        kind: 'refused',
        what: `The database on this worker is that of group ${own.localGroup}, not of group ${worker.group}`,
        node: label(worker),
        next: 'Compare the addresses of the workers, and the backup from which this one was restored: its shards are those of the other group',
      });
    }
    const itsCoordinator = own?.nodes.find((candidate) => candidate.groupid === 0 && candidate.noderole === 'primary');
    const foreign =
      itsCoordinator !== undefined &&
      itsCoordinator.nodename !== 'localhost' &&
      row === undefined &&
      !(itsCoordinator.nodename === coordinator.nodeName && itsCoordinator.nodeport === coordinator.nodePort);
    const ownCluster = own !== undefined && own.localGroup === 0 && own.nodes.some((node) => node.groupid > 0);
    if (foreign || ownCluster) {
      const whose = ownCluster ? 'itself' : `${itsCoordinator?.nodename}:${itsCoordinator?.nodeport}`;
      problems.push({
        kind: 'refused',
        what: `The database on this worker belongs to another Citus cluster, whose coordinator is ${whose}`,
        node: label(worker),
        next: 'Compare pg_dist_node there with the one of the coordinator: what the database holds may be in use. If the nodes are the same ones under other names, correct the names with citus_update_node() and run again; otherwise declare another worker, or the database under another name',
      });
    } else if (row === undefined && sameGroup === undefined && own !== undefined && own.tables !== NO_TABLES) {
      // Where the coordinator knows the group under another name, these tables are in use.
      problems.push({
        kind: 'refused',
        what: 'The database on this worker holds distributed tables that the coordinator does not know: they belong to an earlier database of that name',
        node: label(worker),
        next: "Restore the coordinator's database from its backup; or, if this data may go, remove what is left of it (citus-databases drop) and run again",
      });
    }
  }
  return problems;
}

/** Workers that the coordinator knows and the spec does not: never removed, only told. */
export function surplusWorkers(workers: readonly NodeSpec[], metadata: ObservedMetadata): readonly ObservedCitusNode[] {
  return metadata.nodes.filter(
    (row) => row.groupid !== 0 && row.noderole === 'primary' && !workers.some((worker) => worker.group === row.groupid),
  );
}

/**
 * A row of pg_dist_authinfo for nodeid 0 gives its password to every node that is registered: one that nobody declared may
 * be anybody's server.
 */
export function undeclaredNodeProblems(
  declared: readonly NodeSpec[],
  metadata: ObservedMetadata | undefined,
): readonly Problem[] {
  const rows = metadata?.nodes ?? [];
  return rows
    .filter(
      ({ groupid, nodename, nodeport }) =>
        groupid !== 0 &&
        !declared.some((node) => node.group === groupid) &&
        !declared.some((node) => node.nodeName === nodename && node.nodePort === nodeport),
    )
    .map(({ groupid, nodename, nodeport }) => ({
      kind: 'refused',
      what: `Node ${nodename}:${nodeport} (group ${groupid}) is registered and not declared: it would get the passwords in pg_dist_authinfo`,
      next: `Declare it in cluster.workers, or remove it once it holds no shards: SELECT citus_remove_node('${nodename}', ${nodeport}). cluster.acceptUndeclaredNodes: true gives it the passwords`,
    }));
}

function nodesKey(nodes: readonly ObservedCitusNode[]): string {
  return nodes
    .map((row) => `${row.nodeid}/${row.groupid}/${row.nodename}:${row.nodeport}/${row.noderole}/${row.isactive}`)
    .toSorted()
    .join(' ');
}

export const ACTIVE_WORKERS = `SELECT groupid, nodename, nodeport FROM pg_catalog.pg_dist_node
  WHERE groupid <> 0 AND noderole = 'primary' AND isactive ORDER BY groupid`;
