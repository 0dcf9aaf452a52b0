import { describe, expect } from 'vitest';
import { parameterValueSql } from '../../src/objects/parameter.ts';
import { catalogOf, catalogsOf, firstValue, list } from '../support/catalog.ts';
import { connect, query, withCitus } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** Every field of a database's declaration, each on real nodes. Encoding and the like are in creation.test.ts. */

const test = clusterTest({ workers: 2 })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      async (command: string, ...databases: readonly Document[]): Promise<Outcome> => {
        return await runProgram(cluster, [command], specOf(cluster, databases));
      },
  )
  .extend('applied', { scope: 'file' }, ({ run }) => async (database: Document): Promise<Outcome> => {
    const outcome = await run('apply', database);
    expect(outcome).toMatchObject({
      code: 0,
      log: expect.stringContaining(`Database '${database['name']}' is ready!`),
    });
    return outcome;
  })
  /** Applied once more, the declaration changes nothing. */
  .extend('settled', { scope: 'file' }, ({ run, applied }) => async (database: Document): Promise<void> => {
    expect(await run('plan', database)).toMatchObject({ code: 0, log: expect.stringContaining('Nothing to do') });
    expect((await applied(database)).log).toContain('Nothing was changed');
  })
  .extend(
    'everywhere',
    { scope: 'file' },
    ({ cluster }) =>
      async (database: string, sql: string): Promise<readonly unknown[]> => {
        return await Promise.all(cluster.nodes.map(({ group }) => firstValue(cluster, group, database, sql)));
      },
  )
  .extend('exists', { scope: 'file' }, ({ everywhere }) => async (database: string): Promise<readonly unknown[]> => {
    return await everywhere('postgres', `SELECT EXISTS (SELECT FROM pg_database WHERE datname = '${database}')`);
  });

const NOWHERE = [false, false, false];

describe('owner', () => {
  test('a role that only the coordinator has is copied to every node, with the same verifier', async ({
    cluster,
    applied,
    settled,
    everywhere,
  }) => {
    await query(
      cluster,
      0,
      'postgres',
      "CREATE ROLE keeper LOGIN CREATEDB CONNECTION LIMIT 7 PASSWORD 'keeper secret'",
    );
    const database = { name: 'owned', owner: 'keeper' };
    const { log } = await applied(database);
    expect(log).toContain("Creating role 'keeper' on node1...");
    const role = await everywhere('postgres', "SELECT to_jsonb(a) - 'oid' FROM pg_authid a WHERE rolname = 'keeper'");
    expect(role[0]).toMatchObject({ rolcreatedb: true, rolcanlogin: true, rolsuper: false, rolconnlimit: 7 });
    expect(role).toEqual([role[0], role[0], role[0]]);
    expect((await catalogsOf(cluster, 'owned')).map((catalog) => catalog?.owner)).toEqual([
      'keeper',
      'keeper',
      'keeper',
    ]);
    const client = await connect(cluster, 2, 'owned', { name: 'keeper', password: 'keeper secret' });
    await client.end();
    await settled(database);
  });

  test('a password that was changed on the coordinator reaches the other nodes', async ({
    cluster,
    applied,
    settled,
  }) => {
    await query(cluster, 0, 'postgres', "ALTER ROLE keeper PASSWORD 'another secret'");
    const { log } = await applied({ name: 'owned', owner: 'keeper' });
    expect(log).toContain("Aligning role 'keeper' on node2...");
    const client = await connect(cluster, 2, 'owned', { name: 'keeper', password: 'another secret' });
    await client.end();
    await settled({ name: 'owned', owner: 'keeper' });
  });

  test('another owner later', async ({ cluster, applied, settled }) => {
    await applied({ name: 'owned', owner: 'postgres' });
    expect((await catalogsOf(cluster, 'owned')).map((catalog) => catalog?.owner)).toEqual([
      'postgres',
      'postgres',
      'postgres',
    ]);
    await settled({ name: 'owned', owner: 'postgres' });
  });

  test('a missing one is refused before anything is made', async ({ run, exists }) => {
    const outcome = await run('apply', { name: 'orphan', owner: 'nobody_here' });
    expect(outcome.code).toBe(2);
    expect(outcome.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: orphan
      ========================================
      PostgreSQL coordinator is ready!
      ERROR: Owner 'nobody_here' of database 'orphan' does not exist (node node0, database orphan)
        Next: Declare it in \`users\`, create the role on the coordinator (CREATE ROLE ... LOGIN), or declare another owner. Nothing was changed
      "
    `);
    expect(await exists('orphan')).toEqual(NOWHERE);
    expect((await run('plan', { name: 'orphan', owner: 'nobody_here' })).code).toBe(2);
  });
});

