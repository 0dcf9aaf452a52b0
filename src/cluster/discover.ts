import type { Context } from '../context.ts';
import { ACTIVE_WORKERS } from '../objects/citusNode.ts';
import type { Sessions } from '../postgres/sessions.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { NodeSpec } from '../spec/types.ts';

/**
 * The workers that the database Patroni manages knows: for specs that name none. Finding none is a failure, because a
 * database without workers is hardly what was meant.
 */
export async function discoverWorkers(context: Context, sessions: Sessions): Promise<readonly NodeSpec[]> {
  const { coordinator, database } = context.spec.cluster;
  const rows = await query(sessions, coordinator, database);
  if (rows.length === 0) {
    throw new Failure({
      kind: 'failed',
      what: 'No worker is registered, and the spec names none',
      node: coordinator.nodeName,
      database,
      next: 'List the workers in cluster.workers, or wait until Patroni has registered them (SELECT * FROM pg_dist_node)',
    });
  }
  return rows;
}

type WorkerRow = Readonly<Record<'groupid' | 'nodename' | 'nodeport', unknown>>;

/** What a server calls a number may be any text: its types are what it says of them. */
function workerOf({ groupid, nodename, nodeport }: WorkerRow): NodeSpec {
  if (!isNumber(groupid, 1, 2_147_483_647) || !isNumber(nodeport, 1, 65_535) || typeof nodename !== 'string') {
    throw new Error('the coordinator names a worker whose group or port is no such number');
  }
  return { group: groupid, host: nodename, port: nodeport, nodeName: nodename, nodePort: nodeport };
}

function isNumber(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

async function query(sessions: Sessions, coordinator: NodeSpec, database: string): Promise<readonly NodeSpec[]> {
  try {
    const session = await sessions.get(coordinator, database);
    return (await session.query<WorkerRow>(ACTIVE_WORKERS)).rows.map(workerOf);
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: 'Failed to look for workers, which the spec does not name',
        node: coordinator.nodeName,
        database,
        cause: describe(error),
        next: 'List the workers in cluster.workers, or let cluster.database name a database that has Citus',
      },
      { cause: error },
    );
  }
}
