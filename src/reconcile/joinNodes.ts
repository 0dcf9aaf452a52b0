import { byGroup } from '../concurrency/parallel.ts';
import { type Change, type Item, isChange } from '../objects/change.ts';
import { diffManagedRoles } from '../objects/distributedRole.ts';
import type { StepLog } from '../report/stepLog.ts';
import { executeItems } from './lanes.ts';
import { observeRolesOf } from './observe.ts';
import type { Progress } from './progress.ts';
import { inside } from './situation.ts';
import { authenticationNotes, authinfoItems, registrationItems } from './steps.ts';

/** Step 5: how nodes log in to each other, on every node. */
export async function authenticateNodes(progress: Progress): Promise<void> {
  const step = progress.begin(5);
  await executeItems(progress.run, authenticationNotes(progress.situation), step, 1);
  const due = progress.nodes
    .map((node) => ({ node, items: authinfoItems(progress.situation, node) }))
    .filter(({ items }) => items.length > 0);
  if (due.length === 0) {
    step.line('Authentication between nodes is already configured on every node', 1);
    return;
  }
  step.line('Configuring authentication for coordinator (nodeid=0)...', 1);
  await progress.executeInParallel(
    due.map(({ node, items }) => progress.nodeWork(node, items, '')),
    step,
  );
  step.line('Coordinator authentication configured!', 1);
  const names = due.map(({ node }) => progress.run.label(node)).join(', ');
  step.line(`Written on ${names}: nodeid 0 stands for every node`, 1);
}

/** Step 6: the coordinator gets to know the workers, and those that forgot the cluster learn it again. */
export async function registerWorkers(progress: Progress): Promise<void> {
  const step = progress.begin(6);
  const items = registrationItems(progress.situation);
  if (!items.some(isChange)) {
    await progress.execute(compact(items, progress.situation.topology.workers.length), step);
    return;
  }
  await progress.tools.withRegistrationLock(async () => {
    await copyManagedRoles(progress, step);
    await progress.execute(items, step);
  });
  step.line('Workers added successfully!', 1);
}

/** What Citus itself would do while a node is added or synced, with verifiers in the workers' logs. */
async function copyManagedRoles(progress: Progress, step: StepLog): Promise<void> {
  const { run, situation } = progress;
  const { coordinator, workers } = situation.topology;
  const known = inside(situation, coordinator).distributedRoles ?? [];
  const names = known.filter((name) => name !== situation.spec.cluster.user);
  if (names.length === 0) return;
  const wanted = await observeRolesOf(run, coordinator, names);
  const observed = await byGroup(workers, (node) => observeRolesOf(run, node, names));
  await progress.onNodes(
    workers,
    (node) => diffManagedRoles(wanted, observed.get(node.group) ?? wanted, node, run.label(node)).map(quietly),
    step,
  );
}

/** Without a line of its own for each node. */
function quietly({ starting: _, ...change }: Change): Change {
  return change;
}

/** With many workers, one line instead of one for each. */
function compact(items: readonly Item[], workers: number): readonly Item[] {
  const text = `${workers} ${workers === 1 ? 'worker is' : 'workers are'} already registered`;
  return [{ kind: 'note', text }, ...items.filter((item) => item.kind !== 'note')];
}