describe('workerGroups', () => {
  test('a subset: the database is there only, the owner everywhere', async ({
    cluster,
    applied,
    settled,
    everywhere,
    exists,
  }) => {
    await query(cluster, 0, 'postgres', "CREATE ROLE part_owner LOGIN PASSWORD 'x'");
    const database = { name: 'part', owner: 'part_owner', workerGroups: ['2'] };
    await applied(database);
    expect(await exists('part')).toEqual([true, false, true]);
    expect((await catalogOf(cluster, 0, 'part'))?.nodes).toEqual(['1 0 node0 t t', '2 2 node2 t t']);
    expect(await everywhere('postgres', "SELECT count(*)::int FROM pg_roles WHERE rolname = 'part_owner'")).toEqual([
      1, 1, 1,
    ]);
    await settled(database);
  });

  test('one more later: the worker joins, and distributed tables can be read from it', async ({
    cluster,
    applied,
    settled,
    everywhere,
  }) => {
    await query(
      cluster,
      0,
      'part',
      // The owner is another role, so that the superuser's search_path is pg_catalog there.
      "CREATE TABLE public.t (a int); SELECT create_distributed_table('public.t', 'a'); INSERT INTO public.t SELECT generate_series(1, 50)",
    );
    const database = { name: 'part', owner: 'part_owner', workerGroups: [1, '2'] };
    await applied(database);
    expect(await everywhere('part', 'SELECT count(*)::int FROM public.t')).toEqual([50, 50, 50]);
    const nodes = ['1 0 node0 t t', '2 2 node2 t t', '3 1 node1 t t'];
    expect((await catalogsOf(cluster, 'part')).map((catalog) => catalog?.nodes)).toEqual([nodes, nodes, nodes]);
    await settled(database);
  });

  test('one fewer later: a warning, never removal', async ({ cluster, applied }) => {
    const { log } = await applied({ name: 'part', owner: 'part_owner', workerGroups: ['2'] });
    expect(log).toContain('WARNING: Worker node1 (group 1) is registered and no longer declared; it stays.');
    expect(log).toContain('Nothing was changed');
    expect((await catalogOf(cluster, 0, 'part'))?.nodes).toHaveLength(3);
  });
});

