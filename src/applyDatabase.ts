import { allNodes, databaseNodes } from './cluster/topology.ts';
import type { Session } from './execute/connection.ts';
import { executeInitSql } from './execute/initSql.ts';
import { executeInParallel, executeItems, type NodeWork } from './execute/lanes.ts';
import { observeDatabaseOf, observeRolesOf } from './execute/observe.ts';
import { forAll } from './execute/parallel.ts';
import { inStep, type Run } from './execute/run.ts';
import { probeDistributedTable, verifyNodes } from './execute/verify.ts';
import type { AcceptedInitSql } from './look.ts';
import { type Change, type Item, isChange, type StepNumber } from './objects/change.ts';
import { diffManagedRoles } from './objects/distributedRole.ts';
import { MARK_SESSION } from './objects/initSql/marker.ts';
import { inside, type Situation, server, withInside } from './plan/situation.ts';
import {
  authenticationNotes,
  authinfoItems,
  coordinatorCitusItems,
  coordinatorDatabaseItems,
  coordinatorExtensionItems,
  intentItems,
  parameterItems,
  parameterWarningItems,
  registrationItems,
  roleItems,
  schemaItems,
  workerInsideItems,
  workerServerItems,
} from './plan/steps.ts';
import { stepHeading } from './plan/stepTitles.ts';
import { privilegeItems, relationAccessItems, schemaAccessItems, sentence, userItems } from './plan/userSteps.ts';
import { holdBack } from './report/heldLog.ts';
import type { StepLog } from './report/stepLog.ts';
import type { NodeSpec } from './spec/types.ts';

export interface ApplyTools {
  readonly run: Run;
  readonly log: StepLog;
  readonly initSql: AcceptedInitSql | { readonly kind: 'none' };
  /** A session with the role's and the database's own settings, for initSQL. */
  readonly openInitSqlSession: () => Promise<Session>;
  /** One registration at a time in the whole cluster: Citus updates the roles of workers while it adds a node. */
  readonly withRegistrationLock: <Result>(body: () => Promise<Result>) => Promise<Result>;
  /** What the servers say by now: another run may have made roles of ours meanwhile. */
  readonly lookAgainAtServers: (situation: Situation) => Promise<Situation>;
}

/**
 * Makes one database so, in the eight steps, and proves it. The situation was observed under the lock. Returns how many
 * changes it took.
 */
