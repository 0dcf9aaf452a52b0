import { joinAny } from '../cluster/joinAny.ts';
import { unlessInterrupted } from '../concurrency/interrupt.ts';
import type { Context } from '../context.ts';
import { assessAsOwner } from '../reconcile/asOwner/assess.ts';
import { assess } from '../reconcile/assess.ts';
import { findingsOf, refuseDamage, reported } from '../reconcile/findings.ts';
import { runsAlways } from '../reconcile/initSqlItems.ts';
import {
  closedWarnings,
  managedElsewhere,
  type OutdatedDatabase,
  observeUndeclared,
  outdatedElsewhere,
  outdatedWarnings,
} from '../reconcile/otherDatabases.ts';
import {
  type DatabasePlan,
  formatPlan,
  formatTotal,
  formatUndeclared,
  hasChanges,
  planDatabase,
} from '../reconcile/planDatabase.ts';
import { judgeScripts, prepareScripts, readScripts } from '../reconcile/prepareScripts.ts';
import { createRun, type SharedAnswers } from '../reconcile/run.ts';
import { origin } from '../reconcile/situation.ts';
import { UPDATE_ORDER } from '../reconcile/updateOrder.ts';
import { inOrder } from '../report/inOrder.ts';
import { readUserPasswords } from '../secrets/userPasswords.ts';
import { forEachDatabase, type ReportOptions } from './forEachDatabase.ts';
import { PlanReport } from './planReport.ts';

export interface PlanOptions extends ReportOptions {
  /** Only these of the spec's databases; empty or undefined: all. */
  readonly database?: readonly string[];
  /** As of `apply`. */
  readonly allDatabases?: boolean;
}

/** Prints what apply would do, without a lock and without a change. Returns whether there is anything to do. */
export async function plan(
  context: Context,
  { output, databasesAtOnce, database: chosen = [], allDatabases = false }: PlanOptions,
): Promise<boolean> {
  const passwords = await unlessInterrupted(context.signal, readUserPasswords(context.spec, context.access.redactor));
  const prepared = await unlessInterrupted(context.signal, prepareScripts(context.spec));
  const joined = await joinAny(context, () => readScripts(prepared));
  const plans: DatabasePlan[] = [];
  const shared: SharedAnswers = new Map();
  const report = new PlanReport(context.spec.databases);
  let changes = false;
  let leftAlone: readonly string[] = [];
  const tell = inOrder((planned: DatabasePlan) => {
    plans.push(planned);
    if (output === 'text') context.print(`${plans.length > 1 ? '\n' : ''}${formatPlan(planned)}\n`);
  });
  const { databases, cluster } = context.spec;
  const { withoutSuperuser } = cluster;
  try {
    const scripts = await judgeScripts(context, joined, prepared);
    // What else the spec declares is not known where some of its databases were chosen.
    if (chosen.length === 0) leftAlone = await managedElsewhere(context, joined);
    const left = formatUndeclared(leftAlone);
    if (output === 'text' && left !== undefined) context.print(`${left}\n\n`);
    await forEachDatabase(
      context,
      async (database, own) => {
        let planned: DatabasePlan | undefined;
        try {
          await report.of(database, async (known) => {
            const run = createRun({ ...joined, shared, database, signal: context.signal, withoutSuperuser });
            const given = { passwords, script: scripts.get(database.name) };
            const { situation, plan } = await (withoutSuperuser ? assessAsOwner : assess)(
              own,
              joined,
              run,
              database,
              given,
              (observed) => {
                known.seen = { absent: origin(observed) === 'absent', findings: findingsOf(observed).map(reported) };
              },
            );
            planned = plan;
            known.plan = plan;
            report.add(database.name, plan);
            changes ||= hasChanges(plan, runsAlways(situation.initSql));
            refuseDamage(situation, 'Nothing was changed');
          });
        } finally {
          tell(databases.indexOf(database), planned);
          // With many databases, each node's connections would be used up.
          await joined.sessions.closeDatabase(database.name);
        }
      },
      databasesAtOnce,
    );
    const elsewhere = await outdatedElsewhere(context, joined);
    const undeclared = elsewhere.outdated;
    if (allDatabases) for (const text of closedWarnings(elsewhere)) context.log.warn(text);
    const isUpdated = ({ name }: OutdatedDatabase) => allDatabases || name === context.spec.cluster.database;
    for (const text of outdatedWarnings(undeclared.filter((database) => !isUpdated(database)))) context.log.warn(text);
    for (const [index, { name }] of undeclared.filter(isUpdated).entries()) {
      const planned = planDatabase(await observeUndeclared(context, joined, name), [], UPDATE_ORDER);
      tell(databases.length + index, planned);
      report.add(name, planned);
      changes = true;
    }
  } finally {
    await joined.sessions.close();
    if (output === 'json') context.print(report.json(changes, leftAlone));
  }
  const total = formatTotal(plans);
  if (output === 'text' && total !== undefined) context.print(`\n${total}\n`);
  return changes;
}
