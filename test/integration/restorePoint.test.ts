import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { describe, expect } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { connect, query, withCitus } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { buildProgram, runProgram, specOf } from '../support/program.ts';
import { ARCHIVING, copyServers, restoreTo } from '../support/restore.ts';

/**
 * Two databases, and writers whose transactions commit on both workers: through the coordinator and through the workers.
 * Each transaction writes two rows, one on each worker, and its number first in one database and then in the other.
 * CITUS_DATABASES_TEST_RESTORES says how many points are restored.
 */
const real = process.env['CITUS_DATABASES_TEST_CITUS'] === 'stand-in' ? undefined : await findRealCitus();
const ROUNDS = Number(process.env['CITUS_DATABASES_TEST_RESTORES'] ?? 3);
const DATABASES = ['first', 'second'] as const;

const TABLE = `
  SET citus.shard_count TO 4;
  CREATE TABLE halves (key int NOT NULL, writer int NOT NULL, number int NOT NULL);
  SELECT create_distributed_table('halves', 'key');`;

interface Write {
  readonly writer: number;
  readonly keys: readonly [number, number];
}

const test = clusterTest({
  workers: 2,
  citus: 'real',
  serverSettings: { ...ARCHIVING, max_prepared_transactions: '50' },
})
  .extend(
    'spec',
    { scope: 'file' },
    ({ cluster }) =>
      (groups?: readonly number[]) =>
        specOf(cluster, [], groups === undefined ? {} : { groups }),
  )
  /** Modes and tables, in any database of any node. */
  .extend('locksOnMetadata', { scope: 'file' }, ({ cluster }) => async () => {
    const found = [];
    for (const { group } of cluster.nodes) {
      for (const database of DATABASES) {
        found.push(
          ...(await query(
            cluster,
            group,
            database,
            `SELECT l.mode, l.relation::regclass::text AS relation FROM pg_locks l
           WHERE l.mode = 'ExclusiveLock' AND l.relation::regclass::text LIKE 'pg_dist_%'`,
          )),
        );
      }
    }
    return found;
  })
  .extend(
    'write',
    { scope: 'file' },
    ({ cluster }) =>
      async ({ writer, keys: [one, other] }: Write, database: string, group: number): Promise<void> => {
        const client = await connect(cluster, group, database);
        try {
          await writeBoth(client, { writer, number: 1, keys: [one, other] });
        } finally {
          await client.end();
        }
      },
  )
  /** Two on the coordinator, one on each worker. They write until they are stopped. */
  .extend('startWriters', { scope: 'file' }, ({ cluster }) => (): { stop(): Promise<void> } => {
    let stopped = false;
    const writers = [0, 0, 1, 2].map(async (group, writer) => {
      const clients = await Promise.all(DATABASES.map((database) => connect(cluster, group, database)));
      for (let number = 1; !stopped; number += 1) {
        for (const [index, database] of DATABASES.entries()) {
          const client = clients[index];
          if (client === undefined) throw new Error('There is a client for each database');
          await writeBoth(client, { writer, number, keys: keys.get(database) ?? [0, 0] });
        }
      }
      await Promise.all(clients.map((client) => client.end()));
    });
    return {
      stop: async () => {
        stopped = true;
        await Promise.all(writers);
      },
    };
  })
  /** Until every finished segment is in the archives. */
  .extend('archived', { scope: 'file' }, ({ cluster }) => async (): Promise<void> => {
    for (const { group } of cluster.nodes) {
      const [before] = await query(cluster, group, 'postgres', 'SELECT pg_walfile_name(pg_switch_wal() - 1) AS file');
      const state = async () =>
        (
          await query(cluster, group, 'postgres', 'SELECT last_archived_wal >= $1 AS done FROM pg_stat_archiver', [
            before?.['file'],
          ])
        )[0]?.['done'];
      await expect.poll(state, { timeout: 60_000 }).toBe(true);
    }
  })
  /**
   * After Citus has settled what was prepared: transactions of which one row is there, and writers whose number in the
   * second database is ahead of that in the first one, where they write before.
   */
  .extend('stateOf', { scope: 'file' }, ({ cluster }) => async () => {
    for (const { group } of cluster.nodes) {
      for (const database of DATABASES) await query(cluster, group, database, 'SELECT recover_prepared_transactions()');
    }
    const halves = { first: 0, second: 0 };
    const latest = new Map<string, Map<number, number>>();
    for (const database of DATABASES) {
      const rows = await query(
        cluster,
        0,
        database,
        'SELECT count(*)::int AS torn FROM (SELECT writer FROM halves GROUP BY writer, number HAVING count(*) <> 2) torn',
      );
      halves[database] = Number(rows[0]?.['torn']);
      const written = await query(cluster, 0, database, 'SELECT writer, max(number) AS number FROM halves GROUP BY 1');
      // Something was written before each point.
      expect(written.length).toBeGreaterThanOrEqual(4);
      latest.set(database, new Map(written.map(({ writer, number }) => [Number(writer), Number(number)])));
    }
    const ahead = [...(latest.get('second') ?? [])].filter(
      ([writer, number]) => writer !== 100 && number > (latest.get('first')?.get(writer) ?? 0),
    );
    return { halves, ahead };
  });
