import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { CITUS_AS_IT_COMES } from '../../src/postgres/citusSettings.ts';
import { firstValue, list } from '../support/catalog.ts';
import { connect } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, PASSWORD } from './support/laboratory.ts';
import { overloads } from './support/names.ts';

/** What an owner prepares for somebody else's hand: statements that are advised, another superuser's name, a run at work. */

const test = laboratoryTest;

const PINNED = Object.entries({ ...CITUS_AS_IT_COMES, role: 'none', search_path: 'pg_catalog' }).toSorted();

test('a statement that is advised for a table of hers is to be run as herself', async ({ skip, laboratory }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const own = await laboratory.scene('advised');
  await own.asClient(
    `CREATE TABLE kept (a int CONSTRAINT k CHECK (a > 0 AND ${own.trap('advised')}));
     SELECT create_distributed_table('kept', 'a', shard_count => 4);
     CREATE TABLE gone (a int); SELECT create_distributed_table('gone', 'a', shard_count => 4, colocate_with => 'none')`,
  );
  await own.asMallory(
    1,
    `SET citus.enable_manual_changes_to_shards = on;
    SET citus.override_table_visibility = off;
    DO $make$ DECLARE shard text; BEGIN
      FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^kept_\\d+$' LOOP
        EXECUTE pg_catalog.format('ALTER TABLE public.%I DROP CONSTRAINT %I', shard,
          (SELECT conname FROM pg_constraint WHERE conrelid = ('public.' || shard)::regclass));
      END LOOP;
      FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^gone_\\d+$' LOOP
        EXECUTE pg_catalog.format('DROP TABLE public.%I', shard);
      END LOOP;
    END $make$`,
  );
  const { code, stdout, stderr } = await own.run(['plan']);
  const text = stdout + stderr;
  expect({ code, text }).toEqual({ code: 3, text: expect.stringContaining('worker_apply_shard_ddl_command') });
  const advice = text.split('\n').filter((line) => line.includes('worker_apply_shard_ddl_command'));
  expect(advice.length).toBeGreaterThan(1);
  for (const line of advice) expect(line).toContain(`logged in as 'mallory', who owns the table`);
  expect(await own.sprung()).toEqual([]);
});

test('another superuser owns the extension citus: what Citus does in that name meets nothing of hers', async ({
  skip,
  laboratory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no daemon');
  const own = await laboratory.scene('inherited');
  for (const { group } of cluster.nodes) {
    await own.provoke(group, 'ALTER ROLE postgres IN DATABASE inherited RESET ALL');
    await own.provokeIn(
      'postgres',
      group,
      `SET citus.enable_ddl_propagation = off; CREATE ROLE dba SUPERUSER LOGIN PASSWORD '${PASSWORD}'`,
    );
  }
  const dba = { user: 'dba', passwordFile: laboratory.passwordFile };
  const planned = await own.run(['plan'], {}, dba);
  expect({ code: planned.code, text: planned.stdout + planned.stderr }).toEqual({
    code: 10,
    text: expect.stringMatching(
      /search_path to pg_catalog, role to none, Citus' parameters to its own values for role "postgres" in database "inherited"/,
    ),
  });
  const { code, stdout, stderr } = await own.run(['apply'], {}, dba);
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  for (const { group } of cluster.nodes) {
    expect(
      await list(
        cluster,
        group,
        'postgres',
        `SELECT setrole::regrole || ' ' || unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
           WHERE datname = 'inherited' AND setrole <> 0 ORDER BY 1`,
      ),
    ).toEqual(['dba', 'postgres'].flatMap((role) => PINNED.map(([name, value]) => `${role} ${name}=${value}`)));
  }
  await own.onAllNodes(overloads(own.trap('overload')));
  const verified = await own.run(['verify'], {}, dba);
  expect({ code: verified.code, text: verified.stdout + verified.stderr }).toEqual({
    code: 0,
    text: expect.any(String),
  });
  // Two rounds of Citus' daemons.
  await sleep(5_000);
  expect(await own.sprung()).toEqual([]);
});

test('a table that she makes in a schema before it becomes a tenant schema, and commits after that was looked at', async ({
  skip,
  laboratory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no tenant schemas');
  const own = await laboratory.scene('tenants');
  await own.asClient('CREATE SCHEMA hers');
  const schemas = { schemas: [{ name: 'hers', distributed: true }] };
  const client = await connect(cluster, 0, 'tenants', { name: MALLORY, password: PASSWORD });
  let outcome: ReturnType<typeof own.run>;
  try {
    await client.query('SET citus.enable_ddl_propagation = off; BEGIN');
    await client.query(
      `CREATE TABLE hers.t (a int CHECK (a > 0 AND ${own.trap('tenant')})); INSERT INTO hers.t VALUES (1)`,
    );
    outcome = own.run(['apply'], schemas);
    const waiting = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'object' AND NOT granted";
    await expect.poll(() => firstValue(cluster, 0, 'tenants', waiting), { timeout: 60_000 }).toBe(1);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
  const { code, stdout, stderr } = await outcome;
  expect({ code, sprung: await own.sprung(), text: stdout + stderr }).toEqual({
    code: 1,
    sprung: [],
    text: expect.stringContaining('the schema holds tables of others by now'),
  });
  expect(await firstValue(cluster, 0, 'tenants', 'SELECT count(*)::int FROM pg_dist_schema')).toBe(0);
  const again = await own.run(['apply'], schemas);
  expect({ code: again.code, text: again.stdout + again.stderr }).toEqual({
    code: 3,
    text: expect.stringContaining("Schema 'hers' holds tables of others"),
  });
  // Empty, it becomes one; and the trap was one that works.
  await own.provoke(0, 'INSERT INTO hers.t VALUES (2)');
  expect(await own.sprung()).toEqual(['tenant']);
  await own.asClient('SET citus.enable_ddl_propagation = off; DROP TABLE hers.t');
  const empty = await own.run(['apply'], schemas);
  expect({ code: empty.code, text: empty.stdout + empty.stderr }).toMatchObject({ code: 0 });
  expect(await firstValue(cluster, 0, 'tenants', 'SELECT schemaid::regnamespace::text FROM pg_dist_schema')).toBe(
    'hers',
  );
});
