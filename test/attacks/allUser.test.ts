import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import type { Outcome } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, PASSWORD, type Scene } from './support/laboratory.ts';
import { overloads, shadows } from './support/names.ts';
import { BAITS } from './support/objects.ts';
import { didSomething, refusedToAll } from './support/refused.ts';

/** A user with access: all makes objects in a database that belongs to the superuser, beside those of the superuser. */

const test = laboratoryTest;
let scene: Scene;
let powers: unknown;

test.beforeAll(async ({ laboratory }) => {
  scene = await laboratory.scene('shop', {
    access: 'all',
    more: {
      schemas: [{ name: 'app' }],
      initSQL: 'CREATE TABLE app.theirs (a int PRIMARY KEY);\nCREATE TABLE app.more (a int);',
    },
  });
  powers = await laboratory.powers();
});

test.for(refusedToAll(MALLORY, 'shop'))('%s', async (attempt, { laboratory }) => {
  for (const { group } of laboratory.cluster.nodes) {
    const client = await connect(laboratory.cluster, group, 'shop', { name: MALLORY, password: PASSWORD });
    try {
      await client.query('SET citus.enable_ddl_propagation = off');
      await client.query('BEGIN');
      const outcome = await client.query(attempt).then(
        ({ rows }) => !attempt.startsWith('SELECT') || didSomething(rows),
        () => false,
      );
      expect({ group, worked: outcome }).toEqual({ group, worked: false });
      await client.query('ROLLBACK');
    } finally {
      await client.end();
    }
  }
});

test('traps among the objects of the superuser: no command springs one', async () => {
  const trap = (name: string) => scene.trap(name);
  for (const { name, plant } of BAITS) await scene.asMallory(0, plant(trap(name.replaceAll(/\W+/g, '_'))));
  for (const group of [0, 1, 2]) {
    await scene.asMallory(group, overloads(trap('overload')));
    await scene.asMallory(group, shadows('evil', trap('shadow')));
    // In the superuser's own schema as well, where `all` may create.
    await scene.asMallory(
      group,
      `CREATE TABLE app.pg_roles (a int); CREATE VIEW app.pg_dist_node AS SELECT 1 AS nodeid WHERE ${trap('view')}`,
    );
  }
  const runs: Outcome[] = [];
  for (const args of [['wait'], ['plan'], ['verify']]) runs.push(await scene.run(args));
  runs.push(await scene.run(['apply'], { parameters: { work_mem: '8MB' }, comment: 'with traps' }));
  runs.push(await scene.run(['verify'], { parameters: { work_mem: '8MB' }, comment: 'with traps' }));
  // A round of Citus' daemons.
  await sleep(3_000);
  expect(await scene.sprung()).toEqual([]);
  expect(runs.map(({ code, stdout, stderr }) => ({ code, text: stdout + stderr }))).toEqual(
    runs.map(() => ({ code: 0, text: expect.any(String) })),
  );
});

test('a trigger on a table of the superuser: not hers to make', async () => {
  await scene.asMallory(
    0,
    `CREATE FUNCTION public.on_theirs() RETURNS trigger LANGUAGE plpgsql AS
    $f$ BEGIN PERFORM ${scene.trap('theirs')}; RETURN NEW; END $f$`,
  );
  await expect(
    scene.asMallory(0, 'CREATE TRIGGER t BEFORE INSERT ON app.theirs FOR EACH ROW EXECUTE FUNCTION public.on_theirs()'),
  ).rejects.toMatchObject({ code: '42501' });
  await expect(scene.asMallory(0, 'CREATE TABLE app.child (a int REFERENCES app.theirs (a))')).rejects.toMatchObject({
    code: '42501',
  });
  const { code, stdout, stderr } = await scene.run(['apply'], {
    parameters: { work_mem: '8MB' },
    comment: 'with traps',
    initSQL:
      'CREATE TABLE app.theirs (a int PRIMARY KEY);\nCREATE TABLE app.more (a int);\nINSERT INTO app.theirs VALUES (1);',
  });
  // She may create in that schema: what a statement names there may be hers by the time it runs.
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringContaining('this statement could run code of others as superuser'),
  });
  expect(await scene.sprung()).toEqual([]);
});

