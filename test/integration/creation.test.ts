import { describe, expect } from 'vitest';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** How databases are created: encoding, locale, template, connection limit, and what is in template1's way. */

const PROVIDER = `SELECT datlocprovider AS provider, coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale') AS locale
    FROM pg_database d WHERE datname = $1`;

const test = clusterTest({ workers: 1 })
  .extend('run', { scope: 'file' }, ({ cluster }) => async (command: string, database: Document): Promise<Outcome> => {
    return await runProgram(cluster, [command], specOf(cluster, [database]));
  })
  .extend('applied', { scope: 'file' }, ({ run }) => async (database: Document): Promise<Outcome> => {
    const outcome = await run('apply', database);
    expect(outcome).toMatchObject({
      code: 0,
      log: expect.stringContaining(`Database '${database['name']}' is ready!`),
    });
    return outcome;
  })
  .extend('refusal', { scope: 'file' }, ({ run }) => async (database: Document): Promise<string> => {
    const { code, log } = await run('apply', database);
    expect(code).toBe(3);
    return log.slice(log.indexOf('ERROR'));
  })
  .extend('providers', { scope: 'file' }, ({ cluster }) => async (name: string) => {
    const found = [];
    for (const { group } of cluster.nodes) found.push((await query(cluster, group, 'postgres', PROVIDER, [name]))[0]);
    return found;
  })
  .extend(
    'newEnough',
    { scope: 'file' },
    ({ cluster }) =>
      async () =>
        Number(await firstValue(cluster, 0, 'postgres', "SELECT current_setting('server_version_num')")) >= 170_000,
  );

