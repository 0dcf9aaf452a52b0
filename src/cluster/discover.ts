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
  return rows.map((row) => ({
    group: row.groupid,
    host: row.nodename,
    port: row.nodeport,
    nodeName: row.nodename,
    nodePort: row.nodeport,
  }));
}

interface WorkerRow {
  readonly groupid: number;
  readonly nodename: string;
  readonly nodeport: number;
}

async function query(sessions: Sessions, coordinator: NodeSpec, database: string): Promise<readonly WorkerRow[]> {
  try {
    const session = await sessions.get(coordinator, database);
    return (await session.query<WorkerRow>(ACTIVE_WORKERS)).rows;
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
