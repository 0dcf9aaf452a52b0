import type { Joined } from '../cluster/join.ts';
import { joinAny } from '../cluster/joinAny.ts';
import { databaseNodes } from '../cluster/topology.ts';
import { throwIfInterrupted, unlessInterrupted } from '../concurrency/interrupt.ts';
import type { Context } from '../context.ts';
import { CLUSTER_HEALTH } from '../objects/verification.ts';
import { reportUsers } from '../reconcile/applyDatabase.ts';
import { assessAsOwner } from '../reconcile/asOwner/assess.ts';
import { proveAsOwner, readyLine } from '../reconcile/asOwner/prove.ts';
import { assess } from '../reconcile/assess.ts';
import type { ReportedFinding } from '../reconcile/finding.ts';
import { findingsOf, refuseDamage, remarks, reported } from '../reconcile/findings.ts';
import { runsAlways } from '../reconcile/initSqlItems.ts';
import type { VerifiedFacts } from '../reconcile/metrics.ts';
import type { Passwords } from '../reconcile/observeSituation.ts';
import { outdatedElsewhere, outdatedWarnings } from '../reconcile/otherDatabases.ts';
import { type DatabasePlan, hasChanges } from '../reconcile/planDatabase.ts';
import { type GivenScript, judgeScripts, prepareScripts, readScripts } from '../reconcile/prepareScripts.ts';
import { problemsFailure } from '../reconcile/problemsFailure.ts';
import { probeDistributedTable, verifyNodes } from '../reconcile/prove.ts';
import { proveUsers, type UsersToProve } from '../reconcile/proveUsers.ts';
import { createRun, type Run } from '../reconcile/run.ts';
import { mixedVersions, serverWarnings } from '../reconcile/serverWarnings.ts';
import { label, type Situation, server } from '../reconcile/situation.ts';
import { needsUpdate, updateSummaries } from '../reconcile/updateOrder.ts';
import { Failure } from '../report/errors.ts';
import { readUserPasswords } from '../secrets/userPasswords.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { certificateWarnings } from './certificateWarnings.ts';
import { forEachDatabase, type ReportOptions } from './forEachDatabase.ts';
import { reportMetrics } from './verifyMetrics.ts';
import { type VerifiedDatabase, VerifyReport } from './verifyReport.ts';

export interface VerifyOptions extends Omit<ReportOptions, 'output'> {
  readonly output: 'text' | 'json' | 'prometheus';
  /** Where the metrics go besides: the address of a Pushgateway. */
  readonly pushTo?: string;
  /** Which of the declared users log in where. Default all. */
  readonly users?: UsersToProve;
}

/**
 * Proves every declared database from every node: what each one holds, every connection between nodes, a distributed
 * table of its own (rolled back), and the login of every declared user. No table that somebody else could have made is
 * read: a shard that was replaced by a view would run its functions as superuser.
 */
export async function verify(context: Context, options: VerifyOptions): Promise<void> {
  const facts = new Map<string, VerifiedFacts>();
  try {
    await verifyAll(context, options, (found) => facts.set(found.database, { ...facts.get(found.database), ...found }));
  } finally {
    const { output, pushTo } = options;
    if (output === 'prometheus' || pushTo !== undefined) {
      await reportMetrics(context, facts, { printed: output === 'prometheus', pushTo });
    }
  }
}

async function verifyAll(
  context: Context,
  { output, databasesAtOnce, users = 'all' }: VerifyOptions,
  onFacts: (facts: VerifiedFacts) => void,
): Promise<void> {
  const passwords = await unlessInterrupted(context.signal, readUserPasswords(context.spec, context.access.redactor));
  const prepared = await unlessInterrupted(context.signal, prepareScripts(context.spec));
  const joined = await joinAny(context, () => readScripts(prepared));
  const report = new VerifyReport(context.spec.databases);
  try {
    const nodes = [joined.coordinator, ...joined.workers];
    for (const text of await certificateWarnings(context.spec.ssl, nodes, new Date())) context.log.warn(text);
    const { outdated } = await outdatedElsewhere(context, joined);
    for (const text of outdatedWarnings(outdated)) context.log.warn(text);
    const scripts = await judgeScripts(context, joined, prepared);
    await forEachDatabase(
      context,
      async (database, own) => {
        try {
          await report.of(database, (onFindings) =>
            verifyOne(own, joined, database, {
              passwords,
              script: scripts.get(database.name),
              users,
              onFindings,
              onFacts: (found) => onFacts({ database: database.name, ready: false, ...found }),
            }),
          );
          onFacts({ database: database.name, ready: true });
        } finally {
          // With many databases, each node's connections would be used up.
          await joined.sessions.closeDatabase(database.name);
        }
      },
      databasesAtOnce,
    );
  } finally {
    await joined.sessions.close();
    if (output === 'json') context.print(report.json());
  }
}

interface Given {
  readonly passwords: Passwords;
  readonly script: GivenScript | undefined;
  readonly users: UsersToProve;
  readonly onFindings: (findings: readonly ReportedFinding[]) => void;
  readonly onFacts: (facts: Pick<VerifiedFacts, 'situation' | 'plan' | 'reports'>) => void;
}