test('encoding, locale, template and connectionLimit, the same on every node', async ({
  cluster,
  run,
  applied,
  refusal,
}) => {
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
      Next: Correct them and run again. Nothing was changed
    "
  `);
  expect((await refusal({ name: 'special', locale: 'C' })).replaceAll(locale, 'LOCALE')).toMatchInlineSnapshot(`
    "ERROR: Database 'special' cannot be made ready: 2 problems
      Cause:
        node0: Database 'special' exists with locale LOCALE, not C
          Next: Declare what the database has, or dump it, drop it and let it be made again
        node1: Database 'special' exists with locale LOCALE, not C
          Next: Declare what the database has, or dump it, drop it and let it be made again
      Next: Correct them and run again. Nothing was changed
    "
  `);
});

test('a database that exists on the coordinator gets workers with its encoding and locale', async ({
  cluster,
  applied,
}) => {
  await query(
    cluster,
    0,
    'postgres',
    "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' CONNECTION LIMIT 9",
  );
  await applied({ name: 'ascii' });
  expect((await catalogsOf(cluster, 'ascii')).map((catalog) => catalog?.encoding)).toEqual(['SQL_ASCII', 'SQL_ASCII']);
});

describe('locale providers', () => {
  const icu = { provider: 'i', locale: 'de-DE' };
  test('declared: the same on every node, and no other one later', async ({ run, applied, refusal, providers }) => {
    const database = { name: 'german', localeProvider: 'icu', icuLocale: 'de-DE' };
    await applied(database);
    expect(await providers('german')).toEqual([icu, icu]);
    expect((await run('plan', database)).code).toBe(0);
    expect(await refusal({ name: 'german', localeProvider: 'icu', icuLocale: 'sv-SE' })).toContain(
      "Database 'german' exists with ICU locale de-DE, not sv-SE",
    );
    expect(await refusal({ name: 'german', localeProvider: 'libc' })).toContain('locale provider icu, not libc');
  });

  test('of the database that the coordinator has: workers take after it, and sort alike', async ({
    cluster,
    applied,
    providers,
  }) => {
    await query(
      cluster,
      0,
      'postgres',
      "CREATE DATABASE sorting TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'",
    );
    const initSQL =
      "CREATE TABLE words (w text PRIMARY KEY); SELECT create_distributed_table('words', 'w', shard_count => 4);";
    await applied({ name: 'sorting', initSQLPolicy: 'adopt', initSQL });
    expect(await providers('sorting')).toEqual([icu, icu]);
    await query(cluster, 0, 'sorting', "INSERT INTO public.words VALUES ('B'), ('a'), ('C'), ('Ä'), ('z')");
    expect(await query(cluster, 0, 'sorting', 'SELECT min(w), max(w) FROM public.words')).toEqual([
      { min: 'a', max: 'z' },
    ]);
  });

  test("of the coordinator's template1, where the worker's is another one", async ({ cluster, applied, providers }) => {
    const renewTemplate1 = async (options: string) => {
      await query(cluster, 0, 'postgres', 'ALTER DATABASE template1 IS_TEMPLATE false');
      await query(cluster, 0, 'postgres', 'DROP DATABASE template1 WITH (FORCE)');
      await query(cluster, 0, 'postgres', `CREATE DATABASE template1 TEMPLATE template0 ${options} IS_TEMPLATE true`);
    };
    await renewTemplate1("LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'");
    await applied({ name: 'modelled' });
    await renewTemplate1('');
    expect(await providers('modelled')).toEqual([icu, icu]);
  });

  test('a database of another provider on a worker is refused before anything is made', async ({
    cluster,
    refusal,
  }) => {
    await query(
      cluster,
      0,
      'postgres',
      "CREATE DATABASE apart TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'",
    );
    await query(cluster, 1, 'postgres', 'CREATE DATABASE apart');
    const log = await refusal({ name: 'apart' });
    expect(log).toContain("Database 'apart' has locale provider libc here and icu on the coordinator");
    expect(log).toContain('min(), max() and ORDER BY would differ by shard (node node1');
  });

  test('builtin, from PostgreSQL 17 on', async ({ run, applied, providers, newEnough }) => {
    if (!(await newEnough())) return console.log('The builtin provider: not tested here, this needs PostgreSQL 17');
    const database = { name: 'built', localeProvider: 'builtin', builtinLocale: 'C.UTF-8' };
    await applied(database);
    const builtin = { provider: 'b', locale: 'C.UTF-8' };
    expect(await providers('built')).toEqual([builtin, builtin]);
    expect((await run('plan', database)).code).toBe(0);
  });
});

test('a template that does not exist', async ({ run }) => {
  const { code, log } = await run('apply', { name: 'templated', template: 'no_such_template' });
  expect(log.slice(log.indexOf('ERROR'))).toMatchInlineSnapshot(`
    "ERROR: Database 'templated' cannot be made ready: 2 problems
      Cause:
        node0: Template database 'no_such_template' (databases[0].template) does not exist
          Next: Correct its name, or create it on every node that is to hold the database
        node1: Template database 'no_such_template' (databases[0].template) does not exist
          Next: Correct its name, or create it on every node that is to hold the database
      Next: Correct them and run again. Nothing was changed
    "
  `);
  expect(code).toBe(2);
});

describe('template1', () => {
  test('in use: CREATE DATABASE is tried again until the session there ends', async ({ cluster, applied }) => {
    const sessions = await Promise.all([connect(cluster, 0, 'template1'), connect(cluster, 1, 'template1')]);
    const end = new Promise((resolve) => setTimeout(resolve, 7_000)).then(() =>
      Promise.all(sessions.map((session) => session.end())),
    );
    const { log } = await applied({ name: 'patient' });
    await end;
    expect(log).toContain('source database "template1" is being accessed by other users (SQLSTATE 55006)');
    expect(log).toContain('trying again');
  });

  test('an extension that is in it comes along', async ({ cluster, run, applied }) => {
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'CREATE EXTENSION hstore');
    const database = { name: 'inherited', extensions: ['hstore', 'citext'] };
    const { log } = await applied(database);
    expect(log).toMatch(/Already enabled: hstore [\d.]+/);
    expect((await run('plan', database)).code).toBe(0);
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'DROP EXTENSION hstore');
  });

  test('citus that is in it comes along', async ({ cluster, run, applied }) => {
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'CREATE EXTENSION citus');
    const database = { name: 'with_citus', extensions: ['citext'] };
    await applied(database);
    expect((await run('plan', database)).code).toBe(0);
    for (const { group } of cluster.nodes) await query(cluster, group, 'template1', 'DROP EXTENSION citus');
  });
});
