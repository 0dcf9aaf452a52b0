import { expect } from 'vitest';
import { authinfoInsert, connect, query } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, PASSWORD, type Scene } from './support/laboratory.ts';
import { moveShard } from './support/moveShard.ts';

/**
 * Citus sends the text of constraints and the like, which the target reads anew: a cast, or a function that fits better, may
 * be there and nowhere else.
 */

const test = laboratoryTest;

const MOOD = [
  "CREATE TYPE public.mood AS ENUM ('a', 'b')",
  "CREATE TABLE public.feelings (id int, m public.mood, CONSTRAINT felt CHECK (m::text <> ''))",
];

/** On one node alone, as Citus carries no casts. */
const cast = (trap: string) => `CREATE FUNCTION public.evil_cast(public.mood) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $f$ BEGIN PERFORM ${trap}; RETURN 'a'; END $f$;
  CREATE CAST (public.mood AS text) WITH FUNCTION public.evil_cast(public.mood)`;

const CAST_OF_HERS = "function public.evil_cast(public.mood) of 'mallory' as superuser, for cast (public.mood AS text)";

async function expectRefused(scene: Scene, args: readonly string[], text: string, more = {}): Promise<void> {
  const { code, stdout, stderr } = await scene.run(args, more);
  expect({ code, text: stdout + stderr }).toEqual({ code: 3, text: expect.stringContaining(text) });
}

test('a cast on the workers: no shard goes there', async ({ laboratory, skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no shards');
  const moved = await laboratory.scene('moved');
  for (const sql of MOOD) await moved.asClient(sql);
  await moved.asClient("SELECT create_distributed_table('public.feelings', 'id', shard_count => 4)");
  await moved.asClient("INSERT INTO public.feelings SELECT i, 'a' FROM generate_series(1, 20) i");
  await moved.asMallory(2, cast(moved.trap('moved')));
  // What is there from before was read without it.
  expect((await moved.run(['plan'])).stdout).toContain('Nothing to do');
  for (const args of [
    ['drain', '1'],
    ['rebalance', 'moved'],
  ]) {
    await expectRefused(moved, [...args, '--transfer-mode', 'block_writes'], `Moving shards would run ${CAST_OF_HERS}`);
  }
  expect(await moved.sprung()).toEqual([]);
  await moveShard(moved, cluster, 'public.feelings');
  expect(await moved.sprung()).toEqual(['moved']);
});

test('casts of a superuser, and those without a function, keep nobody', async ({ laboratory, skip }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const fine = await laboratory.scene('fine', {
    groups: [0, 1],
    more: { workerGroups: [1], extensions: [{ name: 'hstore' }] },
  });
  for (const sql of MOOD) await fine.asClient(sql);
  await fine.asClient("SELECT create_reference_table('public.feelings')");
  await fine.asClient("INSERT INTO public.feelings VALUES (1, 'a')");
  // As Hibernate and others have it.
  await fine.onAllNodes('CREATE CAST (varchar AS public.mood) WITH INOUT AS IMPLICIT');
  const joined = await fine.run(['apply'], { workerGroups: [1, 2] });
  expect({ code: joined.code, text: joined.stdout + joined.stderr }).toEqual({ code: 0, text: expect.any(String) });
  expect((await fine.run(['plan'], { workerGroups: [1, 2] })).stdout).toContain('Nothing to do');
});

test('a function of hers by the name of one that is called: it may fit better where the text is read', async ({
  laboratory,
  skip,
}) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const named = await laboratory.scene('named');
  for (const group of [0, 1, 2]) {
    await named.provoke(
      group,
      'SET citus.enable_ddl_propagation = off; CREATE EXTENSION IF NOT EXISTS intarray SCHEMA public',
    );
  }
  await named.asClient(
    'CREATE TABLE public.lists (id int, l int[], CONSTRAINT short CHECK (public.icount(l) < 9 AND NOT l OPERATOR(public.@@) NULL))',
  );
  await named.asClient("SELECT create_distributed_table('public.lists', 'id', shard_count => 4)");
  await named.asMallory(
    2,
    `CREATE FUNCTION public.icount(anyelement) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${named.trap('named')}; RETURN 1; END $f$`,
  );
  await expectRefused(
    named,
    ['rebalance', 'named', '--transfer-mode', 'block_writes'],
    "Moving shards would run function public.icount(anyelement) of 'mallory' as superuser, for constraint short",
  );
  expect(await named.sprung()).toEqual([]);
});

const JOINED = { workerGroups: [1, 2] };

