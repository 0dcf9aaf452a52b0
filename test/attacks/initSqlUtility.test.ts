import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import type { LocalCluster } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, type Scene } from './support/laboratory.ts';

/**
 * Appended statements that read as if they changed catalogs alone, and behind which PostgreSQL evaluates an expression of
 * somebody else's, or Citus copies somebody else's rows.
 */

const test = laboratoryTest;
const STAND_IN = 'the stand-in converts no tables';
const FIRST = `CREATE SCHEMA hers AUTHORIZATION ${MALLORY}`;
/** A database in which she may make objects in a schema of her own alone, and superusers were careless. */
let side: Scene;
/** Hers, with schemas of the superuser and of a tenant. */
let shop: Scene;
const FIRST_OF_SHOP = 'CREATE SCHEMA core';

test.beforeAll(async ({ laboratory }) => {
  side = await laboratory.scene('side', { access: 'readWrite', more: { initSQL: FIRST } });
  shop = await laboratory.scene('shop', {
    more: {
      initSQL: FIRST_OF_SHOP,
      schemas: laboratory.cluster.kind === 'real' ? [{ name: 'tenant1', distributed: true }] : [],
    },
  });
});

async function append(scene: Scene, first: string, appended: string) {
  await scene.sprung();
  const { code, stdout, stderr } = await scene.run(['apply'], { initSQL: `${first};\n${appended}` });
  await scene.provoke(0, 'DELETE FROM citus_databases.init_sql WHERE line > 1');
  return { code, sprung: await scene.sprung(), text: stdout + stderr };
}

const REFUSED = {
  code: 3,
  sprung: [],
  text: expect.stringMatching(/this statement could run code of others as superuser, and was not executed/),
};

/** A function of hers, which something of the superuser's calls. */
const hers = (name: string, trap: string) =>
  `CREATE FUNCTION hers.${name}(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$ BEGIN PERFORM ${trap}; RETURN $1; END $f$`;

const INDEXED = (name: string) => `CREATE TABLE public.${name} (a int, b int) WITH (autovacuum_enabled = off);
  INSERT INTO public.${name} SELECT i, i FROM generate_series(1, 9) i;
  CREATE INDEX ${name}_index ON public.${name} (hers.${name}(a))`;

interface Behind {
  readonly name: string;
  readonly careless: string;
  readonly provoke: string;
}

const BEHIND: readonly Behind[] = [
  { name: 'u_analyze', careless: INDEXED('u_analyze'), provoke: 'ANALYZE public.u_analyze' },
  { name: 'u_vacuum', careless: INDEXED('u_vacuum'), provoke: 'VACUUM FULL public.u_vacuum' },
  { name: 'u_table', careless: INDEXED('u_table'), provoke: 'REINDEX TABLE public.u_table' },
  { name: 'u_index', careless: INDEXED('u_index'), provoke: 'REINDEX INDEX public.u_index_index' },
  { name: 'u_cluster', careless: INDEXED('u_cluster'), provoke: 'CLUSTER public.u_cluster USING u_cluster_index' },
  {
    name: 'u_partial',
    careless: `CREATE TABLE public.u_partial (a int); INSERT INTO public.u_partial VALUES (1);
      CREATE INDEX ON public.u_partial (a) WHERE hers.u_partial(a) > 0`,
    provoke: 'REINDEX TABLE public.u_partial',
  },
  {
    name: 'u_statistics',
    careless: `CREATE TABLE public.u_statistics (a int, b int); INSERT INTO public.u_statistics VALUES (1, 1);
      CREATE STATISTICS public.u_statistics_of ON (hers.u_statistics(a)), b FROM public.u_statistics`,
    provoke: 'ANALYZE public.u_statistics',
  },
  {
    name: 'u_validate',
    careless: `CREATE TABLE public.u_validate (a int); INSERT INTO public.u_validate VALUES (1);
      ALTER TABLE public.u_validate ADD CONSTRAINT late CHECK (hers.u_validate(a) > 0) NOT VALID`,
    provoke: 'ALTER TABLE public.u_validate VALIDATE CONSTRAINT late',
  },
  {
    name: 'u_rewrite',
    careless: INDEXED('u_rewrite'),
    provoke: 'ALTER TABLE public.u_rewrite ALTER COLUMN b TYPE int8',
  },
  {
    name: 'u_attach',
    careless: `CREATE TABLE public.u_attach (a int) PARTITION BY LIST ((hers.u_attach(a)));
      CREATE TABLE public.u_attached (a int); INSERT INTO public.u_attached VALUES (1)`,
    provoke: 'ALTER TABLE public.u_attach ATTACH PARTITION public.u_attached FOR VALUES IN (1)',
  },
  {
    name: 'u_domain',
    careless: `CREATE DOMAIN public.u_word AS int CHECK (hers.u_domain(VALUE) > 0)`,
    provoke: 'CREATE TABLE public.u_words AS SELECT 1::public.u_word AS a',
  },
];

