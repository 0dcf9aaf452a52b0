import { expect } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, type Scene } from './support/laboratory.ts';

/**
 * The schema of an extension: where functions of the extension look up names, with whatever rights their caller has, and
 * where its next script will. pg_partman's background worker is such a caller, as superuser.
 */

const test = laboratoryTest;
const TRIGRAMS = { name: 'pg_trgm', schema: 'trigrams' };
let scene: Scene;

test.beforeAll(async ({ laboratory }) => {
  scene = await laboratory.scene('shop', { more: { extensions: [TRIGRAMS] } });
});

const place = (schema: string) =>
  `CREATE FUNCTION ${schema}.placed() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION ${schema}.placed()`;

test('a schema that was made for an extension: she uses it, and creates nothing in it', async () => {
  for (const group of [0, 1, 2]) {
    await scene.asMallory(group, "SELECT trigrams.similarity('a', 'a')");
    await expect(scene.asMallory(group, place('trigrams'))).rejects.toMatchObject({ code: '42501' });
  }
  expect(await scene.run(['plan'], { extensions: [TRIGRAMS] })).toMatchObject({ code: 0 });
});

test('an extension that comes later: neither', async () => {
  const extensions = [TRIGRAMS, { name: 'hstore', schema: 'later' }];
  expect(await scene.run(['apply'], { extensions })).toMatchObject({ code: 0 });
  for (const group of [0, 1, 2]) {
    await expect(scene.asMallory(group, place('later'))).rejects.toMatchObject({ code: '42501' });
  }
  expect(await scene.run(['plan'], { extensions })).toMatchObject({ code: 0 });
});

test('what an earlier version granted there is taken back, and what she left there is named', async ({
  laboratory: { cluster },
}) => {
  for (const { group } of cluster.nodes) {
    await query(
      cluster,
      group,
      'shop',
      `SET citus.enable_ddl_propagation = off; GRANT CREATE ON SCHEMA trigrams TO ${MALLORY} WITH GRANT OPTION`,
    );
    await scene.asMallory(group, "CREATE FUNCTION trigrams.format(text, text) RETURNS text LANGUAGE sql AS 'SELECT 1'");
  }
  const planned = await scene.run(['plan'], { extensions: [TRIGRAMS] });
  expect({ code: planned.code, text: planned.stdout }).toEqual({
    code: 10,
    text: expect.stringContaining(`take CREATE on schema trigrams from "${MALLORY}" (owner)`),
  });
  const applied = await scene.run(['apply'], { extensions: [TRIGRAMS] });
  expect({ code: applied.code, text: applied.stdout + applied.stderr }).toEqual({
    code: 0,
    text: expect.stringContaining('trigrams.format(text,text)'),
  });
  for (const { group } of cluster.nodes) {
    await expect(scene.asMallory(group, place('trigrams'))).rejects.toMatchObject({ code: '42501' });
    await scene.asMallory(group, 'DROP FUNCTION trigrams.format(text, text)');
  }
  const after = await scene.run(['plan'], { extensions: [TRIGRAMS] });
  expect({ code: after.code, text: after.stdout }).toEqual({ code: 0, text: expect.not.stringContaining('WARNING') });
});

test('what a group was granted there stays: so may whoever makes partitions', async ({
  skip,
  laboratory: { cluster },
}) => {
  skip(cluster.kind !== 'real', 'the stand-in carries no roles');
  await query(cluster, 0, 'shop', 'CREATE ROLE makers NOLOGIN');
  for (const { group } of cluster.nodes) {
    await query(
      cluster,
      group,
      'shop',
      'SET citus.enable_ddl_propagation = off; GRANT USAGE, CREATE ON SCHEMA trigrams TO makers',
    );
  }
  await query(cluster, 0, 'shop', `GRANT makers TO ${MALLORY}`);
  await scene.asMallory(0, place('trigrams'));
  expect(await scene.run(['plan'], { extensions: [TRIGRAMS] })).toMatchObject({ code: 0 });
  await query(cluster, 0, 'shop', `REVOKE makers FROM ${MALLORY}`);
});

test('a schema of the application with an extension in it stays the application’s', async ({ laboratory }) => {
  const more = { schemas: ['app', { name: 'hers', owner: MALLORY }], extensions: [{ name: 'pg_trgm', schema: 'app' }] };
  const shared = await laboratory.scene('shared', { access: 'all', more });
  await shared.asMallory(0, place('app'));
  // A trusted extension, as a migration of hers makes it.
  await shared.asClient('CREATE EXTENSION hstore SCHEMA hers');
  await shared.asClient('CREATE EXTENSION citext SCHEMA app');
  const planned = await shared.run(['plan']);
  expect({ code: planned.code, text: planned.stdout }).toEqual({
    code: 0,
    text: expect.not.stringContaining('WARNING'),
  });
  await shared.asMallory(0, place('hers'));
});

