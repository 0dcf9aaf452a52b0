import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** A run, and the moving of shards to a worker that is new, at the same time. The stand-in has no shards to move. */

const test = clusterTest({ workers: 2, serverSettings: { wal_level: 'logical' } })
  .extend('apply', { scope: 'file' }, ({ cluster }) => async (database: Document): Promise<Outcome> => {
    return await runProgram(
      cluster,
      ['apply'],
      specOf(cluster, [{ maxAttempts: 60, retryDelaySeconds: 2, ...database }]),
    );
  })
  .extend(
    'placements',
    { scope: 'file' },
    ({ cluster }) =>
      (name: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
        const text = `SELECT groupid, count(*)::int FROM pg_dist_placement GROUP BY groupid ORDER BY groupid`;
        return query(cluster, 0, name, text);
      },
  )
  /** Moves half of the shards, in a session of its own; resolves once the first is on its way. */
  .extend(
    'rebalance',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, statements: readonly string[]): Promise<{ readonly ended: Promise<void> }> => {
        const client = await connect(cluster, 0, name);
        const ended = (async () => {
          for (const text of statements) await client.query(text);
        })().finally(() => client.end());
        const underWay = 'SELECT count(*)::int FROM get_rebalance_progress()';
        // Either it is seen at work, or it fails.
        const seen = (async () => {
          while ((await firstValue(cluster, 0, name, underWay)) === 0) await sleep(20);
        })();
        await Promise.race([seen, ended]);
        return { ended };
      },
  );

const TABLES = [
  'SET citus.shard_count TO 8;',
  'CREATE TABLE events (id bigint PRIMARY KEY, kind text);',
  "SELECT create_distributed_table('events', 'id');",
  "INSERT INTO events SELECT g, repeat('x', 100) FROM generate_series(1, 40000) g;",
  '',
].join('\n');

interface Rebalance {
  readonly title: string;
  /** Ends when all shards are where they belong. */
  readonly start: readonly string[];
  /** SQL that the run adds to the script meanwhile. */
  readonly meanwhile: string;
}

const INSERT = "INSERT INTO events (id, kind) VALUES (0, 'late');\n";
const REBALANCES: readonly Rebalance[] = [
  {
    title: 'rebalance_table_shards, blocking writes',
    start: ["SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')"],
    meanwhile: INSERT,
  },
  {
    // In the background each move is a transaction of its own, so that a statement that alters the table has its turn
    // between two of them. rebalance_table_shards holds locks throughout and waits for moves that stand in line behind
    // such a statement, which Citus 13.2 does not see: docs/RELIABILITY.md, "What is not promised".
    title: 'citus_rebalance_start, by logical replication',
    start: ["SELECT citus_rebalance_start(shard_transfer_mode => 'force_logical')", 'SELECT citus_rebalance_wait()'],
    meanwhile: `ALTER TABLE events ADD COLUMN note text;\n${INSERT}`,
  },
];

test.for(REBALANCES.map((each) => [each.title, each] as const))(
  '%s',
  { timeout: 600_000 },
  async ([title, { start, meanwhile }], { cluster, apply, placements, rebalance }) => {
    if (cluster.kind !== 'real') {
      const functions = "SELECT FROM pg_proc WHERE proname IN ('rebalance_table_shards', 'citus_rebalance_start')";
      expect(await apply({ name: 'standing', initSQL: 'SELECT 1' })).toMatchObject({ code: 0 });
      expect(await query(cluster, 0, 'standing', functions)).toEqual([]);
      return console.log('Rebalancing: not tested here, because the stand-in has no shards to move');
    }
    const name = `moving ${title}`.slice(0, 40);
    expect(await apply({ name, workerGroups: ['1'], initSQL: TABLES })).toMatchObject({ code: 0 });
    expect(await apply({ name, initSQL: TABLES })).toMatchObject({ code: 0 });
    expect(await placements(name)).toEqual([{ groupid: 1, count: 8 }]);

    const { ended } = await rebalance(name, start);
    const more = {
      name,
      extensions: ['hstore', { name: 'pg_trgm', schema: 'tools' }],
      schemas: ['analytics'],
      parameters: { work_mem: '5MB' },
      initSQL: `${TABLES}${meanwhile}`,
    };
    const [{ code, log }] = await Promise.all([apply(more), ended]);
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
    expect(await placements(name)).toEqual([
      { groupid: 1, count: 4 },
      { groupid: 2, count: 4 },
    ]);
    expect(await firstValue(cluster, 2, name, 'SELECT count(*)::int FROM events')).toBe(40_001);
    expect(await apply(more)).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
    expect(await runProgram(cluster, ['verify'], specOf(cluster, [more]))).toMatchObject({ code: 0 });
  },
);