test('a member of pg_read_all_data: no password is among what it reads', async ({ laboratory }) => {
  const { cluster } = laboratory;
  const read = async (group: number, sql: string) => {
    const client = await connect(cluster, group, 'shop', { name: MALLORY, password: PASSWORD });
    try {
      return (await client.query<{ count: string }>(sql)).rows[0]?.count;
    } finally {
      await client.end();
    }
  };
  const passwords = async (group: number) => ({
    rows: await read(group, "SELECT count(*) FROM pg_dist_authinfo WHERE authinfo LIKE '%password%'"),
    statistics: await read(
      group,
      "SELECT count(*) FROM pg_statistic s WHERE starelid = 'pg_dist_authinfo'::regclass AND s::text LIKE '%password%'",
    ),
  });
  for (const { group } of cluster.nodes)
    await query(cluster, group, 'postgres', `GRANT pg_read_all_data TO ${MALLORY}`);
  try {
    for (const { group } of cluster.nodes) {
      await scene.provoke(group, 'ANALYZE');
      expect(await passwords(group)).toEqual({ rows: '0', statistics: '0' });
      // As Citus makes the table, and an earlier version left it.
      await scene.provoke(
        group,
        'ALTER TABLE pg_catalog.pg_dist_authinfo DISABLE ROW LEVEL SECURITY, ALTER COLUMN authinfo SET STATISTICS -1',
      );
      await scene.provoke(group, 'ANALYZE pg_catalog.pg_dist_authinfo');
      expect(await passwords(group)).toEqual({ rows: '2', statistics: '1' });
    }
    const { code, stdout, stderr } = await scene.run(['apply']);
    expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
    for (const { group } of cluster.nodes) {
      await scene.provoke(group, 'ANALYZE');
      expect(await passwords(group)).toEqual({ rows: '0', statistics: '0' });
    }
    expect((await scene.run(['verify'])).code).toBe(0);
    // With the rows hidden, and the statistics of an earlier version left.
    await scene.provoke(0, 'ALTER TABLE pg_catalog.pg_dist_authinfo ALTER COLUMN authinfo SET STATISTICS -1');
    await scene.provoke(0, 'ANALYZE pg_catalog.pg_dist_authinfo');
    await scene.provoke(0, 'ALTER TABLE pg_catalog.pg_dist_authinfo ALTER COLUMN authinfo SET STATISTICS 0');
    expect(await passwords(0)).toEqual({ rows: '0', statistics: '1' });
    expect((await scene.run(['apply'])).code).toBe(0);
    expect(await passwords(0)).toEqual({ rows: '0', statistics: '0' });
  } finally {
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', `REVOKE pg_read_all_data FROM ${MALLORY}`);
    }
  }
});

test('a flood of connections to every node: never a false word', async ({ laboratory }) => {
  const flood = (group: number) =>
    Array.from({ length: 60 }, () =>
      connect(laboratory.cluster, group, 'shop', { name: MALLORY, password: PASSWORD }).then((client) => {
        client.on('error', () => undefined);
        return client;
      }),
    );
  const settled = await Promise.allSettled([0, 1, 2].flatMap(flood));
  const clients = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(clients.length).toBeGreaterThan(60);
  try {
    const { code, stdout, stderr, milliseconds } = await scene.run(['plan'], { comment: 'flooded' });
    expect({ code, text: stdout + stderr }).toEqual({ code: 10, text: expect.any(String) });
    expect(milliseconds).toBeLessThan(100_000);
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
});

test('what Citus does for whoever may create objects goes on', async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', "the stand-in has none of Citus' own functions");
  // In a database of its own: what it leaves in Citus' metadata is of no concern to the others.
  await laboratory.scene('made', { access: 'all', more: { schemas: [{ name: 'app' }] } });
  const client = await connect(cluster, 0, 'made', { name: MALLORY, password: PASSWORD });
  try {
    // One statement a message: Citus sends the whole message to its workers.
    for (const statement of [
      'CREATE TABLE app.turned (id serial PRIMARY KEY)',
      "SELECT citus_add_local_table_to_metadata('app.turned')",
      "SELECT create_reference_table('app.turned')",
      'CREATE TABLE app.spread (id bigserial, a int)',
      "SELECT create_distributed_table('app.spread', 'a', shard_count => 2)",
      "SELECT alter_distributed_table('app.spread', shard_count => 4)",
      "SELECT undistribute_table('app.spread')",
      'SET citus.enable_schema_based_sharding = on',
      'CREATE SCHEMA tenant_of_hers',
      'CREATE TABLE tenant_of_hers.items (id int PRIMARY KEY)',
      'DROP SCHEMA tenant_of_hers CASCADE',
      'DROP TABLE app.turned, app.spread',
    ]) {
      await client.query(statement);
    }
  } finally {
    await client.end();
  }
});

