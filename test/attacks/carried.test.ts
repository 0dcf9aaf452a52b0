import { afterAll, beforeAll, expect, test } from 'vitest';
import { quoteLiteral } from '../../src/postgres/quote.ts';
import { authinfoInsert } from '../support/cluster.ts';
import { placeViewsInShards } from './support/falseShards.ts';
import { type Laboratory, type Scene, startLaboratory } from './support/laboratory.ts';
import { moveShard } from './support/moveShard.ts';

/**
 * What Citus carries to another node when that node is registered or synced: it makes an owner's objects there again, and
 * copies rows, as superuser. Each trap is shown to go off where Citus does that; the program refuses before.
 */

let laboratory: Laboratory;
let scene: Scene;
let powers: unknown;

beforeAll(async () => {
  laboratory = await startLaboratory();
});

afterAll(async () => {
  await laboratory?.close();
});

interface Carrier {
  /** Also the trap's name. */
  readonly name: string;
  readonly plant: readonly string[];
  /** As the refusal names it. */
  readonly object: string;
  /** Not by what the last test does. */
  readonly springs?: false;
}

const CARRIERS: readonly Carrier[] = [
  {
    name: 'check',
    plant: [
      "CREATE TABLE c_check (a int CONSTRAINT positive CHECK (public.carried('check')))",
      "SELECT create_reference_table('c_check')",
      'INSERT INTO c_check VALUES (1)',
    ],
    object: 'constraint positive of table public.c_check',
  },
  {
    name: 'generated',
    plant: [
      "CREATE TABLE c_generated (a int, b boolean GENERATED ALWAYS AS (a > 0 AND public.carried('generated')) STORED)",
      "SELECT create_reference_table('c_generated')",
      'INSERT INTO c_generated VALUES (1)',
    ],
    object: 'generated column b of table public.c_generated',
  },
  {
    name: 'index',
    plant: [
      'CREATE TABLE c_index (a int)',
      "SELECT create_reference_table('c_index')",
      "CREATE INDEX c_index_e ON c_index ((a > 0 AND public.carried('index')))",
      'INSERT INTO c_index VALUES (1)',
    ],
    object: 'index public.c_index_e',
  },
  {
    name: 'statistics',
    plant: [
      'CREATE TABLE c_statistics (a int)',
      "SELECT create_reference_table('c_statistics')",
      "CREATE STATISTICS c_statistics_e ON (a > 0 AND public.carried('statistics')) FROM c_statistics",
      'INSERT INTO c_statistics VALUES (1)',
    ],
    object: 'statistics public.c_statistics_e',
  },
  {
    name: 'domain',
    plant: [
      "CREATE DOMAIN c_d AS int CONSTRAINT small CHECK (public.carried('domain'))",
      'CREATE TABLE c_domain (a c_d)',
      "SELECT create_reference_table('c_domain')",
      'INSERT INTO c_domain VALUES (1)',
    ],
    object: 'constraint small of domain public.c_d',
  },
  {
    name: 'aggregate',
    plant: [
      "CREATE DOMAIN c_a AS int CONSTRAINT first CHECK (public.carried('aggregate'))",
      "CREATE FUNCTION c_step(c_a, int) RETURNS c_a LANGUAGE sql AS 'SELECT $1'",
      "CREATE AGGREGATE c_agg (int) (SFUNC = c_step, STYPE = c_a, INITCOND = '1')",
    ],
    object: 'constraint first of domain public.c_a',
  },
  {
    name: 'partition',
    plant: [
      'CREATE TABLE c_parent (a int, b int) PARTITION BY RANGE (b)',
      "CREATE TABLE c_child (a int, b int CONSTRAINT inner_one CHECK (b > 0 AND public.carried('partition')))",
      'ALTER TABLE c_parent ATTACH PARTITION c_child FOR VALUES FROM (1) TO (10)',
      "SELECT create_distributed_table('c_parent', 'a')",
    ],
    object: 'constraint inner_one of table public.c_child',
  },
  {
    name: 'key',
    plant: [
      "CREATE TABLE c_keys (a int, b int) PARTITION BY RANGE ((CASE WHEN public.carried('key') THEN b END))",
      'CREATE TABLE c_key PARTITION OF c_keys FOR VALUES FROM (1) TO (10)',
      "SELECT create_distributed_table('c_keys', 'a')",
    ],
    object: 'the partition key of table public.c_keys',
  },
  {
    name: 'bound',
    plant: [
      "CREATE DOMAIN c_b AS int CONSTRAINT last CHECK (public.carried('bound'))",
      'CREATE TABLE c_ranges (a int, b c_b) PARTITION BY RANGE (b)',
      "CREATE TABLE c_range PARTITION OF c_ranges FOR VALUES FROM ('1') TO ('10')",
      "SELECT create_distributed_table('c_ranges', 'a')",
    ],
    object: 'constraint last of domain public.c_b',
  },
  {
    // A function of PostgreSQL's own that runs the query which it is given.
    name: 'query',
    plant: [
      `CREATE TABLE c_query (a int CONSTRAINT asked CHECK (ts_rewrite('a'::tsquery,
        $q$SELECT 'a'::tsquery, CASE WHEN public.carried('query') THEN 'b'::tsquery END$q$) IS NOT NULL))`,
      "SELECT create_reference_table('c_query')",
      'INSERT INTO c_query VALUES (1)',
    ],
    object: 'constraint asked of table public.c_query',
  },
  {
    // She may not execute it herself, which nobody asks when it is written down.
    name: 'file',
    plant: ["CREATE DOMAIN c_file AS oid CONSTRAINT exported CHECK (lo_export(VALUE, '/nowhere/x') > 0)"],
    object: 'constraint exported of domain public.c_file',
    springs: false,
  },
  {
    name: 'cast',
    plant: [
      "CREATE TYPE c_mood AS ENUM ('x')",
      'CREATE TABLE c_cast (a c_mood CONSTRAINT cast_to_json CHECK (to_jsonb(a) IS NOT NULL))',
      "SELECT create_reference_table('c_cast')",
    ],
    object: 'constraint cast_to_json of table public.c_cast',
    springs: false,
  },
  {
    name: 'text',
    plant: [
      "CREATE TYPE c_word AS ENUM ('x')",
      `CREATE FUNCTION c_to_text(c_word) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
        $f$ BEGIN PERFORM public.carried('text'); RETURN 'x'; END $f$`,
      'CREATE CAST (c_word AS text) WITH FUNCTION c_to_text(c_word)',
      "CREATE TABLE c_text (a c_word CONSTRAINT cast_to_text CHECK ('y'::text || a <> ''))",
      "SELECT create_reference_table('c_text')",
    ],
    object: 'constraint cast_to_text of table public.c_text',
    springs: false,
  },
  {
    name: 'operator',
    plant: [
      `CREATE FUNCTION c_same(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
        $f$ BEGIN RETURN public.carried('operator'); END $f$`,
      'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = c_same)',
      'CREATE DOMAIN c_operator AS int CONSTRAINT by_operator CHECK (VALUE === 1)',
    ],
    object: 'constraint by_operator of domain public.c_operator',
    springs: false,
  },
  {
    // Behind a superuser's function: hers fits the call in it better.
    name: 'overload',
    plant: [
      `CREATE FUNCTION public.c_inner(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $f$ BEGIN PERFORM public.carried('overload'); RETURN $1; END $f$`,
      'CREATE TABLE c_overload (a int CONSTRAINT by_wrapper CHECK (public.c_outer(a) IS NOT NULL))',
      "SELECT create_reference_table('c_overload')",
      'INSERT INTO c_overload VALUES (1)',
    ],
    object: 'constraint by_wrapper of table public.c_overload',
  },
  {
    name: 'through',
    plant: ['CREATE DOMAIN c_through AS int CONSTRAINT by_another CHECK (public.c_atomic(VALUE) > 0)'],
    object: 'constraint by_another of domain public.c_through',
    springs: false,
  },
  {
    name: 'any type',
    plant: ['CREATE DOMAIN c_any AS int CONSTRAINT of_any_type CHECK (public.c_any(VALUE) > $$$$)'],
    object: 'constraint of_any_type of domain public.c_any',
    springs: false,
  },
  {
    name: 'path',
    plant: ['CREATE DOMAIN c_path AS int CONSTRAINT by_path CHECK (public.c_path(VALUE) > 0)'],
    object: 'constraint by_path of domain public.c_path',
    springs: false,
  },
  {
    // Not a table of Citus', so that nobody looks at its key.
    name: 'key',
    plant: [
      `CREATE FUNCTION c_constant(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $f$ BEGIN PERFORM public.carried('key'); RETURN $1; END $f$`,
      'CREATE TABLE c_hashed (a int) PARTITION BY HASH ((a + c_constant(1)))',
      "CREATE DOMAIN c_bound AS int CONSTRAINT in_partition CHECK (satisfies_hash_partition('c_hashed'::regclass, 2, 0, VALUE))",
    ],
    object: 'constraint in_partition of domain public.c_bound',
    springs: false,
  },
  {
    name: 'text of an extension',
    plant: ["CREATE DOMAIN c_given AS text CONSTRAINT by_text CHECK (public.c_given(VALUE, 'md5') IS NOT NULL)"],
    object: 'constraint by_text of domain public.c_given',
    springs: false,
  },
];