describe('extensions', () => {
  test('with a schema and a version, a name that needs quotes, and in the order of their needs', async ({
    cluster,
    applied,
    settled,
  }) => {
    const database = {
      name: 'extended',
      extensions: [
        { name: 'hstore', schema: 'Tools' },
        { name: 'pg_trgm', version: '1.5' },
        'earthdistance',
        { name: 'uuid-ossp' },
      ],
    };
    await applied(database);
    const [coordinator, ...workers] = await catalogsOf(cluster, 'extended');
    expect(coordinator?.extensions).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^hstore \S+ Tools$/),
        'pg_trgm 1.5 public',
        expect.stringMatching(/^earthdistance/),
        expect.stringMatching(/^cube/),
        expect.stringMatching(/^uuid-ossp/),
      ]),
    );
    for (const worker of workers) expect(worker?.extensions).toEqual(coordinator?.extensions);
    await settled(database);
  });

  test('another version later is updated on every node', async ({ applied, settled, everywhere }) => {
    const { log } = await applied({ name: 'extended', extensions: [{ name: 'pg_trgm', version: '1.6' }] });
    expect(log).toContain('Updating extension pg_trgm');
    expect(await everywhere('extended', "SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'")).toEqual([
      '1.6',
      '1.6',
      '1.6',
    ]);
    await settled({ name: 'extended', extensions: [{ name: 'pg_trgm', version: '1.6' }] });
  });

  test('one more later comes to every node', async ({ applied, settled, everywhere }) => {
    const database = { name: 'extended', extensions: ['citext', { name: 'unaccent', schema: 'words' }] };
    await applied(database);
    const found =
      "SELECT string_agg(extname || ' ' || nspname, ',' ORDER BY extname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname IN ('citext', 'unaccent')";
    const both = 'citext public,unaccent words';
    expect(await everywhere('extended', found)).toEqual([both, both, both]);
    await settled(database);
  });

  test('one that a registered worker lost comes back', async ({ cluster, applied, settled }) => {
    await query(cluster, 2, 'extended', 'SET citus.enable_ddl_propagation = off; DROP EXTENSION citext');
    await applied({ name: 'extended', extensions: ['citext'] });
    expect(
      await firstValue(cluster, 2, 'extended', "SELECT count(*)::int FROM pg_extension WHERE extname = 'citext'"),
    ).toBe(1);
    await settled({ name: 'extended', extensions: ['citext'] });
  });

  test('another schema than the existing one is refused', async ({ run }) => {
    const outcome = await run('apply', { name: 'extended', extensions: [{ name: 'hstore', schema: 'public' }] });
    expect(outcome.code).toBe(3);
    expect(outcome.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: extended
      ========================================
      PostgreSQL coordinator is ready!
      ERROR: Database 'extended' cannot be made ready: 3 problems
        Cause:
          node0: Extension hstore is in schema 'Tools', not in 'public'
            Next: Declare schema: Tools, or move it by hand: ALTER EXTENSION "hstore" SET SCHEMA "public"
          node1: Extension hstore is in schema 'Tools', not in 'public'
            Next: Declare schema: Tools, or move it by hand: ALTER EXTENSION "hstore" SET SCHEMA "public"
          node2: Extension hstore is in schema 'Tools', not in 'public'
            Next: Declare schema: Tools, or move it by hand: ALTER EXTENSION "hstore" SET SCHEMA "public"
        Next: Correct them and run again. Nothing was changed
      "
    `);
  });

  test('unknown ones are named all at once, for each node, before anything is made', async ({ run, exists }) => {
    const outcome = await run('apply', {
      name: 'lacking',
      extensions: ['no_such_extension', 'hstore', { name: 'pg_trgm', version: '99' }, 'nor_this'],
    });
    expect(outcome.code).toBe(1);
    expect(outcome.log.replaceAll(/\(it has [^)]*\)/g, '(it has VERSIONS)')).toMatchInlineSnapshot(`
      "========================================
      Creating database: lacking
      ========================================
      PostgreSQL coordinator is ready!
      ERROR: Database 'lacking' cannot be made ready: 3 problems
        Cause:
          node0: Not installed on the server: extensions no_such_extension, pg_trgm 99 (it has VERSIONS), nor_this
            Next: Add their packages to the nodes' image (Dockerfile.citus), or take them out of \`extensions\`
          node1: Not installed on the server: extensions no_such_extension, pg_trgm 99 (it has VERSIONS), nor_this
            Next: Add their packages to the nodes' image (Dockerfile.citus), or take them out of \`extensions\`
          node2: Not installed on the server: extensions no_such_extension, pg_trgm 99 (it has VERSIONS), nor_this
            Next: Add their packages to the nodes' image (Dockerfile.citus), or take them out of \`extensions\`
        Next: Correct them and run again. Nothing was changed
      "
    `);
    expect(await exists('lacking')).toEqual(NOWHERE);
  });
});

describe('schemas', () => {
  test('are on every node, with their owners', async ({ cluster, applied, settled }) => {
    await query(cluster, 0, 'postgres', 'CREATE ROLE analyst');
    const database = {
      name: 'divided',
      schemas: [{ name: 'analytics' }, { name: 'Lower & Upper', owner: 'analyst' }],
    };
    await applied(database);
    const expected = expect.arrayContaining(['Lower & Upper analyst', 'analytics postgres']);
    for (const catalog of await catalogsOf(cluster, 'divided')) expect(catalog?.schemas).toEqual(expected);
    await settled(database);
  });

  test('another owner later', async ({ cluster, applied, settled }) => {
    const database = { name: 'divided', schemas: [{ name: 'analytics', owner: 'analyst' }] };
    await applied(database);
    for (const catalog of await catalogsOf(cluster, 'divided')) expect(catalog?.schemas).toContain('analytics analyst');
    await settled(database);
  });
});

describe('parameters', () => {
  test('are set on every node, lists as lists', async ({ cluster, applied, settled }) => {
    const parameters = {
      search_path: 'analytics, "Upper, Case",public',
      timezone: 'America/St_Johns',
      work_mem: '7MB',
      statement_timeout: '90s',
      'my_app.Setting': 'it\'s \\ "so"',
      enable_seqscan: 'off',
      random_page_cost: 1.5,
    };
    const database = { name: 'tuned', parameters };
    const { log } = await applied(database);
    expect(log).toContain("WARNING: Parameter 'statement_timeout' of a database also ends Citus' own long statements");
    const shown = `SELECT jsonb_build_array(current_setting('search_path'), current_setting('timezone'),
      current_setting('work_mem'), current_setting('statement_timeout'), current_setting('my_app.setting'),
      current_setting('enable_seqscan'), current_setting('random_page_cost'))`;
    const values = [
      'analytics, "Upper, Case", public',
      'America/St_Johns',
      '7MB',
      '90s',
      'it\'s \\ "so"',
      'off',
      '1.5',
    ];
    for (const { group } of cluster.nodes) {
      const client = await connect(cluster, group, 'tuned');
      const { rows } = await client.query(shown);
      await client.end();
      expect(Object.values(rows[0])[0]).toEqual(values);
    }
    await settled(database);
  });

  test('every parameter that this server keeps as a list of quoted items is set as one', async ({
    cluster,
    applied,
    everywhere,
    settled,
  }) => {
    await query(cluster, 0, 'postgres', 'CREATE DATABASE lists');
    // As one literal, such a parameter gets one item with a comma in it.
    await query(
      cluster,
      0,
      'postgres',
      `DO $$ DECLARE parameter text; BEGIN
         FOR parameter IN SELECT name FROM pg_settings WHERE vartype = 'string' AND context IN ('user', 'superuser') LOOP
           BEGIN
             EXECUTE format('ALTER DATABASE lists SET %s = %L', parameter, 'a, b');
           EXCEPTION WHEN OTHERS THEN NULL; END;
         END LOOP;
       END $$`,
    );
    const quoted = `SELECT split_part(entry, '=', 1) FROM pg_db_role_setting s, unnest(s.setconfig) entry
      WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'lists') AND entry LIKE '%="a, b"'`;
    const names = await list(cluster, 0, 'postgres', quoted);
    expect(names).toContain('search_path');
    expect(names.map((name) => parameterValueSql(name, 'a, b'))).toEqual(names.map(() => "'a', 'b'"));
    await query(cluster, 0, 'postgres', 'DROP DATABASE lists');

    if (!names.includes('output_plugin_libraries')) return;
    const plugins = { name: 'plugins', parameters: { output_plugin_libraries: 'pgoutput, citus' } };
    await applied(plugins);
    expect(await everywhere('plugins', 'SHOW output_plugin_libraries')).toEqual(Array(3).fill('pgoutput, citus'));
    await settled(plugins);
  });

  test('what somebody else changed is set again, what the spec does not name stays', async ({ cluster, applied }) => {
    await query(
      cluster,
      2,
      'postgres',
      "ALTER DATABASE tuned SET work_mem = '1MB'; ALTER DATABASE tuned SET lock_timeout = '5s'",
    );
    const { log } = await applied({ name: 'tuned', parameters: { work_mem: '7MB' } });
    expect(log).toContain('Database parameters set on node2!');
    expect((await catalogOf(cluster, 2, 'tuned'))?.parameters).toEqual(
      expect.arrayContaining(['work_mem=7MB', 'lock_timeout=5s']),
    );
  });

  test('the same value in another notation is not set again', async ({ settled }) => {
    await settled({ name: 'tuned', parameters: { WORK_MEM: '7MB', enable_seqscan: 'off' } });
  });

  test('what a database cannot hold is refused with the reason, all of it at once', async ({ run, exists }) => {
    const outcome = await run('apply', {
      name: 'untuned',
      parameters: {
        max_connections: '200',
        no_such_parameter: 'x',
        wal_level: 'logical',
        log_connections: 'on',
        checkpoint_timeout: '5min',
      },
    });
    expect(outcome.code).toBe(2);
    expect(outcome.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: untuned
      ========================================
      PostgreSQL coordinator is ready!
      ERROR: Database 'untuned' cannot be made ready: 5 problems
        Cause:
          Parameter 'max_connections' cannot belong to a database: it is set when the server starts
            Next: Take it out of \`parameters\` and set it for the servers (patroni.postgresql.parameters in the chart)
          Parameter 'no_such_parameter' is unknown to this PostgreSQL
            Next: Correct its name in \`parameters\`
          Parameter 'wal_level' cannot belong to a database: it is set when the server starts
            Next: Take it out of \`parameters\` and set it for the servers (patroni.postgresql.parameters in the chart)
          Parameter 'log_connections' cannot belong to a database: it can only be set when a connection is opened
            Next: Take it out of \`parameters\` and set it for the servers (patroni.postgresql.parameters in the chart)
          Parameter 'checkpoint_timeout' cannot belong to a database: it is read from the server's configuration only
            Next: Take it out of \`parameters\` and set it for the servers (patroni.postgresql.parameters in the chart)
        Next: Correct them and run again. Nothing was changed
      "
    `);
    expect(await exists('untuned')).toEqual(NOWHERE);
  });

  test('a value that PostgreSQL does not take', async ({ run }) => {
    const outcome = await run('apply', { name: 'untuned', parameters: { work_mem: 'plenty' } });
    expect(outcome.log.slice(outcome.log.indexOf('ERROR'))).toMatchInlineSnapshot(`
      "ERROR: 3 things failed at the same time
        Cause:
          Failed to set parameter work_mem (node node0)
            Cause: invalid value for parameter "work_mem": "plenty" (SQLSTATE 22023)
            Next: Correct the value in \`parameters\`
          Failed to set parameter work_mem (node node1)
            Cause: invalid value for parameter "work_mem": "plenty" (SQLSTATE 22023)
            Next: Correct the value in \`parameters\`
          Failed to set parameter work_mem (node node2)
            Cause: invalid value for parameter "work_mem": "plenty" (SQLSTATE 22023)
            Next: Correct the value in \`parameters\`
        Next: Remove the causes and run again: what is done stays done
      "
    `);
    expect(outcome.code).toBe(2);
  });

  test("settings of pg_partman's worker are left to the servers, with a warning", async ({ cluster, applied }) => {
    const { log } = await applied({ name: 'partman', parameters: { 'pg_partman_bgw.dbname': 'partman' } });
    expect(log).toContain("WARNING: Parameter 'pg_partman_bgw.dbname' was not set");
    expect((await catalogOf(cluster, 0, 'partman'))?.parameters).toEqual([]);
  });
});

