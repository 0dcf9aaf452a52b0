import { initialise, prepareSchemas, setParameters } from './fillDatabase.ts';
import { authenticateNodes, registerWorkers } from './joinNodes.ts';
import { makeDatabases } from './makeDatabases.ts';
import { type ApplyTools, Progress } from './progress.ts';
import { probeDistributedTable, verifyNodes } from './prove.ts';
import type { Situation } from './situation.ts';

/**
 * Makes one database so, in the eight steps, and proves it. The situation was observed under the lock. Returns how many
 * changes it took.
 */
export async function applyDatabase(situation: Situation, tools: ApplyTools): Promise<number> {
  const progress = new Progress(situation, tools);
  await makeDatabases(progress);
  if (progress.citus) {
    await authenticateNodes(progress);
    await registerWorkers(progress);
  }
  await prepareSchemas(progress);
  await initialise(progress);
  await setParameters(progress);
  await prove(progress);
  return progress.changes;
}

/** Without it nobody may say "is ready!". A distributed table is made only after a change: what worked, works. */
async function prove(progress: Progress): Promise<void> {
  const { run, situation, citus } = progress;
  const log = progress.tools.log.about({});
  log.blank();
  log.line(`Verifying database '${situation.database.name}'${citus ? ' from every node' : ''}...`);
  const proof = await verifyNodes(run, situation);
  if (!citus) return log.line('✓ the database answers and holds what was declared', 1);
  log.line(`✓ ${proof.nodes} nodes, ${proof.links} of ${proof.nodes ** 2} connections between them work`, 1);
  if (progress.changes === 0) return;
  await probeDistributedTable(run, situation);
  log.line('✓ a distributed table was created, written and read on every worker, and rolled back', 1);
}
