import { allNodes } from '../cluster/topology.ts';
import { isChange } from '../objects/change.ts';
import { holdBack } from '../report/heldLog.ts';
import type { StepLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import { executeItems, type NodeWork } from './lanes.ts';
import type { Progress } from './progress.ts';
import { inside, server, withInside } from './situation.ts';
import {
  coordinatorCitusItems,
  coordinatorDatabaseItems,
  coordinatorExtensionItems,
  intentItems,
  roleItems,
  workerInsideItems,
  workerServerItems,
} from './steps.ts';
import { userItems } from './userSteps.ts';

/** Steps 1 to 4: roles, the database, Citus and the extensions, on the workers and on the coordinator. */
export async function makeDatabases(progress: Progress): Promise<void> {
  const { tools, situation } = progress;
  const { coordinator } = situation.topology;
  const step = progress.begin(1);
  await progress.execute(intentItems(situation), step);
  await makeRoles(progress, step);
  if (!progress.citus) return await makeOnCoordinator(progress, tools.log);

  const works = workerWorks(progress);
  if (server(situation, coordinator).database === null) return await atTheSameTime(progress, works, step);
  await progress.executeInParallel(works, step);
  await makeOnCoordinator(progress, tools.log);
}

async function makeRoles(progress: Progress, step: StepLog): Promise<void> {
  const { database, topology } = progress.situation;
  if (database.users.length === 0) {
    if (!progress.citus) step.line('No users specified', 1);
    return;
  }
  const nodes = allNodes(topology);
  const itemsOf = (node: NodeSpec) => userItems(progress.situation, node);
  if (nodes.every((node) => itemsOf(node).length === 0)) {
    step.line(`Roles already exist: ${database.users.map((user) => user.name).join(', ')}`, 1);
    return;
  }
  // Two runs at once would each make a verifier of their own, with another salt.
  await progress.tools.withRegistrationLock(async () => {
    await progress.lookAgainAtServers();
    // The coordinator first: after a failure the workers take their verifier from it.
    await progress.onNodes([topology.coordinator], itemsOf, step);
    await progress.onNodes(nodes.slice(1), itemsOf, step);
  });
}

function workerWorks(progress: Progress): readonly NodeWork[] {
  const { database, topology } = progress.situation;
  // The coordinator as it was: what it gets meanwhile must not decide what a worker gets.
  const coordinatorAtFirst = inside(progress.situation, topology.coordinator);
  const works = topology.workers.map((worker): NodeWork => {
    const name = progress.run.label(worker);
    return {
      node: worker,
      run: async (lane) => {
        lane.line(`Configuring worker: ${name}`, 1);
        lane.line(`Worker ${name} is ready!`, 2);
        const made = await executeItems(progress.run, workerServerItems(progress.situation, worker), lane, 2);
        await progress.look(worker);
        const items = workerInsideItems(
          withInside(progress.situation, topology.coordinator, coordinatorAtFirst),
          worker,
        );
        const filled = await executeItems(progress.run, items, lane, 2);
        lane.line(`Worker ${name} configured successfully!`, 2);
        return { changes: made + filled, quiet: `ready; database '${database.name}' and its extensions already exist` };
      },
    };
  });
  // Roles belong to servers: nodes that the database leaves out get them as well.
  const others = topology.otherWorkers
    .map((node) => ({ node, items: roleItems(progress.situation, node) }))
    .filter(({ items }) => items.length > 0)
    .map(({ node, items }) => progress.nodeWork(node, items, 'roles already exist'));
  return [...works, ...others];
}

/**
 * A coordinator without the database has nothing to do with the workers yet: it is made ready while they are, and told
 * of in its turn. One after the other would take nearly twice as long.
 */
async function atTheSameTime(progress: Progress, works: readonly NodeWork[], step: StepLog): Promise<void> {
  const { log: held, release } = holdBack(progress.tools.log);
  // Both end before anything is thrown. What failed first in the order of the steps is what there is to tell.
  const outcomes = await Promise.allSettled([
    progress.executeInParallel(works, step).then(release),
    makeOnCoordinator(progress, held),
  ]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** Steps 2 to 4. */
async function makeOnCoordinator(progress: Progress, to: StepLog): Promise<void> {
  const { coordinator } = progress.situation.topology;
  await progress.execute(coordinatorDatabaseItems(progress.situation), progress.goOn(2, to));
  await progress.look(coordinator);
  if (progress.citus) await progress.execute(coordinatorCitusItems(progress.situation), progress.goOn(3, to));
  const step = progress.goOn(4, to);
  const extensions = coordinatorExtensionItems(progress.situation);
  await progress.execute(extensions, step);
  if (!extensions.some(isChange)) return;
  step.line(progress.citus ? 'Additional extensions enabled on coordinator!' : 'Extensions enabled!', 1);
}
