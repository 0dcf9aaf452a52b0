import { quoteLiteral } from '../postgres/quote.ts';
import type { RebalanceOptions } from '../spec/types.ts';
import type { Kind } from './kind.ts';
import { HAS_CITUS } from './observe.ts';

/** Moving shards, by citus_rebalance_start(): a job in the background, in which each move is a transaction of its own. */

export interface ObservedRebalance {
  /** A job is under way. */
  readonly running: boolean;
  /** There are shards that could be moved. */
  readonly shards: boolean;
  /** Moves to nodes that take shards and have none. */
  readonly moves: number;
  /** false: there is no such strategy. */
  readonly strategyKnown: boolean;
}

const UNFINISHED = "'scheduled', 'running', 'cancelling', 'failing'";

/** Reference tables are on every node anyway (repmodel t). */
const MOVABLE = `pg_catalog.pg_dist_placement l
  JOIN pg_catalog.pg_dist_shard s ON s.shardid = l.shardid
  JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid AND p.repmodel <> 't' AND p.partmethod IN ('h', 'n')`;

const EMPTY_NODE = `SELECT FROM pg_catalog.pg_dist_node n
  WHERE n.isactive AND n.noderole = 'primary' AND n.shouldhaveshards
    AND NOT EXISTS (SELECT FROM ${MOVABLE} WHERE l.groupid = n.groupid)`;

/** Looked at only where the entry asks for it: a strategy by disk size asks every node. */
export const rebalancing: Kind<ObservedRebalance | null> = {
  key: 'rebalancing',
  scope: 'database',
  when: HAS_CITUS,
  observe: ({ rebalance }) => {
    if (rebalance.when === 'never') return undefined;
    const { strategy } = rebalance.options;
    const name = strategy === undefined ? 'NULL' : quoteLiteral(strategy);
    const known = `(${name} IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_dist_rebalance_strategy r WHERE r.name = ${name}))`;
    return `CASE WHEN (SELECT groupid = 0 FROM pg_catalog.pg_dist_local_group) THEN pg_catalog.jsonb_build_object(
      'running', EXISTS (SELECT FROM pg_catalog.pg_dist_background_job j WHERE j.job_type = 'rebalance' AND j.state IN (${UNFINISHED})),
      'shards', EXISTS (SELECT FROM ${MOVABLE}),
      'strategyKnown', ${known},
      'moves', CASE WHEN ${known} AND EXISTS (${EMPTY_NODE}) THEN
        (SELECT pg_catalog.count(*) FROM pg_catalog.get_rebalance_table_shards_plan(rebalance_strategy => ${name})) ELSE 0 END)
      ELSE 'null' END`;
  },
  diff: () => [],
};

/** Returns the number of the job, or null where there is nothing to move. */
export function startRebalance(options: RebalanceOptions, drainOnly: boolean): string {
  const { strategy, transferMode, parallelReferenceTables, parallelColocatedShards } = options;
  const named = [
    strategy === undefined ? undefined : `rebalance_strategy => ${quoteLiteral(strategy)}`,
    drainOnly ? 'drain_only => true' : undefined,
    transferMode === undefined ? undefined : `shard_transfer_mode => '${transferMode}'`,
    parallelReferenceTables ? 'parallel_transfer_reference_tables => true' : undefined,
    parallelColocatedShards ? 'parallel_transfer_colocated_shards => true' : undefined,
  ].filter((argument) => argument !== undefined);
  return `SELECT pg_catalog.citus_rebalance_start(${named.join(', ')})::pg_catalog.text AS job`;
}

export const UNFINISHED_REBALANCE = `SELECT j.job_id::pg_catalog.text AS job FROM pg_catalog.pg_dist_background_job j
  WHERE j.job_type = 'rebalance' AND j.state IN (${UNFINISHED}) ORDER BY j.job_id DESC LIMIT 1`;

/**
 * Tasks of a rebalance that copy reference tables to where they are missing, which an owner cannot hold up for as long as the
 * others (Citus: shard_rebalancer.c, RebalanceTableShardsBackground(); reference_table_utils.c).
 */
export const UNFINISHED_COPIES = `SELECT FROM pg_catalog.pg_dist_background_task t
  JOIN pg_catalog.pg_dist_background_job j ON j.job_id = t.job_id
  WHERE j.job_type = 'rebalance' AND j.state IN (${UNFINISHED}) AND t.status::pg_catalog.text <> 'done'
    AND t.command ~ 'replicate_reference_tables|citus_internal_copy_single_shard_placement'`;

/**
 * citus_rebalance_status() is this for the latest job, which need not be the one that is followed. There is a type of the
 * function's name, to which a literal without a type would be cast.
 */
export function jobStatus(job: string): string {
  return `SELECT state::pg_catalog.text AS state, details::pg_catalog.text AS details FROM pg_catalog.citus_job_status(${quoteLiteral(job)}::pg_catalog.int8)`;
}

export interface JobStatus {
  readonly state: string;
  /** JSON, as citus_rebalance_status() describes it. */
  readonly details: string;
}

interface JobDetails {
  readonly task_state_counts: Readonly<Record<string, number>> | null;
  readonly tasks: readonly {
    readonly state: string;
    readonly retried?: number;
    readonly message?: string | null;
    readonly command?: string;
    readonly size?: { readonly source: string | null; readonly target: string | null };
    readonly hosts?: { readonly source: string | null; readonly target: string | null };
  }[];
}

export interface Progress {
  readonly end: 'finished' | 'failed' | 'cancelled' | undefined;
  /** `3 of 8 moves done`, and what is under way. */
  readonly text: string;
  readonly done: number;
  /** What went wrong, in PostgreSQL's words; Citus tries such moves again for some time. */
  readonly troubles: readonly string[];
}

export function progressOf({ state, details }: JobStatus): Progress {
  const { task_state_counts: counts, tasks } = JSON.parse(details) as JobDetails;
  const all = Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0);
  const done = counts?.['done'] ?? 0;
  const moving = tasks
    .filter((task) => task.state === 'running' && task.hosts?.source != null && task.hosts.target != null)
    .map(({ hosts, size }) => `${hosts?.source} to ${hosts?.target} (${size?.target ?? '0 bytes'} of ${size?.source})`);
  const troubles = tasks
    .filter(({ state: of, message }) => of !== 'running' && message != null && message !== '')
    .map(({ message, command }) => `${command}: ${message}`);
  const end = state === 'finished' || state === 'failed' || state === 'cancelled' ? state : undefined;
  const under = moving.length === 0 ? '' : `; under way: ${moving.join(', ')}`;
  return { end, done, text: `${done} of ${all} ${all === 1 ? 'task' : 'tasks'} done${under}`, troubles };
}