/** IMMUTABLE, and a superuser's, as PostGIS and others write them: what their text names is looked up when they run. */
const OF_SUPERUSER = [
  "CREATE FUNCTION public.c_inner(int, numeric) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
  "CREATE FUNCTION public.c_outer(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT public.c_inner($1, 0)'",
  'CREATE FUNCTION public.c_atomic(int) RETURNS int IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT public.c_outer($1); END',
  "CREATE FUNCTION public.c_any(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1::text'",
  `CREATE FUNCTION public.c_path(int) RETURNS int IMMUTABLE SET search_path = public LANGUAGE sql AS 'SELECT "c_inner"($1, 0)'`,
  // In C, as of an extension that nobody has read: it may run a text that it is given, and a number says nothing.
  "CREATE FUNCTION public.c_given(text, text) RETURNS bytea IMMUTABLE LANGUAGE c AS '$libdir/pgcrypto', 'pg_digest'",
  "CREATE FUNCTION public.c_count(int[]) RETURNS int IMMUTABLE STRICT LANGUAGE c AS '$libdir/_int', 'icount'",
  'CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA pg_catalog',
  "CREATE FUNCTION public.c_fine(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1) || pg_catalog.upper($1)'",
];

/** What PostgreSQL's functions and operators on its plain types do keeps nobody. */
const HARMLESS = [
  `CREATE TABLE c_harmless (id int PRIMARY KEY, at timestamptz CONSTRAINT harmless_1 CHECK (at < now() + interval '1 day'
      AND at::date <= current_date AND to_char(at, 'YYYY') <> ''),
    word text CONSTRAINT harmless_4 CHECK (public.c_fine(word) <> '' AND similarity(word, 'a') < 2 AND public.c_count(ARRAY[id]) = 1)
      CONSTRAINT harmless_2 CHECK (word ~ '^[a-z]+$' AND length(word) < 9 AND word IN ('a', 'b')),
    CONSTRAINT harmless_3 CHECK ((at, word) < (now(), 'z') AND num_nonnulls(at, word) = 2 AND greatest(word, 'a') <> '' AND nullif(word, '') <> 'q' AND pg_column_size(word) < 65536))`,
  "SELECT create_reference_table('c_harmless')",
];