async function verifyOne(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  given: Given,
): Promise<VerifiedDatabase> {
  if (context.spec.cluster.withoutSuperuser) return await verifyOneAsOwner(context, joined, database, given);
  const log = context.log.about({ database: database.name });
  log.line(`Verifying database '${database.name}' from every node...`);
  const run = createRun({ ...joined, database, signal: context.signal });
  const { situation, plan } = await assess(context, joined, run, database, given, (seen) => {
    given.onFacts({ situation: seen });
    const mixed = mixedVersions(seen);
    if (mixed.length > 0) {
      throw problemsFailure(mixed, {
        database: database.name,
        what: `The nodes are not ready: ${mixed.length} problems`,
      });
    }
    given.onFindings(findingsOf(seen).map(reported));
    refuseDamage(seen, 'Nothing was changed');
    missingDatabase(seen);
    outdatedCitus(seen);
  });
  given.onFacts({ situation, plan });
  for (const text of [...serverWarnings(situation), ...remarks(situation)]) log.warn(text, 1);
  unlikeDeclared(plan, runsAlways(situation.initSql));
  const proof = await verifyNodes(run, situation, false, (reports) => given.onFacts({ reports }));
  if (context.spec.cluster.citus) {
    await checkHealth(run, situation);
    log.line(`✓ ${proof.nodes} nodes, ${proof.links} of ${proof.nodes ** 2} connections between them work`, 1);
    await probeDistributedTable(run, situation);
    log.line('✓ a distributed table was created, written and read on every worker, and rolled back', 1);
  }
  reportUsers(await proveUsers(run, situation, given.users), log);
  throwIfInterrupted(run.signal);
  log.line(`Database '${database.name}' is ready!`);
  return { database: database.name, ready: true, nodes: proof.nodes, links: proof.links, findings: plan.findings };
}

/** What a role without superuser can prove: from the coordinator, and no more than it may see. */
async function verifyOneAsOwner(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  given: Given,
): Promise<VerifiedDatabase> {
  const log = context.log.about({ database: database.name });
  log.line(`Verifying database '${database.name}' from the coordinator...`);
  const run = createRun({ ...joined, database, signal: context.signal, withoutSuperuser: true });
  const { situation, plan } = await assessAsOwner(context, joined, run, database, given);
  given.onFacts({ situation, plan });
  for (const text of plan.warnings) log.warn(text, 1);
  unlikeDeclared(plan, runsAlways(situation.initSql));
  const proof = await proveAsOwner(run, situation, log, given.users);
  throwIfInterrupted(run.signal);
  log.line(readyLine(situation));
  return { database: database.name, ready: true, provedAs: situation.rights.user, ...proof, findings: plan.findings };
}

/** What `apply` would do differs from the declaration, except initSQL that runs each time. */
function unlikeDeclared(plan: DatabasePlan, alwaysRuns: boolean): void {
  if (!hasChanges(plan, alwaysRuns)) return;
  const changes = plan.steps.flatMap((step) => step.changes);
  throw new Failure({
    kind: 'failed',
    what: `Database '${plan.database}' is not as declared: ${changes.length} ${changes.length === 1 ? 'change is' : 'changes are'} due`,
    cause: changes.map(({ node, summary }) => `${node}: ${summary}`).join('\n'),
    next: 'Run citus-databases apply',
  });
}

function missingDatabase(situation: Situation): void {
  const nodes = databaseNodes(situation.topology).filter((node) => server(situation, node).database === null);
  if (nodes.length === 0) return;
  throw new Failure({
    kind: 'failed',
    what: `Database '${situation.database.name}' does not exist`,
    node: nodes.map((node) => label(situation, node)).join(', '),
    next: 'Run citus-databases apply',
  });
}

/** Until it is updated every statement fails; Citus' own hint (ALTER EXTENSION) knows neither the order nor the rest. */
function outdatedCitus(situation: Situation): void {
  if (!needsUpdate(situation)) return;
  throw new Failure({
    kind: 'failed',
    what: 'Extension citus is older than the Citus of the servers, or its upgrade is not finished',
    database: situation.database.name,
    cause: updateSummaries(situation).join('\n'),
    next: 'Run citus-databases apply: it updates every node, workers first, and finishes the upgrade',
  });
}

async function checkHealth(run: Run, situation: Situation): Promise<void> {
  const session = await run.session({ node: situation.topology.coordinator, scope: 'database' });
  const [, broken] = await run.interruptible(() =>
    session.script<{ from: string; to: string }>(CLUSTER_HEALTH, run.lockLimits()),
  );
  if (broken === undefined || broken.rows.length === 0) return;
  throw new Failure({
    kind: 'failed',
    what: `${broken.rows.length} connections between nodes do not work (citus_check_cluster_node_health)`,
    database: run.database,
    cause: broken.rows.map((row) => `from ${row.from} to ${row.to}`).join('\n'),
    next: 'Look at pg_dist_authinfo, citus.node_conninfo and pg_hba.conf of these nodes; running apply writes the rows again',
  });
}