export async function applyDatabase(before: Situation, tools: ApplyTools): Promise<number> {
  const { log } = tools;
  let run = inStep(tools.run);
  const { database, topology, spec } = before;
  const { coordinator } = topology;
  const citus = spec.cluster.citus;
  let situation = before;
  let changes = 0;

  function begin(step: StepNumber, to: StepLog = log): StepLog {
    const { number, title } = stepHeading(step, database.name, citus);
    to.step(number, title);
    run = inStep(tools.run);
    return to.about({ step: number });
  }
  async function onCoordinator(items: readonly Item[], to: StepLog): Promise<void> {
    const made = await executeItems(run, items, to, 1);
    // Only now: other nodes are at work meanwhile, and count as well.
    changes += made;
  }
  async function look(node: NodeSpec): Promise<void> {
    if (situation.inside.has(node.group)) return;
    const observation = await observeDatabaseOf(run, node, database);
    // Only now: other nodes are looked at meanwhile.
    situation = withInside(situation, node, observation);
  }

  /** The same kind of work on several nodes, told in one line for each thing that is done. */
  async function onNodes(
    nodes: readonly NodeSpec[],
    itemsOf: (node: NodeSpec) => readonly Change[],
    to: StepLog,
    namesNodes = citus,
  ): Promise<readonly NodeSpec[]> {
    const works = nodes.map((node) => ({ node, items: itemsOf(node) })).filter(({ items }) => items.length > 0);
    for (const summary of new Set(works.flatMap(({ items }) => items.map((item) => item.summary)))) {
      const where = works.filter(({ items }) => items.some((item) => item.summary === summary));
      const names = where.map(({ node }) => run.label(node)).join(', ');
      to.line(`${sentence(summary)}${namesNodes ? ` on ${names}` : ''}`, 1);
    }
    if (works.length === 0) return [];
    changes += await executeInParallel(
      run,
      works.map(({ node, items }) => nodeWork(run, node, items, '')),
      to,
    );
    return works.map(({ node }) => node);
  }

  if (citus) {
    const step = begin(1);
    changes += await executeItems(run, intentItems(situation), step, 1);
    await makeRoles(step);
    const atFirst = inside(situation, coordinator);
    const works: NodeWork[] = topology.workers.map((worker) => ({
      node: worker,
      run: async (lane) => {
        const name = run.label(worker);
        lane.line(`Configuring worker: ${name}`, 1);
        lane.line(`Worker ${name} is ready!`, 2);
        const made = await executeItems(run, workerServerItems(situation, worker), lane, 2);
        await look(worker);
        // The coordinator as it was: what it gets meanwhile must not decide what the worker gets.
        const items = workerInsideItems(withInside(situation, coordinator, atFirst), worker);
        const filled = await executeItems(run, items, lane, 2);
        lane.line(`Worker ${name} configured successfully!`, 2);
        return { changes: made + filled, quiet: `ready; database '${database.name}' and its extensions already exist` };
      },
    }));
    for (const node of topology.otherWorkers) {
      const items = roleItems(situation, node);
      if (items.length > 0) works.push(nodeWork(run, node, items, 'roles already exist'));
    }
    const onWorkers = async () => {
      const made = await executeInParallel(run, works, step);
      changes += made;
    };
    if (server(situation, coordinator).database === null) await atTheSameTime(onWorkers);
    else {
      await onWorkers();
      await makeOnCoordinator(log);
    }
  } else {
    const step = begin(1);
    changes += await executeItems(run, intentItems(situation), step, 1);
    await makeRoles(step);
    await makeOnCoordinator(log);
  }

  if (citus) {
    await authenticate();
    await register();
  }
  await prepareSchemas(citus ? log.about({ step: 6 }) : begin(6));
  await initialise();
  await setParameters();

  const verification = log.about({});
  verification.blank();
  verification.line(`Verifying database '${database.name}'${citus ? ' from every node' : ''}...`);
  const proof = await verifyNodes(run, situation);
  if (citus) {
    verification.line(`✓ ${proof.nodes} nodes, ${proof.links} of ${proof.nodes ** 2} connections between them work`, 1);
    if (changes > 0) {
      await probeDistributedTable(run, situation);
      verification.line('✓ a distributed table was created, written and read on every worker, and rolled back', 1);
    }
  } else verification.line('✓ the database answers and holds what was declared', 1);
  return changes;

  /**
   * A coordinator without the database has nothing to do with the workers yet: it is made ready while they are, and told
   * of in its turn. One after the other would take nearly twice as long.
   */
  async function atTheSameTime(onWorkers: () => Promise<void>): Promise<void> {
    const { log: held, release } = holdBack(log);
    // Both end before anything is thrown. What failed first in the order of the steps is what there is to tell.
    const outcomes = await Promise.allSettled([onWorkers().then(release), makeOnCoordinator(held)]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Steps 2 to 4. */
  async function makeOnCoordinator(to: StepLog): Promise<void> {
    await onCoordinator(coordinatorDatabaseItems(situation), begin(2, to));
    await look(coordinator);
    if (citus) await onCoordinator(coordinatorCitusItems(situation), begin(3, to));
    const step4 = begin(4, to);
    const extensions = coordinatorExtensionItems(situation);
    await onCoordinator(extensions, step4);
    if (extensions.some(isChange)) {
      step4.line(citus ? 'Additional extensions enabled on coordinator!' : 'Extensions enabled!', 1);
    }
  }

  async function makeRoles(step: StepLog): Promise<void> {
    const nodes = allNodes(topology);
    const due = () => nodes.some((node) => userItems(situation, node).length > 0);
    if (database.users.length === 0) {
      if (!citus) step.line('No users specified', 1);
      return;
    }
    if (due()) {
      // Two runs at once would each make a verifier of their own, with another salt.
      await tools.withRegistrationLock(async () => {
        situation = await tools.lookAgainAtServers(situation);
        // The coordinator first: after a failure the workers take their verifier from it.
        await onNodes([coordinator], (node) => userItems(situation, node), step);
        await onNodes(nodes.slice(1), (node) => userItems(situation, node), step);
      });
    } else step.line(`Roles already exist: ${database.users.map((user) => user.name).join(', ')}`, 1);
  }

  async function prepareSchemas(step: StepLog): Promise<void> {
    const before = changes;
    await onNodes(databaseNodes(topology), (node) => privilegeItems(situation, node), step);
    const schemas = schemaItems(situation);
    await onCoordinator(schemas, step);
    if (!citus && schemas.length === 0 && changes === before) {
      step.line(database.users.length === 0 ? 'No schemas specified' : 'Privileges are already set', 1);
    }
  }

  /** Rights on what is there by now; the workers after the coordinator, from which Citus carries most of them. */
  async function grantRights(step: StepLog): Promise<void> {
    if (database.users.length === 0) return;
    const before = changes;
    for (const nodes of [[coordinator], topology.workers]) {
      if (changes > 0) {
        const observed = await forAll(
          nodes,
          async (node) => [node.group, await observeDatabaseOf(run, node, database)] as const,
        );
        situation = { ...situation, inside: new Map([...situation.inside, ...observed]) };
      }
      await onNodes(
        nodes,
        (node) => [...schemaAccessItems(situation, node), ...relationAccessItems(situation, node)],
        step,
      );
    }
    if (changes === before) step.line('Rights of users are as declared', 1);
  }

  async function authenticate(): Promise<void> {
    const step = begin(5);
    await executeItems(run, authenticationNotes(situation), step, 1);
    const nodes = databaseNodes(topology);
    const works = nodes.map((node) => ({ node, items: authinfoItems(situation, node) }));
    const due = works.filter(({ items }) => items.length > 0);
    if (due.length === 0) {
      step.line('Authentication between nodes is already configured on every node', 1);
      return;
    }
    step.line('Configuring authentication for coordinator (nodeid=0)...', 1);
    changes += await executeInParallel(
      run,
      due.map(({ node, items }) => nodeWork(run, node, items, '')),
      step,
    );
    step.line('Coordinator authentication configured!', 1);
    step.line(`Written on ${due.map(({ node }) => run.label(node)).join(', ')}: nodeid 0 stands for every node`, 1);
  }

  async function register(): Promise<void> {
    const step = begin(6);
    const items = registrationItems(situation);
    if (!items.some(isChange)) {
      await onCoordinator(compactRegistration(items, topology.workers.length), step);
      return;
    }
    await tools.withRegistrationLock(async () => {
      await copyManagedRoles(step);
      await onCoordinator(items, step);
    });
    step.line('Workers added successfully!', 1);
  }

  /** What Citus itself would do while a node is added or synced, with verifiers in the workers' logs. */
  async function copyManagedRoles(step: StepLog): Promise<void> {
    const names = (inside(situation, coordinator).distributedRoles ?? []).filter((name) => name !== spec.cluster.user);
    if (names.length === 0) return;
    const wanted = await observeRolesOf(run, coordinator, names);
    const observed = new Map(
      await forAll(topology.workers, async (node) => [node, await observeRolesOf(run, node, names)] as const),
    );
    await onNodes(
      topology.workers,
      (node) => diffManagedRoles(wanted, observed.get(node) ?? wanted, node, run.label(node)).map(quietly),
      step,
    );
  }

  async function initialise(): Promise<void> {
    const step = begin(7);
    await runInitSql(step);
    await grantRights(step);
  }

  async function runInitSql(step: StepLog): Promise<void> {
    const { initSql } = tools;
    if (initSql.kind === 'none') return step.line('No custom SQL specified', 1);
    if (initSql.kind === 'skip') return step.warn(initSql.warning, 1);
    if (initSql.kind === 'run' && initSql.pending.every((unit) => unit.kind === 'session')) {
      return step.line('Custom SQL was already executed', 1);
    }
    if (initSql.kind === 'record') {
      if (initSql.warning !== undefined) step.warn(initSql.warning, 1);
      if (initSql.units.length === 0) return step.line('Custom SQL is already recorded as executed', 1);
    }
    const session = await tools.openInitSqlSession();
    try {
      await session.script(MARK_SESSION);
      const executed = await executeInitSql(tools.run, session, initSql, step);
      if (initSql.kind === 'record') changes += initSql.units.length;
      else changes += executed;
      if (executed > 0) step.line('Custom SQL executed successfully!', 1);
    } finally {
      await session.close();
    }
  }

  async function setParameters(): Promise<void> {
    const step = begin(8);
    await executeItems(run, parameterWarningItems(situation), step, 1);
    // Extensions and initSQL may have changed the database's settings since they were observed.
    const declared = [database, ...database.users].reduce(
      (sum, { parameters }) => sum + Object.keys(parameters).length,
      0,
    );
    if (changes > 0 && declared > 0) situation = await tools.lookAgainAtServers(situation);
    const set = await onNodes(databaseNodes(topology), (node) => parameterItems(situation, node), step, false);
    if (set.length === 0) {
      step.line(declared === 0 ? 'No database parameters specified' : 'Database parameters are already set', 1);
      return;
    }
    step.line(`Database parameters set on ${set.map((node) => run.label(node)).join(', ')}!`, 1);
  }
}

/** Without a line of its own for each node. */
function quietly({ starting: _, ...change }: Change): Change {
  return change;
}

function nodeWork(run: Run, node: NodeSpec, items: readonly Item[], quiet: string): NodeWork {
  return { node, run: async (lane) => ({ changes: await executeItems(run, items, lane, 2), quiet }) };
}

/** With many workers, one line instead of one for each. */
function compactRegistration(items: readonly Item[], workers: number): readonly Item[] {
  const others = items.filter((item) => item.kind !== 'note');
  return [
    { kind: 'note', text: `${workers} ${workers === 1 ? 'worker is' : 'workers are'} already registered` },
    ...others,
  ];
}
