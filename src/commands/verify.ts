import { type Joined, joinCluster } from '../cluster/join.ts';
import { databaseNodes } from '../cluster/topology.ts';
import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import type { Context } from '../context.ts';
import { CLUSTER_HEALTH } from '../objects/verification.ts';
import { refuseDamage } from '../reconcile/findings.ts';
import { lookAtOneVersion } from '../reconcile/look.ts';
import { outdatedElsewhere, outdatedWarnings } from '../reconcile/otherDatabases.ts';
import { mixedVersions, serverWarnings } from '../reconcile/preflight.ts';
import { problemsFailure } from '../reconcile/problemsFailure.ts';
import { probeDistributedTable, verifyNodes } from '../reconcile/prove.ts';
import { createRun, type Run } from '../reconcile/run.ts';
import { label, type Situation, server } from '../reconcile/situation.ts';
import { needsUpdate, updateSummaries } from '../reconcile/updateOrder.ts';
import { Failure } from '../report/errors.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { type ReportOptions, reportOutcome } from './outcome.ts';

export interface VerifiedDatabase {
  readonly database: string;
  readonly ready: boolean;
  readonly nodes: number;
  readonly links: number;
  readonly problem?: string;
}

/**
 * Proves every declared database from every node: what each one holds, every connection between nodes and a
 * distributed table of its own (rolled back). No table that somebody else could have made is read: a shard that was replaced by a view would run
 * its functions as superuser.
 */
export async function verify(context: Context, { output, databasesAtOnce }: ReportOptions): Promise<void> {
  const joined = await joinCluster(context);
  const results = new Map<DatabaseSpec, VerifiedDatabase>();
  try {
    for (const text of outdatedWarnings(await outdatedElsewhere(context, joined))) context.log.warn(text);
    await reportOutcome(
      context,
      async (database, own) => {
        try {
          results.set(database, await verifyOne(own, joined, database));
        } catch (error) {
          if (error instanceof Failure) {
            results.set(database, {
              database: database.name,
              ready: false,
              nodes: 0,
              links: 0,
              problem: error.message,
            });
          }
          throw error;
        } finally {
          // With many databases, each node's connections would be used up.
          await joined.sessions.closeDatabase(database.name);
        }
      },
      databasesAtOnce,
    );
  } finally {
    await joined.sessions.close();
    if (output === 'json') {
      const databases = context.spec.databases.flatMap((database) => results.get(database) ?? []);
      // Those that a signal left out are not ready either.
      const ready = databases.length === context.spec.databases.length && databases.every((result) => result.ready);
      context.print(`${JSON.stringify({ ready, databases }, undefined, 2)}\n`);
    }
  }
}

async function verifyOne(context: Context, joined: Joined, database: DatabaseSpec): Promise<VerifiedDatabase> {
  const log = context.log.about({ database: database.name });
  log.line(`Verifying database '${database.name}' from every node...`);
  const run = createRun({ ...joined, database, signal: context.signal });
  const situation = await lookAtOneVersion(context, joined, run, database);
  const mixed = mixedVersions(situation);
  if (mixed.length > 0) {
    throw problemsFailure(mixed, {
      database: database.name,
      what: `The nodes are not ready: ${mixed.length} problems`,
    });
  }
  refuseDamage(situation, 'Nothing was changed');
  missingDatabase(situation);
  outdatedCitus(situation);
  for (const text of serverWarnings(situation)) log.warn(text, 1);
  const proof = await verifyNodes(run, situation);
  if (context.spec.cluster.citus) {
    await checkHealth(run, situation);
    log.line(`✓ ${proof.nodes} nodes, ${proof.links} of ${proof.nodes ** 2} connections between them work`, 1);
    await probeDistributedTable(run, situation);
    log.line('✓ a distributed table was created, written and read on every worker, and rolled back', 1);
  }
  throwIfInterrupted(run.signal);
  log.line(`Database '${database.name}' is ready!`);
  return { database: database.name, ready: true, nodes: proof.nodes, links: proof.links };
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
  const [, broken] = await run.interruptible(session, () =>
    session.script<{ from: string; to: string }>(CLUSTER_HEALTH),
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