test('a worker that joins: its database is closed until it is registered', async ({ laboratory, skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in carries schemas and extensions alone');
  const joined = await laboratory.scene('joined', { groups: [0, 1], more: { workerGroups: [1] } });
  for (const sql of MOOD) await joined.asClient(sql);
  await joined.asClient("SELECT create_reference_table('public.feelings')");
  await joined.asClient("INSERT INTO public.feelings VALUES (1, 'a')");
  // A lock of hers holds the registration up until she has had her time on the worker.
  const holder = await joined.hold(0, 'LOCK TABLE public.feelings IN ACCESS EXCLUSIVE MODE');
  const applying = joined.run(['apply'], JOINED);
  const seen = new Set<string>();
  const until = Date.now() + 15_000;
  while (Date.now() < until) {
    const outcome = await joined
      .asMallory(2, `CREATE TYPE public.mood AS ENUM ('a', 'b'); ${cast("public.sprung('joined')")}`)
      .then(
        () => 'planted',
        (error: unknown) => String(error),
      );
    seen.add(outcome);
    if (outcome === 'planted') break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await holder.end();
  const { code, stdout, stderr } = await applying;
  expect([...seen].filter((outcome) => outcome === 'planted')).toEqual([]);
  expect([...seen].join('\n')).toMatch(/permission denied for database|too many connections for database/);
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  expect(await joined.sprung()).toEqual([]);
  expect((await joined.run(['plan'], JOINED)).stdout).toContain('Nothing to do');
  await joined.asMallory(2, 'SELECT 1');
});

test('a worker that joins with the database, open: it is closed first, and looked at', async ({ laboratory, skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in carries schemas and extensions alone');
  const open = await laboratory.scene('open', { groups: [0, 1], more: { workerGroups: [1] } });
  for (const sql of MOOD) await open.asClient(sql);
  await open.asClient("SELECT create_reference_table('public.feelings')");
  await open.provokeIn('postgres', 2, `CREATE DATABASE open OWNER ${MALLORY}`);
  await open.provoke(2, `CREATE EXTENSION citus; ${authinfoInsert(cluster)}`);
  const inside = await open.hold(2, 'SELECT 1');
  await open.asMallory(2, `CREATE TYPE public.mood AS ENUM ('a', 'b'); ${cast('true')}`);
  await expectRefused(open, ['plan'], CAST_OF_HERS, JOINED);
  await expectRefused(open, ['apply'], CAST_OF_HERS, JOINED);
  await open.asMallory(2, 'DROP TYPE public.mood CASCADE');
  const { code, stdout, stderr } = await open.run(['apply'], JOINED);
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  // Her session of before is gone.
  await expect(inside.query('SELECT 1')).rejects.toThrow();
  await inside.end().catch(() => undefined);
  expect((await open.run(['plan'], JOINED)).stdout).toContain('Nothing to do');
  await open.asMallory(2, 'SELECT 1');
});

test('pg_input_is_valid() reads a value of whatever type it is given the name of', async ({ laboratory, skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in carries schemas and extensions alone');
  const [known] = await query(
    cluster,
    0,
    'postgres',
    "SELECT to_regproc('pg_catalog.pg_input_is_valid')::text AS name",
  );
  if (known?.['name'] === null) {
    // As of PostgreSQL 16.
    const call = query(cluster, 0, 'postgres', "SELECT pg_input_is_valid('a', 'text')");
    await expect(call).rejects.toThrow('does not exist');
    return;
  }
  const valid = await laboratory.scene('valid', { groups: [0, 1], more: { workerGroups: [1] } });
  await valid.onAllNodes('CREATE DOMAIN public.later AS text');
  await valid.asClient(
    "CREATE TABLE public.words (v text CONSTRAINT readable CHECK (pg_input_is_valid(v, 'public.later') IS NOT NULL))",
  );
  await valid.asClient("SELECT create_reference_table('public.words')");
  const call = "a call of function pg_input_is_valid(text,text) of 'mallory' as superuser, for constraint readable";
  for (const command of ['plan', 'apply']) await expectRefused(valid, [command], call, JOINED);
  expect(await valid.sprung()).toEqual([]);
});

test('a new database: nobody is on a worker before it is registered', async ({ laboratory, skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in is registered with nothing');
  const making = laboratory.scene('fresh');
  const until = Date.now() + 60_000;
  let registered: unknown;
  while (registered === undefined && Date.now() < until) {
    const client = await connect(cluster, 2, 'fresh', { name: MALLORY, password: PASSWORD }).catch(() => undefined);
    if (client === undefined) continue;
    await client.end();
    const known = 'SELECT count(*)::int AS workers FROM pg_dist_node WHERE groupid = 2';
    const rows = await query(cluster, 0, 'fresh', known).catch(() => []);
    registered = rows[0]?.['workers'] ?? 0;
  }
  const fresh = await making;
  expect(registered).toBe(1);
  expect((await fresh.run(['plan'])).stdout).toContain('Nothing to do');
});
