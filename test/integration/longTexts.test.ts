import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** Of a text that others wrote only so much is read: what is longer is no part of any statement. */

const test = clusterTest({ workers: 1 })
  .extend('set', { scope: 'file' }, ({ cluster }) => async (group: number, statement: string): Promise<void> => {
    const apart = cluster.kind === 'real' ? 'SET citus.enable_ddl_propagation = off; ' : '';
    await query(cluster, group, 'postgres', `${apart}${statement}`);
  })
  .extend('run', { scope: 'file' }, ({ cluster }) => async (command: string, document: Document) => {
    const { code, log } = await runProgram(cluster, [command], specOf(cluster, [document]));
    return { code, log: code === 0 ? '' : log };
  });

const PASSED = { code: 0, log: '' };

/** A search_path of more than 8,192 characters, which differs at its end alone. */
const listOf = (last: string) => [...Array.from({ length: 2000 }, (_, index) => `s${index}`), last].join(', ');

const SETTINGS = `SELECT max(length(entry)) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase,
  unnest(s.setconfig) entry WHERE entry LIKE 'search_path=s0%'`;

test.for([
  ['database "long"', 'DATABASE long'],
  ['all roles', 'ROLE ALL'],
] as const)(
  'a setting of %s that is too long to read reaches no worker',
  async ([words, place], { cluster, set, run }) => {
    const document = { name: 'long' };
    expect(await run('apply', document)).toEqual(PASSED);
    await set(0, `ALTER ${place} SET search_path = ${listOf('a')}`);
    const refused = {
      code: 3,
      log: expect.stringContaining(
        `Setting 'search_path' of ${words} on the coordinator is longer than 8,192 characters, and differs on this worker`,
      ),
    };
    for (const command of ['plan', 'apply']) expect(await run(command, document), command).toEqual(refused);
    expect(await firstValue(cluster, 1, 'postgres', SETTINGS)).toBeNull();

    await set(1, `ALTER ${place} SET search_path = ${listOf('b')}`);
    expect(await run('plan', document)).toEqual(refused);
    await set(1, `ALTER ${place} SET search_path = ${listOf('a')}`);
    for (const command of ['apply', 'plan', 'verify']) expect(await run(command, document), command).toEqual(PASSED);

    // The other way round, the worker follows.
    await set(0, `ALTER ${place} RESET search_path`);
    expect(await run('apply', document)).toEqual(PASSED);
    expect(await firstValue(cluster, 1, 'postgres', SETTINGS)).toBeNull();
  },
);

test('one that is declared is set, and found to be set', async ({ cluster, run }) => {
  const document = { name: 'declared', parameters: { search_path: listOf('a').replaceAll(' ', '') } };
  expect(await run('apply', document)).toEqual(PASSED);
  expect(await run('plan', document)).toEqual(PASSED);
  expect(Number(await firstValue(cluster, 1, 'postgres', SETTINGS))).toBeGreaterThan(8192);
});

test('one that the session of initSQL would have: refused, and initSQL not run with another', async ({
  cluster,
  set,
  run,
}) => {
  // With an owner of its own, its superuser's search_path is pinned, so that initSQL is given that of the database.
  await query(cluster, 0, 'postgres', 'CREATE ROLE hers LOGIN');
  const document = { name: 'scripted', owner: 'hers' };
  expect(await run('apply', document)).toEqual(PASSED);
  for (const group of [0, 1]) await set(group, `ALTER DATABASE scripted SET search_path = ${listOf('a')}`);
  expect(await run('apply', { ...document, initSQL: 'CREATE TABLE public.made ()', initSQLPolicy: 'adopt' })).toEqual({
    code: 3,
    log: expect.stringContaining("Setting 'search_path' of database 'scripted' is longer than 8,192 characters"),
  });
  expect(await firstValue(cluster, 0, 'scripted', "SELECT to_regclass('public.made')")).toBeNull();
});

test('one that acts on connections between the nodes: refused by its length', async ({ cluster, set, run, skip }) => {
  skip(cluster.kind !== 'real', 'the stand-in has none');
  const document = { name: 'harmed' };
  expect(await run('apply', document)).toEqual(PASSED);
  await set(0, `ALTER DATABASE harmed SET citus.node_connection_timeout = '${' '.repeat(9000)}10'`);
  expect(await run('plan', document)).toEqual({
    code: 3,
    log: expect.stringContaining(
      "Setting 'citus.node_connection_timeout' of database 'harmed' is longer than 8,192 characters",
    ),
  });
});

test('no other text is cut by the server', () => {
  const source = path.join(import.meta.dirname, '../../src');
  const cutting = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (file) =>
      file.endsWith('.ts') &&
      /pg_catalog\."?left"?\(|\bleft\(\w|::(?:pg_catalog\.)?(?:varchar|name)\b\s*\(/.test(
        readFileSync(path.join(source, file), 'utf8'),
      ),
  );
  // The first characters of a WAL file's name are its timeline.
  expect(cutting.toSorted()).toEqual(['objects/nodePosition.ts', 'objects/observe.ts']);
});
