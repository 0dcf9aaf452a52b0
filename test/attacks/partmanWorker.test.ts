import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { type LocalCluster, query } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY } from './support/laboratory.ts';

/** pg_partman's background worker, at work as superuser in a database of somebody else. */

const test = laboratoryTest;

const INSTALLED = `SELECT (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_partman')
  FROM pg_config WHERE name = 'PKGLIBDIR' AND (pg_stat_file(setting || '/pg_partman_bgw.so', true)).size IS NOT NULL`;

/** The version of pg_partman, once its worker is at work in the databases. */
async function startWorker(cluster: LocalCluster, databases: string): Promise<string | undefined> {
  const version = await firstValue(cluster, 0, 'postgres', INSTALLED);
  if (version == null) return undefined;
  const settings: Readonly<Record<string, string>> = {
    'pg_partman_bgw.dbname': `'${databases}'`,
    'pg_partman_bgw.interval': '2',
    'pg_partman_bgw.role': `'${cluster.superuser}'`,
  };
  for (const node of cluster.nodes) {
    const set = (name: string, value: string) =>
      query(cluster, node.group, 'postgres', `ALTER SYSTEM SET ${name} = ${value}`);
    // The server knows its settings once the library is loaded.
    await set('shared_preload_libraries', "'citus', 'pg_partman_bgw'");
    await node.restart();
    for (const [name, value] of Object.entries(settings)) await set(name, value);
    await node.restart();
  }
  return String(version);
}

const plantFormat = (trap: string) =>
  `CREATE FUNCTION public.format(text, text, text, text) RETURNS text LANGUAGE plpgsql AS
    $f$ BEGIN PERFORM ${trap}; RETURN pg_catalog.format($1, $2, $3, $4); END $f$`;

const WARNED = 'pg_partman is in schema public, in which mallory may create objects';
const REFUSED = `pg_partman's background worker runs in database 'worked' as superuser: extension ${WARNED}`;

test('the worker runs what she put in its way; every command refuses, until it has another role', {
  timeout: 300_000,
}, async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  const scene = await laboratory.scene('worked', { groups: [0, 1, 2] });
  const version = await startWorker(cluster, 'other, worked');
  skip(version === undefined, 'pg_partman is not installed');
  const declared = { extensions: [{ name: 'pg_partman', schema: 'public' }] };
  // Not made there either.
  const early = await scene.run(['apply'], declared);
  expect({ code: early.code, log: early.log }).toEqual({
    code: 3,
    log: expect.stringContaining('is declared for schema public, in which others may create objects'),
  });
  await query(cluster, 0, 'worked', 'CREATE EXTENSION pg_partman SCHEMA public');
  await scene.asMallory(0, plantFormat(scene.trap('format')));
  if (version?.startsWith('4.') === true) {
    const until = Date.now() + 30_000;
    let sprung = await scene.sprung();
    for (; sprung.length === 0 && Date.now() < until; sprung = await scene.sprung()) await sleep(500);
    expect(sprung).toEqual(['format']);
  }
  for (const command of ['plan', 'apply', 'verify']) {
    const { code, log } = await scene.run([command], { extensions: ['pg_partman'] });
    expect({ command, code, log }).toEqual({ command, code: 3, log: expect.stringContaining(REFUSED) });
    expect(log).toContain('Set pg_partman_bgw.role to the role that owns the partitioned tables');
  }

  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', `ALTER SYSTEM SET pg_partman_bgw.role = '${MALLORY}'`);
    await query(cluster, group, 'postgres', 'SELECT pg_reload_conf()');
  }
  await sleep(5_000);
  await scene.sprung();
  const after = await scene.run(['plan'], { extensions: ['pg_partman'] });
  expect(after).toMatchObject({ code: 0 });
  await sleep(5_000);
  expect(await scene.sprung()).toEqual([]);
});

test('not where it is at work in another database, nor where the schema is closed', async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  const version = await startWorker(cluster, 'elsewhere, "Elsewhere", closed');
  skip(version === undefined, 'pg_partman is not installed');
  const open = await laboratory.scene('left_alone');
  await query(cluster, 0, 'left_alone', 'CREATE EXTENSION pg_partman SCHEMA public');
  const warned = await open.run(['plan'], { extensions: ['pg_partman'] });
  expect({ code: warned.code, text: warned.stdout + warned.stderr }).toEqual({
    code: 0,
    text: expect.stringContaining(WARNED),
  });
  // Declared as a schema of the application's, it is closed all the same.
  const closed = await laboratory.scene('closed', {
    access: 'all',
    more: { schemas: ['partman'], extensions: [{ name: 'pg_partman', schema: 'partman' }] },
  });
  for (const { group } of cluster.nodes) {
    await expect(closed.asMallory(group, 'CREATE VIEW partman.hers AS SELECT 1')).rejects.toMatchObject({
      code: '42501',
    });
  }
  for (const command of ['plan', 'verify']) {
    const { code, log } = await closed.run([command]);
    expect({ command, code, log }).toEqual({ command, code: 0, log: expect.not.stringContaining('partman is in') });
  }
});

test('a schema of hers that is declared without an owner: the extension does not go there', async ({
  skip,
  laboratory,
}) => {
  const found = await firstValue(laboratory.cluster, 0, 'postgres', INSTALLED);
  skip(found == null, 'pg_partman is not installed');
  const scene = await laboratory.scene('taken_before');
  await scene.asClient('CREATE SCHEMA partman');
  const { code, log } = await scene.run(['apply'], { schemas: ['partman'], extensions: ['pg_partman'] });
  expect(code).not.toBe(0);
  expect(log).toMatch(/schema \\?"partman\\?" is not the superuser's alone/);
});
