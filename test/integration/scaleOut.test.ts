import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { CITUS_AS_IT_COMES } from '../../src/postgres/citusSettings.ts';
import { firstValue, list } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { onlinePlugins } from '../support/plugins.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/**
 * A worker joins, takes its share, and leaves: shards, reference tables, tenant schemas. The stand-in has no shards that
 * could move and no tenant schemas.
 */

const real = await findRealCitus();

const SQL = `SET citus.shard_count TO 4;
CREATE TABLE events (id bigint PRIMARY KEY, note text);
SELECT create_distributed_table('events', 'id');
INSERT INTO events SELECT g, 'x' FROM generate_series(1, 1000) g;
CREATE TABLE kinds (id int PRIMARY KEY);
SELECT create_reference_table('kinds');
`;

const test = clusterTest({ workers: 3, serverSettings: { wal_level: 'logical' } })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      async (command: readonly string[], database: Document, groups: readonly number[]): Promise<Outcome> => {
        return await runProgram(cluster, command, specOf(cluster, [{ ...MORE, ...database }], { groups }));
      },
  )
  .extend(
    'applied',
    { scope: 'file' },
    ({ run }) =>
      async (database: Document, groups: readonly number[]): Promise<string> => {
        const { code, log } = await run(['apply'], database, groups);
        expect({ code, log }).toEqual({
          code: 0,
          log: expect.stringContaining(`Database '${database['name']}' is ready!`),
        });
        return log;
      },
  )
  .extend(
    'nothingLeft',
    { scope: 'file' },
    ({ run }) =>
      async (database: Document, groups: readonly number[]): Promise<void> => {
        const { code, stdout } = await run(['plan'], database, groups);
        expect({ code, stdout }).toMatchObject({ code: 0 });
      },
  )
  /** `group number` of shards that are no copies of reference tables. */
  .extend('shards', { scope: 'file' }, ({ cluster }) => async (name: string): Promise<readonly string[]> => {
    return await list(
      cluster,
      0,
      name,
      `SELECT concat_ws(' ', groupid, count(*)) FROM pg_dist_placement JOIN pg_dist_shard USING (shardid)
     JOIN pg_dist_partition USING (logicalrelid) WHERE repmodel <> 't' GROUP BY groupid ORDER BY groupid`,
    );
  });

test.beforeAll(async ({ cluster }) => {
  if (cluster.kind === 'real') await onlinePlugins(cluster);
});

const MORE = { maxAttempts: 60, retryDelaySeconds: 2 };