test('a trusted extension that she makes where the superuser let her create changes nothing', async ({
  skip,
  laboratory: { cluster },
}) => {
  skip(cluster.kind !== 'real', 'the stand-in carries schemas that a superuser makes by hand to no worker');
  await query(cluster, 0, 'shop', 'CREATE SCHEMA loads');
  expect(await scene.run(['apply'], { extensions: [TRIGRAMS] })).toMatchObject({ code: 0 });
  await scene.asClient('CREATE EXTENSION citext SCHEMA loads');
  expect(await scene.run(['plan'], { extensions: [TRIGRAMS] })).toMatchObject({ code: 0 });
  await scene.asClient(place('loads'));
});

/** What run_maintenance() calls without a schema, in a type that fits better than pg_catalog's. */
const plantFormat = (schema: string, trap: string) =>
  `CREATE FUNCTION ${schema}.format(text, text, text, text) RETURNS text LANGUAGE plpgsql AS
    $f$ BEGIN PERFORM ${trap}; RETURN pg_catalog.format($1, $2, $3, $4); END $f$`;

async function skipWithoutPartman(
  { cluster }: { cluster: Parameters<typeof query>[0] },
  skip: (condition: boolean, note: string) => void,
) {
  const found = await list(
    cluster,
    0,
    'postgres',
    "SELECT name FROM pg_available_extensions WHERE name = 'pg_partman'",
  );
  skip(found.length === 0, 'pg_partman is not installed');
}

test('pg_partman without a schema: not where she creates', async ({ skip, laboratory }) => {
  await skipWithoutPartman(laboratory, skip);
  const { cluster } = laboratory;
  const parted = await laboratory.scene('parted', { more: { extensions: ['pg_partman'] } });
  for (const { group } of cluster.nodes) {
    const where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_partman'";
    expect(await firstValue(cluster, group, 'parted', where)).toBe('partman');
    await expect(parted.asMallory(group, plantFormat('partman', 'true'))).rejects.toMatchObject({ code: '42501' });
    await parted.asMallory(group, plantFormat('public', parted.trap('format')));
    // As its background worker does.
    await parted.provoke(group, 'SELECT "partman".run_maintenance(p_analyze := false, p_jobmon := true)');
  }
  expect(await parted.sprung()).toEqual([]);
  const planned = await parted.run(['plan']);
  expect({ code: planned.code, text: planned.stdout }).toEqual({
    code: 0,
    text: expect.not.stringContaining('WARNING'),
  });
});

test('pg_partman where she creates, as an earlier version made it: named by each command', async ({
  skip,
  laboratory,
}) => {
  await skipWithoutPartman(laboratory, skip);
  const { cluster } = laboratory;
  const before = await laboratory.scene('before');
  await query(cluster, 0, 'before', 'CREATE EXTENSION pg_partman SCHEMA public');
  await before.asMallory(0, plantFormat('public', before.trap('format')));
  await before.provoke(0, 'SELECT "public".run_maintenance(p_analyze := false, p_jobmon := true)');
  // pg_partman 5 calls no format() of four texts while it has nothing to maintain.
  const version = await firstValue(
    cluster,
    0,
    'before',
    "SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'",
  );
  expect(await before.sprung()).toEqual(String(version).startsWith('4.') ? ['format'] : []);
  for (const [command, code] of [
    ['plan', 0],
    ['apply', 0],
    ['verify', 0],
  ] as const) {
    const outcome = await before.run([command], { extensions: ['pg_partman'] });
    expect({ code: outcome.code, text: outcome.stdout + outcome.stderr }).toEqual({
      code,
      text: expect.stringMatching(/pg_partman is in schema public, in which mallory may create objects/),
    });
  }
});

test('pg_partman later, by a name that she has taken: refused', async ({ skip, laboratory }) => {
  await skipWithoutPartman(laboratory, skip);
  const taken = await laboratory.scene('taken');
  await taken.asClient(`CREATE SCHEMA partman; ${plantFormat('partman', 'true')}`);
  for (const extension of ['pg_partman', { name: 'pg_partman', schema: 'partman' }]) {
    const { code, stdout, stderr } = await taken.run(['apply'], { extensions: [extension] });
    expect(code).not.toBe(0);
    expect(stdout + stderr).toMatch(/schema \\?"partman\\?" is not the superuser's alone/);
  }
  expect(await list(laboratory.cluster, 0, 'taken', 'SELECT extname FROM pg_extension')).not.toContain('pg_partman');
});
