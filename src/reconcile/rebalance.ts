import { pause } from '../concurrency/interrupt.ts';
import type { Item } from '../objects/change.ts';
import { missingWorkers } from '../objects/citusMetadata.ts';
import { observedOf } from '../objects/kind.ts';
import {
  type JobStatus,
  jobStatus,
  progressOf,
  rebalancing,
  startRebalance,
  UNFINISHED_REBALANCE,
} from '../objects/rebalance.ts';
import { describeHolder, endedLine, rebalanceLock, withLock } from '../postgres/advisoryLock.ts';
import { MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { describe, meetsItAgain } from '../postgres/sqlstate.ts';
import { Failure, type FailureDetails, Interrupted } from '../report/errors.ts';
import type { RebalanceOptions } from '../spec/types.ts';
import type { RebalanceTools } from './rebalanceTools.ts';
import { refuseCodeOfOthers } from './refuseCodeOfOthers.ts';
import { inside, isPlain, type Situation } from './situation.ts';

/** Step 8: the shards of a database that a worker has joined; also what an earlier run began and did not see the end of. */
export function rebalanceItems(situation: Situation): readonly Item[] {
  const { rebalance, name, shouldHaveShards } = situation.database;
  if (isPlain(situation) || rebalance.when === 'never') return [];
  const { coordinator, workers } = situation.topology;
  const own = inside(situation, coordinator);
  const seen = observedOf(rebalancing, own);
  if (seen === undefined || seen === null) return [];
  if (!seen.strategyKnown) {
    return [{ kind: 'refusal', failure: unknownStrategy(name, rebalance.options.strategy ?? '') }];
  }
  const joining = own.metadata === undefined ? [] : missingWorkers(workers, own.metadata);
  const takesShards = joining.some(({ group }) => shouldHaveShards[String(group)] !== false);
  if (!seen.running && seen.moves === 0 && !(takesShards && seen.shards)) return [];
  const summary = seen.running ? 'follow the rebalance that is under way' : 'rebalance shards, since a worker has none';
  return [{ kind: 'procedure', name: 'rebalance', node: coordinator, summaries: [summary] }];
}

function unknownStrategy(database: string, strategy: string): FailureDetails {
  return {
    kind: 'invalid',
    what: `There is no rebalance strategy '${strategy}'`,
    database,
    next: 'Correct rebalance.strategy: SELECT name FROM pg_dist_rebalance_strategy lists what there is. Nothing was moved',
  };
}

const POLL_MS = 1_000;
const PROGRESS_MS = 10_000;
/** A large shard, or a move that waits for a lock: it is said that nothing has changed. */
const UNCHANGED_MS = 30_000;

/** One database after the other in the whole cluster: a move takes disk, network and CPU of two nodes. */
export async function inTurn<Result>(tools: RebalanceTools, body: () => Promise<Result>): Promise<Result> {
  const { sessions, coordinator, signal, log } = tools;
  return await withLock(
    await sessions.get(coordinator, MAINTENANCE_DATABASE),
    rebalanceLock(),
    {
      // How long another database takes, its data decides.
      deadline: Number.POSITIVE_INFINITY,
      signal,
      onWait: (holder) => log.line(`Waiting for the rebalance of another database: ${describeHolder(holder)}`, 1),
      onEnded: (holder) => log.line(endedLine(holder), 1),
    },
    body,
  );
}

/** Starts a job, or takes the one that is under way, and follows it to its end. Returns whether there was one. */
export async function rebalance(
  tools: RebalanceTools,
  options: RebalanceOptions,
  kind: 'rebalance' | 'drain',
): Promise<boolean> {
  const session = await tools.sessions.get(tools.coordinator, tools.database);
  const running = await unfinished(session);
  if (running !== undefined) {
    tools.log.line(`A rebalance is under way (job ${running}) and is followed`, 1);
    await follow(tools, session, running);
    // That one may have been another kind, or begun before a node joined.
  }
  await refuseCodeOfOthers(tools, session);
  const job = await start(tools, session, options, kind);
  if (job === undefined) {
    tools.log.line('No shard has to move', 1);
    return running !== undefined;
  }
  tools.log.line(`Moving shards (job ${job})...`, 1);
  await follow(tools, session, job);
  return true;
}

async function unfinished(session: Session): Promise<string | undefined> {
  return (await session.query<{ readonly job: string }>(UNFINISHED_REBALANCE)).rows[0]?.job;
}

async function start(
  { database, signal }: RebalanceTools,
  session: Session,
  options: RebalanceOptions,
  kind: 'rebalance' | 'drain',
): Promise<string | undefined> {
  try {
    const sql = startRebalance(options, kind === 'drain');
    const job = (await session.query<{ readonly job: string | null }>(sql, [], { signal })).rows[0]?.job;
    return job == null || job === '0' ? undefined : job;
  } catch (error) {
    if (error instanceof Failure || error instanceof Interrupted) throw error;
    throw new Failure(
      {
        kind: meetsItAgain(error) ? 'invalid' : 'failed',
        what: 'Failed to start moving shards',
        database,
        cause: describe(error),
        next: 'Nothing of this database was moved. A table without primary key or replica identity moves with transferMode (--transfer-mode) block_writes, during which writes to it wait; options that this version of Citus does not have are to be left out',
      },
      { cause: error },
    );
  }
}

export function progressIsDue(
  { text, ended }: { readonly text: string; readonly ended: boolean },
  shown: { readonly text: string; readonly at: number },
  now: number,
): boolean {
  if (text === shown.text) return !ended && now - shown.at >= UNCHANGED_MS;
  return ended || now - shown.at >= PROGRESS_MS;
}

async function follow({ database, signal, log }: RebalanceTools, session: Session, job: string): Promise<void> {
  let shown = { text: '', at: Number.NEGATIVE_INFINITY };
  const told = new Set<string>();
  try {
    for (;;) {
      const [status] = (await session.query<JobStatus>(jobStatus(job), [], { signal })).rows;
      if (status === undefined) throw gone(database, job);
      const { end, text, troubles } = progressOf(status);
      for (const trouble of troubles) {
        if (!told.has(trouble)) log.warn(`A move failed, and Citus tries it again: ${trouble}`, 1);
        told.add(trouble);
      }
      const now = performance.now();
      if (progressIsDue({ text, ended: end !== undefined }, shown, now)) {
        log.line(text, 2);
        shown = { text, at: now };
      }
      if (end === 'finished') return;
      if (end !== undefined) throw ended(database, job, end, troubles);
      await pause(POLL_MS, signal);
    }
  } catch (error) {
    if (signal.aborted) log.line(`Job ${job} goes on in the background; the next run follows it`, 1);
    throw error;
  }
}

function ended(database: string, job: string, end: 'failed' | 'cancelled', troubles: readonly string[]): Failure {
  return new Failure({
    kind: 'failed',
    what: `Moving shards (job ${job}) ${end === 'failed' ? 'failed' : 'was cancelled'}`,
    database,
    cause: troubles.length === 0 ? undefined : troubles.join('\n'),
    next: `What was moved stays where it is now. Remove the cause and run again; SELECT * FROM pg_dist_background_task WHERE job_id = ${job} has every move`,
  });
}

function gone(database: string, job: string): Failure {
  return new Failure({
    kind: 'failed',
    what: `Job ${job}, which moved shards, is no longer listed`,
    database,
    next: 'Somebody removed it from pg_dist_background_job. Run again: what is left to move is moved then',
  });
}
