import { joinCluster } from './cluster/join.ts';
import { readUserPasswords } from './cluster/userPasswords.ts';
import type { Context } from './context.ts';
import { createRun } from './execute/run.ts';
import { check, decide, look } from './look.ts';
import { reportOutcome } from './outcome.ts';
import { type DatabasePlan, formatPlan, hasChanges, planDatabase } from './plan/planDatabase.ts';
import { prepareScripts } from './prepareScripts.ts';

/** Prints what apply would do, without a lock and without a change. Returns whether there is anything to do. */
export async function plan(context: Context, output: 'text' | 'json'): Promise<boolean> {
  const passwords = await readUserPasswords(context.spec, context.access.redactor);
  const scripts = await prepareScripts(context.spec);
  const joined = await joinCluster(context);
  const plans: DatabasePlan[] = [];
  let changes = false;
  try {
    await reportOutcome(context, async (database) => {
      try {
        const run = createRun({ ...joined, database, signal: context.signal });
        const situation = await look(context, joined, run, database, passwords);
        const { warnings } = await check(run, situation);
        const decision = decide(situation, scripts.get(database.name));
        const planned = planDatabase(situation, decision, warnings);
        plans.push(planned);
        changes ||= hasChanges(planned, decision?.kind === 'runAlways');
        if (output === 'text') context.print(`${plans.length > 1 ? '\n' : ''}${formatPlan(planned)}\n`);
      } finally {
        // With many databases, each node's connections would be used up.
        await joined.sessions.closeDatabase(database.name);
      }
    });
  } finally {
    await joined.sessions.close();
  }
  if (output === 'json') context.print(`${JSON.stringify({ changes, databases: plans }, undefined, 2)}\n`);
  return changes;
}