describe.skipIf(real === undefined)('scale out', () => {
  test('never, the default: a worker that joins gets copies of reference tables at once, and no shards', async ({
    cluster,
    run,
    applied,
    nothingLeft,
    shards,
  }) => {
    const database = { name: 'still', initSQL: SQL };
    await applied(database, [1]);
    const plan = await run(['plan'], database, [1, 2]);
    expect(plan.stdout).toMatch(/copy reference tables to/);
    const log = await applied(database, [1, 2]);
    expect(log).toMatch(/Copying reference tables to/);
    const copies = `SELECT groupid::text FROM pg_dist_placement JOIN pg_dist_shard USING (shardid)
      WHERE logicalrelid = 'kinds'::regclass ORDER BY groupid`;
    expect(await list(cluster, 0, 'still', copies)).toEqual(['0', '1', '2']);
    expect(await shards('still')).toEqual(['1 4']);
    await nothingLeft(database, [1, 2]);
  });

  test('rebalance: the command moves shards, says how far it is, and then has nothing to do', async ({
    run,
    nothingLeft,
    shards,
  }) => {
    const database = { name: 'still', initSQL: SQL };
    const first = await run(['rebalance', 'still', '--transfer-mode', 'block_writes'], database, [1, 2]);
    expect(first.code, first.log).toBe(0);
    expect(first.log).toMatch(/Moving shards \(job \d+\)/);
    expect(first.log).toMatch(/2 of 2 tasks done/);
    expect(await shards('still')).toEqual(['1 2', '2 2']);
    const second = await run(['rebalance', 'still'], database, [1, 2]);
    expect({ code: second.code, log: second.log }).toEqual({
      code: 0,
      log: expect.stringContaining('No shard has to move'),
    });
    await nothingLeft(database, [1, 2]);
    const unknown = await run(['rebalance', 'still', 'no_such'], database, [1, 2]);
    expect({ code: unknown.code, log: unknown.log }).toEqual({
      code: 2,
      log: expect.stringContaining("There is no database 'no_such' to rebalance"),
    });
  });

  test('afterJoin: plan and apply agree, and the next run has nothing to do', async ({
    run,
    applied,
    nothingLeft,
    shards,
  }) => {
    const options = { when: 'afterJoin', strategy: 'by_shard_count', transferMode: 'block_writes' };
    const database = { name: 'joined', initSQL: SQL, rebalance: options };
    await applied(database, [1]);
    await nothingLeft(database, [1]);
    const plan = await run(['plan'], database, [1, 2]);
    expect(plan.stdout).toContain('rebalance shards, since a worker has none');
    const log = await applied(database, [1, 2]);
    expect(log).toMatch(/Moving shards \(job \d+\)/);
    expect(await shards('joined')).toEqual(['1 2', '2 2']);
    expect(await applied(database, [1, 2])).toContain('Nothing was changed');
    await nothingLeft(database, [1, 2]);

    const wrong = await run(['apply'], { ...database, rebalance: { when: 'afterJoin', strategy: 'no_such' } }, [1, 2]);
    expect({ code: wrong.code, log: wrong.log }).toEqual({
      code: 2,
      log: expect.stringContaining("There is no rebalance strategy 'no_such'"),
    });
  });

  test('afterJoin: a job that somebody else began, or a run that was cut off left behind, is followed', async ({
    cluster,
    applied,
    shards,
  }) => {
    const database = { name: 'followed', initSQL: SQL, rebalance: 'afterJoin' };
    await applied({ ...database, rebalance: 'never' }, [1]);
    await applied({ ...database, rebalance: 'never' }, [1, 2]);
    // Its moves wait for this transaction, so that the run meets them under way.
    const writer = await connect(cluster, 0, 'followed');
    await writer.query("BEGIN; UPDATE events SET note = 'y'");
    const start = "SELECT citus_rebalance_start(shard_transfer_mode => 'block_writes')::text AS job";
    const job = String((await query(cluster, 0, 'followed', start))[0]?.['job']);
    const run = applied(database, [1, 2]);
    const following =
      "SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE '%citus_job_status(''' || $1 || '''::%' AND pid <> pg_backend_pid()";
    while ((await query(cluster, 0, 'postgres', following, [job]))[0]?.['count'] === 0) await sleep(100);
    await writer.query('COMMIT');
    await writer.end();
    expect(await run).toContain(`A rebalance is under way (job ${job}) and is followed`);
    expect(await shards('followed')).toEqual(['1 2', '2 2']);
  });

  test('shouldHaveShards keeps nodes free, and lets the coordinator have some', async ({
    cluster,
    run,
    applied,
    nothingLeft,
    shards,
  }) => {
    const database = { name: 'chosen', shouldHaveShards: { 0: true, 2: false }, initSQL: SQL };
    await applied(database, [1, 2]);
    expect(await shards('chosen')).toEqual(['0 2', '1 2']);
    await nothingLeft(database, [1, 2]);
    const plan = await run(['plan'], { ...database, shouldHaveShards: { 0: false } }, [1, 2]);
    expect(plan.stdout).toMatch(/set shouldhaveshards of \S+ \(group 0\) to false/);
    await applied({ ...database, shouldHaveShards: { 0: false, 2: true } }, [1, 2]);
    const flags = "SELECT concat_ws(' ', groupid, shouldhaveshards) FROM pg_dist_node ORDER BY groupid";
    for (const group of [0, 1, 2]) expect(await list(cluster, group, 'chosen', flags)).toEqual(['0 f', '1 t', '2 t']);
  });

  test("an owner's function that would run as superuser is named, and nothing moves", async ({
    cluster,
    run,
    shards,
  }) => {
    const database = { name: 'chosen', shouldHaveShards: { 0: false, 2: true }, initSQL: SQL };
    const plant = `CREATE ROLE planter; CREATE FUNCTION planted(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
      CREATE TABLE plants (id int PRIMARY KEY, CHECK (planted(id))); SELECT create_distributed_table('plants', 'id');
      ALTER FUNCTION planted OWNER TO planter`;
    for (const text of plant.split(';')) await query(cluster, 0, 'chosen', text);
    // Somebody else's function opens the database: without this, as `apply` does it, shards would not be looked at.
    const ofSuperuser = async (action: string) => {
      for (const group of [0, 1, 2]) {
        await query(cluster, group, 'postgres', `ALTER ROLE postgres IN DATABASE chosen ${action}`);
      }
    };
    const pinned = { search_path: 'pg_catalog', role: 'none', ...CITUS_AS_IT_COMES };
    for (const [name, value] of Object.entries(pinned)) await ofSuperuser(`SET ${name} = ${value}`);
    const { code, log } = await run(['rebalance', 'chosen'], database, [1, 2]);
    expect({ code, log }).toEqual({
      code: 3,
      log: expect.stringMatching(/Moving shards would run .*planted.* of 'planter' as superuser/),
    });
    expect(await shards('chosen')).not.toContain('2 2');
    const drained = await run(['drain', '2'], database, [1, 2]);
    expect({ code: drained.code, log: drained.log }).toEqual({
      code: 3,
      log: expect.stringMatching(/Moving shards would run .*planted.* of 'planter' as superuser/),
    });
    const takes = 'SELECT shouldhaveshards FROM pg_dist_node WHERE groupid = 2';
    expect(await firstValue(cluster, 0, 'chosen', takes)).toBe(true);
    await ofSuperuser('RESET ALL');
    await query(cluster, 0, 'chosen', 'DROP TABLE plants');
    await query(cluster, 0, 'chosen', 'DROP FUNCTION planted(int)');
  });

  test('tenant schemas are made, adopted, and left alone where their tables belong to others', async ({
    cluster,
    run,
    applied,
    nothingLeft,
    shards,
  }) => {
    const schemas = [
      { name: 'tenant one', distributed: true },
      { name: 'tenant2', distributed: true },
    ];
    const database = { name: 'tenants', schemas, initSQL: 'CREATE TABLE "tenant one".t (id int);' };
    await applied(database, [1, 2]);
    const tenants = 'SELECT schemaid::regnamespace::text FROM pg_dist_schema ORDER BY 1';
    expect(await list(cluster, 0, 'tenants', tenants)).toEqual(['"tenant one"', 'tenant2']);
    expect(await shards('tenants')).toHaveLength(1);
    await nothingLeft(database, [1, 2]);

    await query(
      cluster,
      0,
      'tenants',
      'CREATE SCHEMA plain; CREATE TABLE plain.t (id int); INSERT INTO plain.t VALUES (7)',
    );
    const more = { ...database, schemas: [...schemas, { name: 'plain', distributed: true }] };
    await applied(more, [1, 2]);
    expect(await firstValue(cluster, 1, 'tenants', 'SELECT id FROM plain.t')).toBe(7);
    await nothingLeft(more, [1, 2]);

    await query(
      cluster,
      0,
      'tenants',
      'CREATE ROLE tenant_owner; CREATE SCHEMA theirs AUTHORIZATION tenant_owner; CREATE TABLE theirs.t (id int)',
    );
    const theirs = { name: 'theirs', owner: 'tenant_owner', distributed: true };
    const { code, log } = await run(['apply'], { ...more, schemas: [...more.schemas, theirs] }, [1, 2]);
    expect({ code, log }).toEqual({ code: 3, log: expect.stringContaining("Schema 'theirs' holds tables of others") });

    await query(
      cluster,
      0,
      'tenants',
      'CREATE SCHEMA shared; CREATE TABLE shared.t (id int); ALTER TABLE shared.t OWNER TO tenant_owner',
    );
    const shared = { name: 'shared', distributed: true };
    const mixed = await run(['apply'], { ...more, schemas: [...more.schemas, shared] }, [1, 2]);
    expect({ code: mixed.code, log: mixed.log }).toEqual({
      code: 3,
      log: expect.stringContaining("Schema 'shared' holds tables of others"),
    });
    expect(await list(cluster, 0, 'tenants', tenants)).not.toContain('shared');
  });

  test('drain: every database lets go of the group, which may then leave; what cannot move is named', async ({
    cluster,
    run,
    applied,
    nothingLeft,
    shards,
  }) => {
    const database = { name: 'still', initSQL: SQL };
    // A table without a key cannot move by logical replication; what was drained before stays drained.
    const stopped = await run(['drain', '2'], database, [1, 2]);
    expect({ code: stopped.code, log: stopped.log }).toEqual({
      code: 2,
      log: expect.stringMatching(/Failed to start moving shards \(database tenants\)\n {2}Cause: cannot use logical/),
    });
    expect(await list(cluster, 0, 'still', 'SELECT groupid::text FROM pg_dist_node ORDER BY 1')).toEqual(['0', '1']);
    const { code, log } = await run(['drain', '2', '--transfer-mode', 'block_writes'], database, [1, 2]);
    expect(code, log).toBe(0);
    expect(log).toContain('No database has shards on group 2 any more: it may leave the declared workers');
    for (const name of ['still', 'joined', 'followed', 'chosen', 'tenants']) {
      expect(await list(cluster, 0, name, 'SELECT groupid::text FROM pg_dist_node ORDER BY 1')).toEqual(['0', '1']);
      expect(await firstValue(cluster, 1, name, 'SELECT count(*)::int FROM pg_dist_node')).toBe(2);
    }
    expect(await shards('still')).toEqual(['1 4']);
    expect(await firstValue(cluster, 0, 'still', 'SELECT count(*)::int FROM events')).toBe(1000);
    await nothingLeft(database, [1]);
    expect(await applied(database, [1])).toContain('Nothing was changed');

    // Declared again: once its old database is dropped there, as docs/DATABASE_MANAGEMENT.md says.
    for (const command of ['plan', 'apply', 'verify']) {
      const refused = await run([command], database, [1, 2]);
      expect({ command, code: refused.code, log: refused.log }).toEqual({
        ...{ command, code: 3 },
        log: expect.stringContaining(
          'The database on this worker holds distributed tables from before: it was drained',
        ),
      });
    }
    await query(cluster, 2, 'postgres', 'DROP DATABASE still WITH (FORCE)');
    await applied(database, [1, 2]);
    await nothingLeft(database, [1, 2]);
    expect((await run(['verify'], database, [1, 2])).code).toBe(0);
    expect(await firstValue(cluster, 2, 'still', 'SELECT count(*)::int FROM events')).toBe(1000);
    const emptied = await run(['drain', '2'], database, [1, 2]);
    expect(emptied.code, emptied.log).toBe(0);

    const last = await run(['drain', '1'], database, [1]);
    expect({ code: last.code, log: last.log }).toEqual({
      code: 3,
      log: expect.stringMatching(/No other node takes the shards of group 1[\s\S]*database 'still': events \(4\)/),
    });
    const again = await run(['drain', '2'], database, [1]);
    expect({ code: again.code, log: again.log }).toEqual({
      code: 0,
      log: expect.stringContaining('Group 2 is not registered in any database'),
    });
    const zero = await run(['drain', '0'], database, [1]);
    expect(zero.code).toBe(2);
  });
});
