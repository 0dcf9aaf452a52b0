import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { connect, type LocalCluster, query, startLocalCluster } from '../support/cluster.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** How databases are created: encoding, locale, template, connection limit, and what is in template1's way. */

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await startLocalCluster({ workers: 1 });
  console.log(`Citus: ${cluster.description}`);
});

afterAll(async () => {
  await cluster?.stop();
});

async function run(command: string, database: Document): Promise<Outcome> {
  return await runProgram(cluster, [command], specOf(cluster, [database]));
}

async function applied(database: Document): Promise<Outcome> {
  const outcome = await run('apply', database);
  expect(outcome).toMatchObject({ code: 0, log: expect.stringContaining(`Database '${database['name']}' is ready!`) });
  return outcome;
}

async function refusal(database: Document): Promise<string> {
  const { code, log } = await run('apply', database);
  expect(code).toBe(3);
  return log.slice(log.indexOf('ERROR'));
}

test('encoding, locale, template and connectionLimit, the same on every node', async () => {
  const locale = String(
    await firstValue(
      cluster,
      0,
      'postgres',
      "SELECT collname FROM pg_collation WHERE collname IN ('C.utf8', 'C.UTF-8') LIMIT 1",
    ),
  );
  const database = { name: 'special', encoding: 'utf-8', locale, template: 'template0', connectionLimit: 42 };
  await applied(database);
  for (const { group } of cluster.nodes) {
    const [found] = await query(
      cluster,
      group,
      'postgres',
      "SELECT pg_encoding_to_char(encoding) AS encoding, datcollate, datctype, datconnlimit FROM pg_database WHERE datname = 'special'",
    );
    expect(found).toEqual({ encoding: 'UTF8', datcollate: locale, datctype: locale, datconnlimit: 42 });
  }
  expect((await run('plan', database)).code).toBe(0);

  await applied({ name: 'special', connectionLimit: -1 });
  expect((await catalogsOf(cluster, 'special')).map((catalog) => catalog?.connectionLimit)).toEqual([-1, -1]);
  expect((await run('plan', { name: 'special' })).code).toBe(0);

  expect(await refusal({ name: 'special', encoding: 'SQL_ASCII' })).toMatchInlineSnapshot(`
    "ERROR: Database 'special' cannot be made ready: 2 problems
      Cause:
        node0: Database 'special' exists with encoding UTF8, not SQL_ASCII
          Next: Declare what the database has, or dump it, drop it and let it be made again
        node1: Database 'special' exists with encoding UTF8, not SQL_ASCII
          Next: Declare what the database has, or dump it, drop it and let it be made again
      Next: Mend them and run again. Nothing was changed
    "
  `);
  expect((await refusal({ name: 'special', locale: 'C' })).replaceAll(locale, 'LOCALE')).toMatchInlineSnapshot(`
    "ERROR: Database 'special' cannot be made ready: 2 problems
      Cause:
        node0: Database 'special' exists with locale LOCALE, not C
          Next: Declare what the database has, or dump it, drop it and let it be made again
        node1: Database 'special' exists with locale LOCALE, not C
          Next: Declare what the database has, or dump it, drop it and let it be made again
      Next: Mend them and run again. Nothing was changed
    "
  `);
});

test('a database that exists on the coordinator gets workers with its encoding and locale', async () => {
  await query(
    cluster,
    0,
    'postgres',
    "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' CONNECTION LIMIT 9",
  );
  await applied({ name: 'ascii' });
  expect((await catalogsOf(cluster, 'ascii')).map((catalog) => catalog?.encoding)).toEqual(['SQL_ASCII', 'SQL_ASCII']);
});

test('a template that does not exist', async () => {
  const { code, log } = await run('apply', { name: 'templated', template: 'no_such_template' });
  expect(log.slice(log.indexOf('ERROR'))).toMatchInlineSnapshot(`
    "ERROR: Failed to create database 'templated' (node node1)
      Cause: template database "no_such_template" does not exist (SQLSTATE 3D000)
      Next: If the template database is in use, end the sessions in it; then run again
    "
  `);
  expect(code).toBe(2);
});

describe('template1', () => {
  test('in use: CREATE DATABASE is tried again until the session there ends', async () => {
    const sessions = await Promise.all([connect(cluster, 0, 'template1'), connect(cluster, 1, 'template1')]);
    const end = new Promise((resolve) => setTimeout(resolve, 7_000)).then(() =>
      Promise.all(sessions.map((session) => session.end())),
    );
    const { log } = await applied({ name: 'patient' });
    await end;
    expect(log).toContain('source database "template1" is being accessed by other users (SQLSTATE 55006)');
    expect(log).toContain('trying again');
  });

  test('an extension that is in it comes along', async () => {
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'CREATE EXTENSION hstore');
    const database = { name: 'inherited', extensions: ['hstore', 'citext'] };
    const { log } = await applied(database);
    expect(log).toMatch(/Already enabled: hstore [\d.]+/);
    expect((await run('plan', database)).code).toBe(0);
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'DROP EXTENSION hstore');
  });

  test('citus that is in it comes along', async () => {
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'CREATE EXTENSION citus');
    const database = { name: 'with_citus', extensions: ['citext'] };
    await applied(database);
    expect((await run('plan', database)).code).toBe(0);
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'DROP EXTENSION citus');
  });
});