test.each(BEHIND)(
  'a function of hers behind what the superuser owns: $provoke',
  async ({ name, careless, provoke }) => {
    await side.asMallory(0, hers(name, side.trap(name)));
    await side.provoke(0, careless);
    expect(await append(side, FIRST, provoke)).toEqual(REFUSED);
    // The trap works.
    await side.provoke(0, provoke);
    expect(await side.sprung()).toEqual([name]);
  },
);

test.each(['ANALYZE', 'VACUUM FULL', 'REINDEX SCHEMA public', 'REINDEX DATABASE side', 'CLUSTER'])(
  'no table is named: %s',
  async (provoke) => {
    await side.asMallory(0, `${hers('u_all', side.trap('u_all')).replace('CREATE', 'CREATE OR REPLACE')}`);
    await side.provoke(0, `DROP TABLE IF EXISTS public.u_all; ${INDEXED('u_all')}`);
    await side.provoke(0, 'ALTER TABLE public.u_all CLUSTER ON u_all_index');
    expect(await append(side, FIRST, provoke)).toEqual(REFUSED);
    await side.provoke(0, provoke);
    expect(await side.sprung()).toContain('u_all');
  },
);

test('what has nothing of hers behind it runs', async ({ laboratory: { cluster } }) => {
  const statements = [
    'CREATE TABLE public.u_ours (a int PRIMARY KEY, b int)',
    'CREATE INDEX u_ours_index ON public.u_ours ((b + 1))',
    'INSERT INTO public.u_ours VALUES (1, 1)',
    'ANALYZE public.u_ours',
    'REINDEX TABLE public.u_ours',
    'VACUUM FULL public.u_ours',
    'CLUSTER public.u_ours USING u_ours_pkey',
    'ALTER TABLE public.u_ours SET SCHEMA u_other',
  ];
  const appended = ['CREATE SCHEMA u_other', ...statements].join(';\n');
  expect(await append(side, FIRST, appended)).toMatchObject({ code: 0, sprung: [] });
  expect(await firstValue(cluster, 0, 'side', 'SELECT b::text FROM u_other.u_ours')).toBe('1');
});

const TRAPPED = (table: string, trap: string) =>
  `CREATE TABLE ${table} (id int, c int CHECK (c > 0 AND ${trap})); INSERT INTO ${table} VALUES (1, 1)`;

test('a table of hers in the schema of a tenant, which is taken out of it', async ({ skip, laboratory }) => {
  skip(laboratory.cluster.kind !== 'real', STAND_IN);
  await shop.asClient(TRAPPED('tenant1.orders', shop.trap('out')));
  const provoke = 'ALTER TABLE tenant1.orders SET SCHEMA core';
  expect(await append(shop, FIRST_OF_SHOP, provoke)).toEqual(REFUSED);
  await shop.provoke(0, provoke);
  expect(await shop.sprung()).toEqual(['out']);
});

test('a table of hers, which is taken into the schema of a tenant', async ({ skip, laboratory }) => {
  skip(laboratory.cluster.kind !== 'real', STAND_IN);
  await shop.asClient(TRAPPED('core.leads', shop.trap('into')));
  const provoke = 'ALTER TABLE core.leads SET SCHEMA tenant1';
  expect(await append(shop, FIRST_OF_SHOP, provoke)).toEqual(REFUSED);
  await shop.provoke(0, provoke);
  expect(await shop.sprung()).toEqual(['into']);
});

test('a local table of hers in the schema of a tenant, where CREATE TABLE IF NOT EXISTS finds it', async ({
  skip,
  laboratory,
}) => {
  skip(laboratory.cluster.kind !== 'real', STAND_IN);
  // Citus makes a tenant's table of it, whoever it belongs to; in a DO block it does not.
  await shop.asClient(`DO $do$ BEGIN ${TRAPPED('tenant1.visits', shop.trap('found'))}; END $do$`);
  const provoke = 'CREATE TABLE IF NOT EXISTS tenant1.visits (id int)';
  expect(await append(shop, FIRST_OF_SHOP, provoke)).toEqual(REFUSED);
  await shop.provoke(0, provoke);
  expect(await shop.sprung()).toEqual(['found']);
});