describe('several databases', () => {
  test('one that fails does not stop the others; what a retry may mend decides the exit code', async ({ run }) => {
    const refused = { name: 'extended', extensions: [{ name: 'hstore', schema: 'public' }] };
    const wrong = { name: 'orphan', owner: 'nobody_here' };
    const failing = { name: 'lacking', extensions: ['no_such_extension'] };
    const good = { name: 'good' };
    const all = await run('apply', wrong, refused, failing, good);
    expect(all.code).toBe(1);
    expect(all.log).toContain("Database 'good' is ready!");
    expect(all.log.slice(all.log.indexOf('ERROR: 3 of 4'))).toMatchInlineSnapshot(`
      "ERROR: 3 of 4 databases are not ready: 'orphan', 'extended', 'lacking'
        Next: Look above for the reason of each
      "
    `);
    expect((await run('apply', wrong, refused, good)).code).toBe(3);
    expect((await run('apply', wrong, good)).code).toBe(2);
    expect((await run('plan', wrong, good)).code).toBe(2);
  });

  test('as a map keyed by name', async ({ cluster, exists }) => {
    const spec = specOf(cluster, { mapped: { extensions: ['hstore'] }, second: {} });
    const outcome = await runProgram(cluster, ['apply'], spec);
    expect(outcome).toMatchObject({ code: 0, log: expect.stringContaining("Database 'second' is ready!") });
    expect(await exists('mapped')).toEqual([true, true, true]);
  });
});

test('workers that the spec does not name are discovered', async ({ cluster, exists }) => {
  await withCitus(cluster, 'citus');
  const { cluster: part } = specOf(cluster, []);
  const { workers: _, ...withoutWorkers } = part as Document;
  const outcome = await runProgram(cluster, ['apply'], { cluster: withoutWorkers, databases: [{ name: 'found' }] });
  expect(outcome.code).toBe(0);
  expect(await exists('found')).toEqual([true, true, true]);
});
