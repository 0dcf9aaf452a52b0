import { MARK_SESSION } from '../initSql/marker.ts';
import type { StepLog } from '../report/stepLog.ts';
import { executeInitSql } from './executeInitSql.ts';
import { executeItems } from './lanes.ts';
import type { Progress } from './progress.ts';
import { parameterItems, parameterWarningItems, schemaItems } from './steps.ts';
import { privilegeItems, relationAccessItems, schemaAccessItems } from './userSteps.ts';

/** The end of step 6: schemas, and what users may do with objects made later. */
export async function prepareSchemas(progress: Progress): Promise<void> {
  const step = progress.citus ? progress.tools.log.about({ step: 6 }) : progress.begin(6);
  const before = progress.changes;
  await progress.onNodes(progress.nodes, (node) => privilegeItems(progress.situation, node), step);
  const schemas = schemaItems(progress.situation);
  await progress.execute(schemas, step);
  if (progress.citus || schemas.length > 0 || progress.changes > before) return;
  const { users } = progress.situation.database;
  step.line(users.length === 0 ? 'No schemas specified' : 'Privileges are already set', 1);
}

/** Step 7: initSQL, then what users may do with what is there. */
export async function initialise(progress: Progress): Promise<void> {
  const step = progress.begin(7);
  await runInitSql(progress, step);
  await grantRights(progress, step);
}

async function runInitSql(progress: Progress, step: StepLog): Promise<void> {
  const { initSql, openInitSqlSession, run } = progress.tools;
  if (initSql.kind === 'none') return step.line('No custom SQL specified', 1);
  if (initSql.kind === 'skip') return step.warn(initSql.warning, 1);
  if (initSql.kind === 'run' && initSql.pending.every((unit) => unit.kind === 'session')) {
    return step.line('Custom SQL was already executed', 1);
  }
  if (initSql.kind === 'record') {
    if (initSql.warning !== undefined) step.warn(initSql.warning, 1);
    if (initSql.units.length === 0) return step.line('Custom SQL is already recorded as executed', 1);
  }
  const session = await openInitSqlSession();
  try {
    await session.script(MARK_SESSION);
    const executed = await executeInitSql(run, session, initSql, step);
    progress.changes += initSql.kind === 'record' ? initSql.units.length : executed;
    if (executed > 0) step.line('Custom SQL executed successfully!', 1);
  } finally {
    await session.close();
  }
}

/** Rights on what is there by now; the workers after the coordinator, from which Citus carries most of them. */
async function grantRights(progress: Progress, step: StepLog): Promise<void> {
  const { database, topology } = progress.situation;
  if (database.users.length === 0) return;
  const before = progress.changes;
  for (const nodes of [[topology.coordinator], topology.workers]) {
    if (progress.changes > 0) await progress.lookAgain(nodes);
    const { situation } = progress;
    await progress.onNodes(
      nodes,
      (node) => [...schemaAccessItems(situation, node), ...relationAccessItems(situation, node)],
      step,
    );
  }
  if (progress.changes === before) step.line('Rights of users are as declared', 1);
}

/** Step 8: settings of the database, on every node. */
export async function setParameters(progress: Progress): Promise<void> {
  const step = progress.begin(8);
  await executeItems(progress.run, parameterWarningItems(progress.situation), step, 1);
  const { database } = progress.situation;
  const declared = [database, ...database.users].some(({ parameters }) => Object.keys(parameters).length > 0);
  // Extensions and initSQL may have changed the database's settings since they were observed.
  if (progress.changes > 0 && declared) await progress.lookAgainAtParameters();
  const { situation } = progress;
  const set = await progress.onNodes(progress.nodes, (node) => parameterItems(situation, node), step, false);
  if (set.length === 0) {
    step.line(declared ? 'Database parameters are already set' : 'No database parameters specified', 1);
    return;
  }
  step.line(`Database parameters set on ${set.map((node) => progress.run.label(node)).join(', ')}!`, 1);
}
