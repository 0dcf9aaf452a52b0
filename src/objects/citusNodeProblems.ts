import { createHash } from 'node:crypto';
import { integerLiteral, quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Problem } from './change.ts';
import { type ObservedCitusNode, type ObservedMetadata, registration } from './citusMetadata.ts';

/** The digest (`tables`) of a node without distributed tables. */
const NO_TABLES = createHash('md5').update('').digest('hex');

/** What one worker is, beside what the coordinator knows of it. */
interface Seen {
  readonly coordinator: NodeSpec;
  readonly worker: NodeSpec;
  readonly label: string;
  /** The worker's row on the coordinator. */
  readonly row: ObservedCitusNode | undefined;
  /** Another node of its group there. */
  readonly sameGroup: ObservedCitusNode | undefined;
  readonly known: ObservedMetadata | undefined;
  /** What the worker itself knows. */
  readonly own: ObservedMetadata | undefined;
}

/** What contradicts the declared nodes in such a way that going on could join two clusters. */
export function citusNodeProblems(
  coordinator: NodeSpec,
  workers: readonly NodeSpec[],
  metadata: ReadonlyMap<number, ObservedMetadata | undefined>,
  label: (node: NodeSpec) => string,
): readonly Problem[] {
  const known = metadata.get(coordinator.group);
  return workers.flatMap((worker) => {
    const row = known === undefined ? undefined : registration(worker, known);
    const sameGroup = known?.nodes.find(
      (candidate) => candidate.groupid === worker.group && candidate.noderole === 'primary' && candidate !== row,
    );
    const own = metadata.get(worker.group);
    const seen: Seen = { coordinator, worker, label: label(worker), row, sameGroup, known, own };
    return [...registeredOtherwise(seen), ...ofAnotherGroup(seen), ...ofAnotherCluster(seen)];
  });
}

/** Under another group, or its group under another name. */
function registeredOtherwise({ worker, row, sameGroup }: Seen): readonly Problem[] {
  if (row !== undefined && row.groupid !== worker.group) {
    return [
      {
        kind: 'refused',
        what: `${worker.nodeName}:${worker.nodePort} is registered as group ${row.groupid}, not ${worker.group}`,
        next: "Correct the worker's group, or remove the node with citus_remove_node() if it holds no shards",
      },
    ];
  }
  if (sameGroup === undefined) return [];
  return [
    {
      kind: 'refused',
      what: `Group ${worker.group} is registered as ${sameGroup.nodename}:${sameGroup.nodeport}, not as ${worker.nodeName}:${worker.nodePort}`,
      next: `If it is the same server: SELECT citus_update_node(${integerLiteral(sameGroup.nodeid)}, ${quoteLiteral(worker.nodeName)}, ${worker.nodePort})`,
    },
  ];
}

function ofAnotherGroup({ worker, label, known, own }: Seen): readonly Problem[] {
  if (own === undefined || own.localGroup === 0 || own.localGroup === worker.group) return [];
  if (known?.nodes.some(({ groupid, noderole }) => groupid === own.localGroup && noderole === 'primary') !== true) {
    return [];
  }
  return [
    {
      kind: 'refused',
      what: `The database on this worker is that of group ${own.localGroup}, not of group ${worker.group}`,
      node: label,
      next: 'Compare the addresses of the workers, and the backup from which this one was restored: its shards are those of the other group',
    },
  ];
}

function ofAnotherCluster({ coordinator, label, row, sameGroup, known, own }: Seen): readonly Problem[] {
  const itsCoordinator = own?.nodes.find((candidate) => candidate.groupid === 0 && candidate.noderole === 'primary');
  const foreign =
    itsCoordinator !== undefined &&
    itsCoordinator.nodename !== 'localhost' &&
    row === undefined &&
    !(itsCoordinator.nodename === coordinator.nodeName && itsCoordinator.nodeport === coordinator.nodePort);
  const ownCluster = own !== undefined && own.localGroup === 0 && own.nodes.some((node) => node.groupid > 0);
  if (foreign || ownCluster) {
    const whose = ownCluster ? 'itself' : `${itsCoordinator?.nodename}:${itsCoordinator?.nodeport}`;
    return [
      {
        kind: 'refused',
        what: `The database on this worker belongs to another Citus cluster, whose coordinator is ${whose}`,
        node: label,
        next: 'Compare pg_dist_node there with the one of the coordinator: what the database holds may be in use. If the nodes are the same ones under other names, correct the names with citus_update_node() and run again; otherwise declare another worker, or the database under another name',
      },
    ];
  }
  // Where the coordinator knows the group under another name, these tables are in use.
  if (row !== undefined || sameGroup !== undefined || own === undefined || own.tables === NO_TABLES) return [];
  // A worker that was drained keeps what it knew. From its side it cannot be told from one of an earlier database.
  if (known !== undefined && known.tables !== NO_TABLES) {
    return [
      {
        kind: 'refused',
        what: 'The database on this worker holds distributed tables from before: it was drained, or belongs to an earlier database of that name',
        node: label,
        next: 'If it was drained, all its rows are on other nodes: on this worker alone, DROP DATABASE … WITH (FORCE), and run again, which makes it there. Else look first at what it holds',
      },
    ];
  }
  return [
    {
      kind: 'refused',
      what: 'The database on this worker holds distributed tables that the coordinator does not know: they belong to an earlier database of that name',
      node: label,
      next: "Restore the coordinator's database from its backup; or, if this data may go, remove what is left of it (citus-databases drop) and run again",
    },
  ];
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
      next: `Declare it in cluster.workers, or remove it once it holds no shards: SELECT citus_remove_node(${quoteLiteral(nodename)}, ${integerLiteral(nodeport)}). cluster.acceptUndeclaredNodes: true gives it the passwords`,
    }));
}
