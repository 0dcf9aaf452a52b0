import type { Joined } from '../../cluster/join.ts';
import { waitForDatabase } from '../../cluster/joinAsOwner.ts';
import type { Context } from '../../context.ts';
import { ledgerRows, refusal } from '../../initSql/ledger.ts';
import { copyRefusal, decideInitSql } from '../../initSql/policy.ts';
import type { Script } from '../../initSql/types.ts';
import type { DatabaseSpec } from '../../spec/types.ts';
import type { Passwords } from '../observeSituation.ts';
import { type DatabasePlan, planOf } from '../planDatabase.ts';
import { type GivenScript, readGiven } from '../prepareScripts.ts';
import { problemsFailure } from '../problemsFailure.ts';
import type { Run } from '../run.ts';
import { inside, type Situation } from '../situation.ts';
import { observeAsOwner, observeExtensionFacts } from './observe.ts';
import { OWNER_ORDER } from './order.ts';
import { rightsProblems, rightsWarnings } from './rights.ts';
import type { OwnerSituation } from './situation.ts';

export interface GivenAsOwner {
  readonly passwords: Passwords;
  readonly script: GivenScript | undefined;
}

/** What `plan` prints and `verify` judges by: without a lock, and without a change. */
export async function assessAsOwner(
  context: Context,
  joined: Joined,
  run: Run,
  database: DatabaseSpec,
  given: GivenAsOwner,
  inspect: (observed: Situation) => void = () => undefined,
): Promise<{ readonly situation: OwnerSituation; readonly plan: DatabasePlan }> {
  await waitForDatabase(context, joined, database);
  const observed = await observeAsOwner(context, joined, run, database, given.passwords);
  inspect(observed);
  await checkRights(run, observed);
  const situation = decideAsOwner(observed, await readGiven(given.script));
  return { situation, plan: planOf(situation, rightsWarnings(situation), OWNER_ORDER) };
}

/** Throws everything that the role may not do, and that would have to be done, in one Failure. */
export async function checkRights(run: Run, situation: OwnerSituation): Promise<void> {
  const problems = rightsProblems(situation, await observeExtensionFacts(run, situation));
  if (problems.length === 0) return;
  const { name } = situation.database;
  throw problemsFailure(problems, {
    database: name,
    what: `Database '${name}' cannot be made as declared by '${situation.rights.user}', who is no superuser: ${problems.length} problems`,
    after: 'Nothing was changed',
  });
}

/**
 * What to do with initSQL. Somebody else has made the database: one in which nobody has made anything yet is taken for one
 * that was made for this spec, any other one needs initSQLPolicy.
 */
export function decideAsOwner(situation: OwnerSituation, script: Script | undefined): OwnerSituation {
  if (script === undefined) return situation;
  const { database, rights, topology } = situation;
  const { ledger } = inside(situation, topology.coordinator);
  const decision = decideInitSql({
    policy: database.initSQLPolicy,
    units: script.units,
    ledger: ledgerRows(ledger?.rows, script.units),
    copyOf: ledger?.copyOf ?? undefined,
    managed: rights.empty,
  });
  if (decision.kind === 'refused') throw refusal(decision, database.name);
  if (decision.kind === 'copied') throw copyRefusal(decision, database.name);
  return { ...situation, initSql: decision };
}
