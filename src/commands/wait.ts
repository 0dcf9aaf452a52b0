import { joinCluster } from '../cluster/join.ts';
import type { Context } from '../context.ts';

/** Waits until every node accepts writes, and does nothing else. */
export async function wait(context: Context): Promise<void> {
  const joined = await joinCluster(context);
  await joined.sessions.close();
  const nodes = 1 + joined.workers.length;
  context.log.line(nodes === 1 ? 'PostgreSQL is ready!' : `All ${nodes} nodes are ready!`);
}