test('so it does for a user whom initSQL lets create objects', async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', "the stand-in has none of Citus' own functions");
  const made = (table: string) => [
    `CREATE TABLE loads.${table} (id bigserial, a int)`,
    `SELECT create_distributed_table('loads.${table}', 'a', shard_count => 2)`,
    // Which takes the sequence along, by worker_change_sequence_dependency().
    `SELECT alter_distributed_table('loads.${table}', shard_count => 4, cascade_to_colocated => false)`,
  ];
  const asMallory = async (database: string, table: string) => {
    const client = await connect(cluster, 0, database, { name: MALLORY, password: PASSWORD });
    try {
      for (const statement of made(table)) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const letCreate = ['CREATE SCHEMA loads', `GRANT USAGE, CREATE ON SCHEMA loads TO ${MALLORY}`];
  const initSQL = [...letCreate, `SET ROLE ${MALLORY}`, ...made('first'), 'RESET ROLE'].join('; ');
  const loaded = await laboratory.scene('loaded', { access: 'readOnly', more: { initSQL } });
  await asMallory('loaded', 'second');
  expect(await loaded.run(['plan'])).toMatchObject({ code: 0 });
  expect(await loaded.run(['apply'])).toMatchObject({ code: 0 });
  await asMallory('loaded', 'third');
});

test('nobody gained anything', async ({ laboratory }) => {
  expect(await laboratory.powers()).toEqual(powers);
});

/** Row security does not concern TOAST tables, where PostgreSQL puts what is too long for a row. */
test('a member of pg_read_all_data: no password is in the TOAST table of pg_dist_authinfo', async ({
  laboratory: { cluster },
  folder,
}) => {
  const passwordFile = path.join(folder, 'lengthy');
  const lengthy = { name: 'lengthy', passwordFile, access: 'readOnly' };
  const run = async (bytes: number) => {
    await writeFile(passwordFile, randomBytes(bytes).toString('hex').slice('password='.length, bytes), { mode: 0o600 });
    return await scene.run(['apply'], { users: [scene.user, lengthy] });
  };
  const chunks = async (group: number) => {
    const toast = "SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'pg_dist_authinfo'::regclass";
    return await firstValue(
      cluster,
      group,
      'shop',
      `SELECT count(*)::int FROM ${await firstValue(cluster, group, 'shop', toast)}`,
    );
  };
  const { code, stdout } = await run(1901);
  expect({ code, stdout }).toEqual({
    code: 2,
    stdout: expect.stringContaining("of role 'lengthy' would have 1901 bytes"),
  });
  expect(await run(1900)).toMatchObject({ code: 0 });
  for (const { group } of cluster.nodes) expect(await chunks(group)).toBe(0);
  // With the row's other columns, what may be is less than PostgreSQL allows.
  await query(
    cluster,
    0,
    'shop',
    `UPDATE pg_dist_authinfo SET authinfo = authinfo || repeat(' ', 100) WHERE rolename = 'lengthy'`,
  );
  expect(await chunks(0)).toBeGreaterThan(0);
});