/** Mallory's function as Citus carries it, with the one that tells of the superuser behind it. */
const CARRIED = [
  `DO $do$ BEGIN
    EXECUTE replace(pg_get_functiondef('public.sprung_as_superuser'::regproc), 'sprung_as_superuser', 'carried_inner');
  END $do$`,
  `CREATE FUNCTION public.carried(name text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
    $f$ BEGIN RETURN public.carried_inner(name); END $f$`,
];

/** On the shards alone, on every node: their table says nothing of it. Citus plans its copy on the node that has the shard. */
const ON_SHARDS: readonly Carrier[] = [
  {
    name: 'shard index',
    plant: ["CREATE INDEX c_plain_only ON %s ((a > 0 AND public.carried('shard index')))"],
    object: 'index public.c_plain_only',
  },
  {
    name: 'shard statistics',
    plant: ["CREATE STATISTICS c_plain_s ON (a > 0 AND public.carried('shard statistics')) FROM %s"],
    object: 'statistics public.c_plain_s',
  },
];

async function planted(database: string, carriers: readonly Carrier[] = CARRIERS): Promise<Scene> {
  const made = await laboratory.scene(database, { groups: [0, 1], more: { workerGroups: [1] } });
  for (const sql of CARRIED) await made.asClient(sql);
  for (const sql of OF_SUPERUSER) await made.provoke(0, sql);
  for (const sql of [...carriers.flatMap(({ plant }) => plant), ...HARMLESS]) await made.asClient(sql);
  await made.asClient('CREATE TABLE c_plain (a int)');
  await made.asClient("SELECT create_reference_table('c_plain')");
  await made.asClient('INSERT INTO c_plain VALUES (1)');
  const shard = "SELECT shard_name(logicalrelid, shardid) FROM pg_dist_shard WHERE logicalrelid = 'c_plain'::regclass";
  for (const sql of ON_SHARDS.flatMap(({ plant }) => plant)) {
    await made.onAllNodes(`DO $do$ BEGIN EXECUTE format(${quoteLiteral(sql)}, (${shard})); END $do$`);
  }
  expect(await made.sprung()).toEqual([]);
  return made;
}

