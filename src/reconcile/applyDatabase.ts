import { forgetOutstandingProof, recordOutstandingProof } from '../objects/bookkeeping.ts';
import type { StepLog } from '../report/stepLog.ts';
import { type CarriedOut, carryOut, type Tools } from './carryOut.ts';
import { executeChange } from './executeChange.ts';
import { orderOf } from './order.ts';
import { positionChanges } from './positions.ts';
import { probeDistributedTable, verifyNodes } from './prove.ts';
import { proveUsers, type UserProof } from './proveUsers.ts';
import { isPlain, type Situation, server } from './situation.ts';

/** Carries out the order of work on one database and proves it. Returns how many changes that took. */
export async function applyDatabase(situation: Situation, tools: Tools<Situation>): Promise<number> {
  const outstanding = server(situation, situation.topology.coordinator).unproved === true;
  const done = await carryOut(orderOf(situation), situation, tools);
  await withProofNoted(done, outstanding, tools, () => prove(done, outstanding, tools));
  await recordPositions(done.state, tools);
  return done.changes;
}

/**
 * What a run changed and could not prove, no later run would try again: there is nothing left to change. So a proof that
 * failed is noted, and made by the next run.
 */
async function withProofNoted(
  { state, changes }: CarriedOut<Situation>,
  outstanding: boolean,
  { run }: Tools<Situation>,
  proof: () => Promise<void>,
): Promise<void> {
  // Not by way of run.interruptible(): a signal must not keep it from being noted.
  const note = async (statements: string) => {
    const session = await run.session({ node: state.topology.coordinator, scope: 'server' });
    await session.script(statements, { deadlineMs: NOTE_DEADLINE_MS });
  };
  try {
    await proof();
  } catch (error) {
    if (changes > 0 && !outstanding) await note(recordOutstandingProof(state.database.name)).catch(() => undefined);
    throw error;
  }
  if (outstanding) await note(forgetOutstandingProof(state.database.name));
}

const NOTE_DEADLINE_MS = 4_000;

/** No change to what is declared, so it counts as none. */
async function recordPositions(state: Situation, { run, log }: Tools<Situation>): Promise<void> {
  if (isPlain(state)) return;
  for (const change of positionChanges(state)) await executeChange(run, change, log);
}

/** Without it nobody may say "is ready!". A distributed table is made only after a change: what worked, works. */
async function prove(
  { state, changes }: CarriedOut<Situation>,
  outstanding: boolean,
  { run, log }: Tools<Situation>,
): Promise<void> {
  log.blank();
  log.line(`Verifying database '${state.database.name}'${isPlain(state) ? '' : ' from every node'}...`);
  const proof = await verifyNodes(run, state, changes > 0);
  if (isPlain(state)) return log.line('✓ the database answers and holds what was declared', 1);
  log.line(`✓ ${proof.nodes} nodes, ${proof.links} of ${proof.nodes ** 2} connections between them work`, 1);
  if (changes === 0 && !outstanding) return;
  if (changes === 0) log.line('The proof of an earlier run failed and is repeated', 1);
  await probeDistributedTable(run, state);
  log.line('✓ a distributed table was created, written and read on every worker, and rolled back', 1);
  reportUsers(await proveUsers(run, state, 'all'), log);
}

export function reportUsers({ users, logins, unproved }: UserProof, log: StepLog): void {
  for (const text of unproved) log.warn(`Not proved from here: ${text}`, 1);
  if (users === 0) return;
  log.line(
    `✓ ${users} ${users === 1 ? 'user' : 'users'} logged in on every node and reached every other node (${logins} logins)`,
    1,
  );
}