/**
 * A table that Citus took into its metadata for a foreign key, and that has none any more, on whichever node: Citus makes a
 * local table of it again behind the next statement that drops a constraint.
 */
async function loosen(cluster: LocalCluster, name: string): Promise<void> {
  await shop.asClient(`CREATE TABLE public.${name}_ref (id int PRIMARY KEY)`);
  await shop.asClient(`SELECT create_reference_table('public.${name}_ref')`);
  await shop.asClient(`INSERT INTO public.${name}_ref VALUES (1)`);
  await shop.asClient(`CREATE TABLE public.${name} (id int CONSTRAINT ${name}_key REFERENCES public.${name}_ref,
    c int CHECK (c > 0 AND ${shop.trap(name)})); INSERT INTO public.${name} VALUES (1, 1)`);
  const shard = await firstValue(
    cluster,
    0,
    'shop',
    `SELECT shardid::text FROM pg_dist_shard WHERE logicalrelid = 'public.${name}'::regclass`,
  );
  const off =
    'SET citus.enable_local_reference_table_foreign_keys = off; SET citus.enable_manual_changes_to_shards = on';
  await shop.onAllNodes(`${off}; ALTER TABLE public.${name} DROP CONSTRAINT ${name}_key`);
  await shop.asMallory(0, `${off}; ALTER TABLE public.${name}_${shard} DROP CONSTRAINT ${name}_key_${shard}`);
}

interface Dropped {
  readonly name: string;
  readonly made: readonly string[];
  readonly provoke: string;
}

const key = (name: string) => [
  `CREATE TABLE core.${name} (a int PRIMARY KEY)`,
  `SELECT create_distributed_table('core.${name}', 'a')`,
];

const DROPPED: readonly Dropped[] = [
  { name: 'd_table', made: key('d_table'), provoke: 'DROP TABLE core.d_table' },
  {
    name: 'd_schema',
    made: ['CREATE SCHEMA d', 'CREATE TABLE d.t (a int PRIMARY KEY)', "SELECT create_reference_table('d.t')"],
    provoke: 'DROP SCHEMA d CASCADE',
  },
  {
    name: 'd_constraint',
    made: key('d_constraint'),
    provoke: 'ALTER TABLE core.d_constraint DROP CONSTRAINT d_constraint_pkey',
  },
  {
    name: 'd_block',
    made: key('d_block'),
    provoke: 'RESET ALL; BEGIN; DROP TABLE core.d_block; COMMIT',
  },
  {
    name: 'd_set',
    made: key('d_set'),
    provoke: 'SET citus.enable_local_reference_table_foreign_keys = on; DROP TABLE core.d_set',
  },
];

for (const { name, made, provoke } of DROPPED) {
  test(`a local table of hers that Citus would copy behind ${provoke}`, async ({ skip, laboratory: { cluster } }) => {
    skip(cluster.kind !== 'real', STAND_IN);
    for (const statement of made) await shop.provoke(0, statement);
    await loosen(cluster, name);
    expect(await append(shop, FIRST_OF_SHOP, provoke)).toMatchObject({ code: 0, sprung: [] });
    // The trap works.
    await shop.provoke(0, 'CREATE TABLE core.last (a int PRIMARY KEY)');
    await shop.provoke(0, "SELECT create_reference_table('core.last')");
    await shop.provoke(0, 'DROP TABLE core.last').catch(() => undefined);
    expect(await shop.sprung()).toEqual([name]);
    await shop.asClient(`DROP TABLE public.${name}`);
  });
}

test.for([
  ['that a query names', "SELECT undistribute_table(logicalrelid) FROM pg_dist_partition WHERE partmethod = 'n'"],
  ['in a cascade', "SELECT undistribute_table('core.d_ours', cascade_via_foreign_keys := true)"],
  ['as Citus sees fit', 'CALL citus_cleanup_orphaned_resources()'],
])('tables %s', async ([, provoke = ''], { skip, laboratory: { cluster } }) => {
  skip(cluster.kind !== 'real', STAND_IN);
  expect(await append(shop, FIRST_OF_SHOP, provoke)).toEqual(REFUSED);
});