const MORE = { workerGroups: [1, 2] };

test('a worker is added: each object is named, and nothing is registered', { timeout: 300_000 }, async ({ skip }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in carries schemas and extensions alone');
  scene = await planted('shop');
  powers = await laboratory.powers();
  for (const command of ['plan', 'apply']) {
    const { code, stdout, stderr } = await scene.run([command], MORE);
    const text = stdout + stderr;
    expect({ code, text }).toEqual({ code: 3, text: expect.stringContaining('as superuser, for') });
    for (const { object } of CARRIERS) expect(text).toContain(` of 'mallory' as superuser, for ${object}`);
    expect(text).not.toContain('harmless');
  }
  expect(await scene.sprung()).toEqual([]);
  expect(await laboratory.powers()).toEqual(powers);
});

test('a worker is added: what the shards alone have is named as well', { timeout: 300_000 }, async ({ skip }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const shards = await planted('shards', []);
  for (const command of ['plan', 'apply']) {
    const { code, stdout, stderr } = await shards.run([command], MORE);
    const text = stdout + stderr;
    expect({ code, text }).toEqual({ code: 3, text: expect.stringContaining('as superuser, for') });
    for (const { object } of ON_SHARDS) expect(text).toContain(` of 'mallory' as superuser, for ${object}`);
  }
  const { code, stdout, stderr } = await shards.run(['rebalance', 'shards']);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringContaining("of 'mallory' as superuser, for index public.c_plain_only"),
  });
  expect(await shards.sprung()).toEqual([]);
});

test('an unchanged database is ready with them', async ({ skip }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in carries schemas and extensions alone');
  for (const command of ['plan', 'apply', 'verify']) {
    const { code, stdout, stderr } = await scene.run([command]);
    expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  }
  expect(await scene.sprung()).toEqual([]);
});

test('Citus itself springs every one of them', { timeout: 300_000 }, async ({ skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in carries schemas and extensions alone');
  const careless = await planted('careless');
  // A database without objects of others, so that a second worker is made and registered; the objects come to it by hand.
  const [, , second] = cluster.nodes;
  if (second === undefined) throw new Error('no second worker');
  await careless.provokeIn('postgres', 2, 'CREATE DATABASE careless OWNER mallory');
  await careless.provoke(2, 'CREATE EXTENSION citus');
  await careless.provoke(2, authinfoInsert(cluster));
  await careless.provoke(0, `SELECT citus_add_node('${second.host}', ${second.port}, groupid => 2)`);
  await careless.provoke(0, "SELECT replicate_reference_tables('block_writes')");
  const springing = [...CARRIERS, ...ON_SHARDS].filter(({ springs }) => springs !== false);
  expect(await careless.sprung()).toEqual(springing.map(({ name }) => name).toSorted());
});

test('a view in the place of a shard: it is not read to be moved', async ({ skip }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const moved = await laboratory.scene('moved');
  await placeViewsInShards(moved, 'moved');
  const { code, stdout, stderr } = await moved.run(['rebalance', 'moved', '--transfer-mode', 'block_writes']);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringMatching(/Shard public\.orders_\d+ is no table/),
  });
  expect(await moved.sprung()).toEqual([]);
  // Citus itself reads it.
  await moveShard(moved, laboratory.cluster, 'public.orders');
  expect(await moved.sprung()).toEqual(['moved']);
});
