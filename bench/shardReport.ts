import { GOALS, type Judged, judge } from './goals.ts';
import { median, medianRatio } from './statistics.ts';
import { table } from './table.ts';

/** Unchanged runs in a database with so many shards; milliseconds, one number for each round. */
export interface ShardRow {
  readonly workers: number;
  readonly tables: number;
  readonly users: number;
  readonly shards: number;
  readonly now: readonly number[];
  /** Of another build. */
  readonly before: readonly number[];
  /** psql that reads the same catalogs. */
  readonly psql: readonly number[];
  /** Of all servers together. */
  readonly cpu: readonly number[];
  readonly peakMegabytes: number;
  /** Those with an answer, to the node that was asked the most. */
  readonly messages: number;
}

export function shardTable(rows: readonly ShardRow[]): string {
  const ms = (numbers: readonly number[]) => (numbers.length === 0 ? '' : `${median(numbers).toFixed(0)} ms`);
  const ratio = (above: readonly number[], below: readonly number[]) =>
    below.length === 0 ? '' : `${medianRatio(above, below).toFixed(2)} ×`;
  return table(
    [
      ...['workers', 'tables', 'users', 'shards', 'unchanged apply', 'before', '/ before', 'psql, catalogs', '/ psql'],
      ...['CPU of servers', 'messages to a node', 'peak memory'],
    ],
    rows.map(({ workers, tables, users, shards, now, before, psql, cpu, messages, peakMegabytes }) => [
      ...[workers, tables, users, shards].map(String),
      ms(now),
      ms(before),
      ratio(now, before),
      ms(psql),
      ratio(now, psql),
      ms(cpu),
      String(messages),
      `${peakMegabytes.toFixed(0)} MB`,
    ]),
  );
}

export function judgeShards(rows: readonly ShardRow[]): readonly Judged[] {
  return rows.flatMap((row) => {
    const { workers, shards, now, psql, peakMegabytes, messages } = row;
    const where = `${workers} workers, ${shards} shards`;
    const fewer = rows.filter((other) => other.workers === workers && other.shards < shards);
    const [fewest] = fewer;
    const growth = growthOf([...fewer, row]);
    return [
      ...(psql.length === 0 ? [] : [judge(GOALS.shardsTime, medianRatio(now, psql), where)]),
      ...(growth === undefined ? [] : [judge(GOALS.shardsGrowth, growth, where)]),
      ...(fewest === undefined ? [] : [judge(GOALS.shardsMessages, messages - fewest.messages, where)]),
      judge(GOALS.memory, peakMegabytes, where),
    ];
  });
}

/**
 * What each further shard costs from the last size but one to the last, against what each cost from the first size to the
 * last but one: 1 where growth is linear, ten where it is quadratic and sizes are ten times each other. CPU time, which
 * other work on the machine disturbs less than seconds. undefined: it cannot be told, as with fewer than three sizes.
 */
function growthOf(rows: readonly ShardRow[]): number | undefined {
  const [first] = rows;
  const [before, last] = rows.slice(-2);
  if (first === undefined || before === undefined || last === undefined || before === first) return undefined;
  if ([first, before, last].some(({ cpu }) => cpu.length === 0)) return undefined;
  const forEach = (from: ShardRow, to: ShardRow) => (median(to.cpu) - median(from.cpu)) / (to.shards - from.shards);
  const earlier = forEach(first, before);
  return earlier > 0 ? forEach(before, last) / earlier : undefined;
}
