import type { Joined } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { observeManagedRoles } from './observeMembers.ts';
import { check, type Given, observeAtOneVersion, withInitSql } from './observeSituation.ts';
import { type DatabasePlan, planDatabase } from './planDatabase.ts';
import type { Run } from './run.ts';
import type { Situation } from './situation.ts';

/** What `plan` prints and `verify` judges by: without a lock, and without a change. */
export async function assess(
  context: Context,
  joined: Joined,
  run: Run,
  database: DatabaseSpec,
  given: Given,
  /** May throw what outweighs everything that is found later. */
  inspect: (observed: Situation) => void = () => undefined,
): Promise<{ readonly situation: Situation; readonly plan: DatabasePlan }> {
  const observed = await observeAtOneVersion(context, joined, run, database, given);
  inspect(observed);
  const { warnings } = await check(run, observed);
  const decided = await withInitSql(observed, given.script);
  const situation = (await observeManagedRoles(decided, run))(decided);
  return { situation, plan: planDatabase(situation, warnings) };
}