/** A key on each worker. */
const keys = new Map<string, readonly [number, number]>();

async function writeBoth(client: pg.Client, { writer, number, keys: [one, other] }: Write & { number: number }) {
  await client.query('BEGIN');
  await client.query('INSERT INTO halves VALUES ($1, $2, $3)', [one, writer, number]);
  await client.query('INSERT INTO halves VALUES ($1, $2, $3)', [other, writer, number]);
  await client.query('COMMIT');
}

// The stand-in knows no two-phase commit.
describe.skipIf(real === undefined)('restore-point', () => {
  test.beforeAll(async ({ cluster }) => {
    for (const database of DATABASES) {
      await withCitus(cluster, database);
      await query(cluster, 0, database, TABLE);
      const rows = await query(
        cluster,
        0,
        database,
        `SELECT p.groupid, min(k) AS key FROM generate_series(1, 100) k
         JOIN pg_dist_placement p ON p.shardid = get_shard_id_for_distribution_column('halves', k) GROUP BY 1 ORDER BY 1`,
      );
      keys.set(database, [Number(rows[0]?.['key']), Number(rows[1]?.['key'])]);
    }
  });

  test('a transaction in the way: it gives up in time, names it, and leaves nothing locked', async ({
    cluster,
    spec,
    locksOnMetadata,
    write,
  }) => {
    const holder = await connect(cluster, 1, 'second');
    try {
      await holder.query(
        "BEGIN; SET LOCAL application_name = 'in the way'; LOCK pg_dist_partition IN ROW EXCLUSIVE MODE",
      );
      const { code, log, milliseconds } = await runProgram(
        cluster,
        ['restore-point', 'in_vain', '--lock-timeout', '1s'],
        spec(),
      );
      expect({ code, log }).toEqual({
        code: 1,
        log: expect.stringMatching(
          /The locks for the restore point were not granted within 1 s[\s\S]*node1, database second: waits for ExclusiveLock [\s\S]*in the way\) holds; to end it: SELECT pg_terminate_backend/,
        ),
      });
      expect(milliseconds).toBeLessThan(20_000);
      expect(await locksOnMetadata()).toEqual([]);
    } finally {
      await holder.end();
    }
    await write({ writer: 100, keys: keys.get('second') ?? [0, 0] }, 'second', 0);
  });

  test('SIGTERM while it waits: nothing stays locked', async ({ cluster, spec, locksOnMetadata }) => {
    const program = await buildProgram();
    const holder = await connect(cluster, 0, 'second');
    try {
      await holder.query('BEGIN; LOCK pg_dist_transaction IN ROW EXCLUSIVE MODE');
      const child = await program.start(cluster, ['restore-point', 'stopped', '--lock-timeout', '1m'], spec());
      const waits = async () =>
        (await query(cluster, 0, 'postgres', "SELECT FROM pg_locks WHERE NOT granted AND mode = 'ExclusiveLock'"))
          .length;
      await expect.poll(waits, { timeout: 30_000 }).toBe(1);
      child.kill('SIGTERM');
      expect((await child.ended).code).toBe(143);
      expect(await locksOnMetadata()).toEqual([]);
    } finally {
      await holder.end();
      await program.remove();
    }
  });

  test('a node that the spec does not name is refused', async ({ cluster, spec, locksOnMetadata }) => {
    const { code, log } = await runProgram(cluster, ['restore-point', 'partial'], spec([1]));
    expect({ code, log }).toEqual({
      code: 3,
      log: expect.stringContaining("Database 'first' has a node that the spec does not name"),
    });
    expect(await locksOnMetadata()).toEqual([]);
  });

  test('databases that accept no connections, on any node: left out, and said so', async ({ cluster, spec }) => {
    const close = (group: number, database: string, allow: boolean) =>
      query(cluster, group, 'postgres', `ALTER DATABASE ${database} ALLOW_CONNECTIONS ${allow}`);
    for (const [group, database, locked] of [
      [0, 'first', ['second']],
      [2, 'second', ['first']],
    ] as const) {
      await close(group, database, false);
      const { code, stdout, stderr } = await runProgram(
        cluster,
        ['restore-point', `without ${database}`, '--output', 'json'],
        spec(),
      );
      await close(group, database, true);
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringContaining(
          `accept no connections are not locked, and may be of another moment: ${database}`,
        ),
      });
      const report = JSON.parse(stdout);
      expect([report.databases, report.notLocked.filter((name: string) => name !== 'template0')]).toEqual([
        locked,
        [database],
      ]);
    }
  });

  test('an owner who opens and closes her database all the time holds nobody up', async ({ cluster, spec }) => {
    const client = await connect(cluster, 0, 'postgres');
    let stopped = false;
    const toggling = (async () => {
      for (let allow = false; !stopped; allow = !allow) {
        await client.query(`ALTER DATABASE second ALLOW_CONNECTIONS ${allow}`);
      }
      await client.query('ALTER DATABASE second ALLOW_CONNECTIONS true');
      await client.end();
    })();
    const outcomes: unknown[] = [];
    for (let round = 1; round <= 8; round += 1) {
      const { code, stdout, log } = await runProgram(
        cluster,
        ['restore-point', `toggled ${round}`, '--output', 'json'],
        spec(),
      );
      const { databases, notLocked } = code === 0 ? JSON.parse(stdout) : { databases: log, notLocked: log };
      outcomes.push([...databases, ...notLocked].filter((name: string) => name !== 'template0').toSorted());
    }
    stopped = true;
    await toggling;
    expect(outcomes).toEqual(Array(8).fill(['first', 'second']));
  });

  test('a database that not every worker has', async ({ cluster, spec }) => {
    await query(cluster, 0, 'postgres', 'CREATE DATABASE partly');
    await query(cluster, 0, 'partly', 'CREATE EXTENSION citus');
    const { code, stdout, log } = await runProgram(cluster, ['restore-point', 'partly', '--output', 'json'], spec());
    await query(cluster, 0, 'postgres', 'DROP DATABASE partly WITH (FORCE)');
    expect({ code, log: code === 0 ? '' : log }).toEqual({ code: 0, log: '' });
    expect(JSON.parse(stdout).databases).toEqual(['first', 'partly', 'second']);
  });

  test.for([['n'.repeat(64)], ['two\nlines'], ['']] as const)(
    'a point cannot be called %j',
    async ([name], { cluster, spec }) => {
      const { code, log } = await runProgram(cluster, ['restore-point', name], spec());
      expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining('A restore point cannot have this name') });
    },
  );

  test(
    `no half of a transaction is in either database at ${ROUNDS} points, and the databases are of one moment`,
    async ({ cluster, spec, startWriters, archived, stateOf }) => {
      const base = await copyServers(cluster);
      const writers = startWriters();
      const stood: number[] = [];
      try {
        for (let round = 1; round <= ROUNDS; round += 1) {
          await sleep(200 + 50 * (round % 5));
          const { code, stdout, stderr } = await runProgram(
            cluster,
            ['restore-point', `round ${round}`, '--output', 'json'],
            spec(),
          );
          expect({ code, stderr }, stderr).toEqual({
            code: 0,
            stderr: expect.stringContaining('WAL is archived on every node'),
          });
          const report = JSON.parse(stdout);
          expect(report).toMatchObject({ name: `round ${round}`, databases: DATABASES });
          expect(report.nodes.map(({ archived }: { archived: boolean }) => archived)).toEqual([true, true, true]);
          stood.push(report.writesBlockedMilliseconds);
        }
        // What the command prevents: points that are made one after the other while the writers go on.
        for (const { group } of cluster.nodes) {
          await query(cluster, group, 'postgres', "SELECT pg_create_restore_point('unlocked')");
          await sleep(300);
        }
        for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', 'SELECT pg_switch_wal()');
      } finally {
        await writers.stop();
      }
      console.log(`Writes stood for ${stood.join(', ')} ms`);
      await archived();
      for (let round = 1; round <= ROUNDS; round += 1) {
        await restoreTo(cluster, base, `round ${round}`);
        const state = await stateOf();
        expect(state, `round ${round}`).toEqual({ halves: { first: 0, second: 0 }, ahead: [] });
      }
      await restoreTo(cluster, base, 'unlocked');
      const { halves, ahead } = await stateOf();
      expect(halves.first + halves.second + ahead.length, 'the test finds what is torn').toBeGreaterThan(0);
    },
    120_000 + ROUNDS * 60_000,
  );
});
