import { randomBytes } from 'node:crypto';
import { databaseNodes } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import { poll } from '../concurrency/poll.ts';
import {
  daemonScript,
  EVENT_TRIGGERS,
  type EventTrigger,
  plainVerificationScript,
  probeScript,
  type VerificationReport,
  verificationScript,
} from '../objects/verification.ts';
import type { Session } from '../postgres/connection.ts';
import { quoteIdentifier } from '../postgres/quote.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { NodeSpec } from '../spec/types.ts';
import { findingsOf, refuseDamage } from './findings.ts';
import { judge, provedLinks } from './judge.ts';
import { EMPTY_DATABASE } from './observations.ts';
import { observeVerificationOf } from './observe.ts';
import { observeShardFaults } from './observeShardFaults.ts';
import type { Run } from './run.ts';
import type { Situation } from './situation.ts';

export interface Proof {
  readonly nodes: number;
  readonly links: number;
}

/**
 * Asks every node of the database at the same time; throws a Failure that lists all that is wrong. After a change the
 * nodes are compared again in the same message, as they were before it.
 */
export async function verifyNodes(
  run: Run,
  situation: Situation,
  afterChange: boolean,
  /** What each node reported, also when that is no proof. */
  onReports: (reports: ReadonlyMap<number, VerificationReport>) => void = () => undefined,
): Promise<Proof> {
  const nodes = databaseNodes(situation.topology);
  const { citus } = situation.spec.cluster;
  const scriptFor = ({ group }: NodeSpec) =>
    citus ? verificationScript({ afterChange, coordinator: group === 0 }) : plainVerificationScript();
  const reports = await byGroup(nodes, (node) =>
    run.proofs.take(() => observeVerificationOf(run, node, scriptFor(node))),
  );
  onReports(reports);
  const changed = afterChange ? await withReports(run, situation, reports) : situation;
  refuseDamage(changed, 'What was done before stays done');
  const wrong = [
    ...judge(situation, reports),
    ...unhealed(changed),
    ...(await withoutDaemon(
      run,
      nodes.filter(({ group }) => reports.get(group)?.daemon === false),
    )),
  ];
  if (wrong.length > 0) {
    throw notReady(
      run,
      wrong,
      'Remove the cause and run again; docs/DATABASE_MANAGEMENT_TROUBLESHOOTING.md lists them',
    );
  }
  return { nodes: nodes.length, links: situation.spec.cluster.citus ? provedLinks(situation, reports) : 0 };
}

export function notReady({ database }: Run, wrong: readonly string[], next: string): Failure {
  return new Failure({
    kind: 'failed',
    what: `Verification failed: database '${database}' is not ready`,
    database,
    cause: wrong.join('\n'),
    next,
  });
}

/** How long a daemon may take to start: Citus restarts one that ended after five seconds. */
const DAEMON_PATIENCE_MS = 20_000;

/** A daemon that the observation has just started may not be up yet. */
async function withoutDaemon(run: Run, nodes: readonly NodeSpec[]): Promise<readonly string[]> {
  const deadline = performance.now() + DAEMON_PATIENCE_MS;
  const found = await byGroup(nodes, async (node) => {
    const runs = await poll(
      async () => ((await observeVerificationOf(run, node, daemonScript())).daemon === true ? true : undefined),
      { everyMs: 500, deadline, signal: run.signal },
    );
    if (runs === true) return [];
    return [
      `Citus' maintenance daemon does not run for the database on ${run.label(node)}, so that deadlocks between nodes and prepared transactions are not resolved: raise max_worker_processes there, and read the server's log`,
    ];
  });
  return [...found.values()].flat();
}

async function withReports(
  run: Run,
  situation: Situation,
  reports: ReadonlyMap<number, VerificationReport>,
): Promise<Situation> {
  const { topology } = situation;
  const observed = [...reports].map(([group, { metadata, metadataParts = {}, shards }]) => {
    const known = situation.inside.get(group) ?? EMPTY_DATABASE;
    return [group, { ...known, metadata, metadataParts, ...(shards === undefined ? {} : { shards }) }] as const;
  });
  const inside = new Map([...situation.inside, ...observed]);
  return { ...situation, inside, shardFaults: await observeShardFaults(run, topology, inside) };
}

/** What a run can heal, and what is there all the same once it has done so. */
function unhealed(situation: Situation): readonly string[] {
  return findingsOf(situation).flatMap(({ effect, node, found }) => (effect === 'heal' ? [`${node}: ${found}`] : []));
}

/** Makes, writes and reads a distributed table with a shard on each worker, and rolls all of it back. */
export async function probeDistributedTable(run: Run, situation: Situation): Promise<void> {
  const { coordinator, workers } = situation.topology;
  const rows = workers.length * 8;
  const tag = randomBytes(8).toString('hex');
  const session = await run.session({ node: coordinator, scope: 'database' });
  try {
    const results = await run.interruptible(() =>
      session.script(probeScript(workers.length, rows, tag), run.lockLimits()),
    );
    const read = (results.at(-1)?.rows[0] as { readonly rows: number } | undefined)?.rows;
    if (read !== rows) throw new Error(`${rows} rows were written and ${read ?? 'none'} read`);
  } catch (error) {
    if (error instanceof Failure || error instanceof Interrupted) throw error;
    const trigger = await refusingTrigger(session, error);
    if (trigger !== undefined) throw refusedByTrigger(run, trigger, error);
    throw new Failure(
      {
        kind: 'failed',
        what: `Verification failed: a distributed table cannot be made, written and read in database '${run.database}'`,
        node: run.coordinator,
        database: run.database,
        cause: describe(error),
        next: 'Look at the cause: a worker that lost its database or its metadata is repaired by running again',
      },
      { cause: error },
    );
  } finally {
    if (session.isAlive) await session.query('ROLLBACK').catch(() => undefined);
  }
}

/** The error names the function that raised it, or was raised on a worker, which does not pass on where. */
async function refusingTrigger(session: Session, error: unknown): Promise<EventTrigger | undefined> {
  if (!session.isAlive) return undefined;
  try {
    await session.query('ROLLBACK');
    const { rows } = await session.query<EventTrigger>(EVENT_TRIGGERS);
    const where = whereOf(error);
    const named = rows.find(({ function: raised }) => where.includes(`function ${raised}(`));
    return named ?? (codeOf(error) === RAISED ? rows[0] : undefined);
  } catch {
    return undefined;
  }
}

/** raise_exception: of RAISE without a code of its own. */
const RAISED = 'P0001';

function whereOf(error: unknown): string {
  return error instanceof Error && 'where' in error && typeof error.where === 'string' ? error.where : '';
}

function refusedByTrigger(run: Run, trigger: EventTrigger, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `Verification failed: the event trigger '${trigger.name}' does not let a distributed table be made in database '${run.database}'`,
      node: run.coordinator,
      database: run.database,
      cause: describe(error),
      next: `The table would be rolled back. Let ${trigger.function}() pass sessions whose application_name begins with citus-databases, or disable the trigger meanwhile: ALTER EVENT TRIGGER ${quoteIdentifier(trigger.name)} DISABLE`,
    },
    { cause: error },
  );
}
