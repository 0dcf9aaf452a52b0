import { describe, expect } from 'vitest';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

const test = clusterTest({ workers: 2 });

let first: Outcome;

const DATABASE = {
  name: 'skymap',
  owner: 'postgres',
  maxAttempts: 60,
  retryDelaySeconds: 5,
  backoffLimit: 3,
  workerGroups: ['1', '2'],
  extensions: ['hstore', 'pg_trgm'],
  initSQL: `CREATE SCHEMA analytics;
CREATE ROLE readonly WITH LOGIN PASSWORD 'changeme';
GRANT CONNECT ON DATABASE skymap TO readonly;

CREATE TABLE analytics.events (
  event_id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  PRIMARY KEY (event_id, user_id)
);
SELECT create_distributed_table('analytics.events', 'user_id');
`,
  parameters: { timezone: 'Europe/Zurich', search_path: 'analytics,public', 'pg_partman_bgw.dbname': 'skymap' },
};

test.beforeAll(async ({ cluster, program }) => {
  first = await program.run(cluster, ['apply'], specOf(cluster, [DATABASE]));
});

describe('the first run', () => {
  test('its log', () => {
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    expect(first.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: skymap
      ========================================
      PostgreSQL coordinator is ready!

      Step 1: Creating database 'skymap' on worker nodes first...
        Configuring worker: node1
          Worker node1 is ready!
          Creating database 'skymap' on node1...
          Database created successfully on node1!
          Enabling Citus extension on node1...
          Enabling extension hstore on node1...
          Enabling extension pg_trgm on node1...
          Worker node1 configured successfully!
        Configuring worker: node2
          Worker node2 is ready!
          Creating database 'skymap' on node2...
          Database created successfully on node2!
          Enabling Citus extension on node2...
          Enabling extension hstore on node2...
          Enabling extension pg_trgm on node2...
          Worker node2 configured successfully!

      Step 2: Creating database 'skymap' on coordinator...
        Database 'skymap' created successfully on coordinator!

      Step 3: Enabling Citus extension on coordinator...
        Citus extension enabled on coordinator!

      Step 4: Enabling additional extensions on coordinator...
        - Enabling extension: hstore
        - Enabling extension: pg_trgm
        Additional extensions enabled on coordinator!

      Step 5: Configuring SSL certificate authentication (pg_dist_authinfo)...
        Current citus.node_conninfo: sslmode=MODE
        SSL is not enabled in the spec: nodes log in with the password alone
        Configuring authentication for coordinator (nodeid=0)...
        Coordinator authentication configured!
        Written on node0, node1, node2: nodeid 0 stands for every node

      Step 6: Adding worker nodes to Citus metadata...
        Registering coordinator as: node0
        Adding worker: node1
        Adding worker: node2
        Workers added successfully!

      Step 7: Running custom initialization SQL...
        Line 1: CREATE SCHEMA analytics
        Line 2: CREATE ROLE readonly WITH LOGIN PASSWORD '***'
        Line 3: GRANT CONNECT ON DATABASE skymap TO readonly
        Line 5: CREATE TABLE analytics.events ( event_id BIGINT NOT NULL, user_id BIGINT NOT NULL, PRIMARY KEY (eve…
        Line 10: SELECT create_distributed_table('analytics.events', 'user_id')
        Custom SQL executed successfully!

      Step 8: Setting database parameters...
        WARNING: Parameter 'pg_partman_bgw.dbname' was not set: pg_partman's background worker reads it from the server's configuration, a database cannot hold it; put it into patroni.postgresql.parameters
        Set parameter timezone of database "skymap" to 'Europe/Zurich'
        Set parameter search_path of database "skymap" to 'analytics,public'
        Database parameters set on node0, node1, node2!

      Verifying database 'skymap' from every node...
        ✓ 3 nodes, 9 of 9 connections between them work
        ✓ a distributed table was created, written and read on every worker, and rolled back

      ========================================
      Database 'skymap' is ready!
      ========================================
      "
    `);
  });

  test('the catalog of every node', async ({ cluster }) => {
    const catalogs = await catalogsOf(cluster, 'skymap');
    const [coordinator] = catalogs;
    expect(coordinator).toMatchObject({
      owner: 'postgres',
      nodes: ['1 0 node0 t t', '2 1 node1 t t', '3 2 node2 t t'],
      authinfo: ['0 postgres'],
      parameters: ['TimeZone=Europe/Zurich', 'search_path=analytics, public'],
      tables: ['events h'],
    });
    expect(coordinator?.extensions.map((extension) => extension.split(' ')[0])).toEqual(
      expect.arrayContaining(['citus', 'hstore', 'pg_trgm']),
    );
    expect(catalogs.map((catalog) => catalog?.localGroup)).toEqual([0, 1, 2]);
    for (const [group, catalog] of catalogs.entries()) {
      expect(catalog).toEqual({
        ...coordinator,
        localGroup: group,
        schemas: expect.arrayContaining(['analytics postgres']),
      });
    }
  });

  test('what the parameters do in a new session', async ({ cluster }) => {
    for (const { group } of cluster.nodes) {
      const shown = await query(
        cluster,
        group,
        'skymap',
        "SELECT current_setting('timezone') AS zone, current_schemas(false)::text AS path",
      );
      expect(shown).toEqual([{ zone: 'Europe/Zurich', path: '{analytics,public}' }]);
    }
  });

  test('a distributed table, written through the coordinator, can be read from every node', async ({ cluster }) => {
    await query(cluster, 0, 'skymap', 'INSERT INTO events SELECT i, i FROM generate_series(1, 100) i');
    for (const { group } of cluster.nodes) {
      expect(await firstValue(cluster, group, 'skymap', 'SELECT count(*)::int FROM events')).toBe(100);
    }
  });

  test('every link between nodes is healthy', async ({ cluster }) => {
    const links = await query(cluster, 0, 'skymap', 'SELECT * FROM citus_check_cluster_node_health()');
    expect(links).toHaveLength(9);
    expect(links.filter(({ result }) => result !== true)).toEqual([]);
  });
});

describe('the second run', () => {
  test('changes nothing, and says so on one screen', async ({ cluster, program }) => {
    const before = await catalogsOf(cluster, 'skymap');
    const second = await program.run(cluster, ['apply'], specOf(cluster, [DATABASE]));
    expect(second.code).toBe(0);
    expect(second.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: skymap
      ========================================
      PostgreSQL coordinator is ready!

      Step 1: Creating database 'skymap' on worker nodes first...
        node1, node2: ready; database 'skymap' and its extensions already exist

      Step 2: Creating database 'skymap' on coordinator...
        Database 'skymap' already exists on coordinator

      Step 3: Enabling Citus extension on coordinator...
        Citus extension VERSION already exists on coordinator

      Step 4: Enabling additional extensions on coordinator...
        Already enabled: hstore 1.8, pg_trgm 1.6

      Step 5: Configuring SSL certificate authentication (pg_dist_authinfo)...
        Current citus.node_conninfo: sslmode=MODE
        SSL is not enabled in the spec: nodes log in with the password alone
        Authentication between nodes is already configured on every node

      Step 6: Adding worker nodes to Citus metadata...
        2 workers are already registered

      Step 7: Running custom initialization SQL...
        Custom SQL was already executed

      Step 8: Setting database parameters...
        WARNING: Parameter 'pg_partman_bgw.dbname' was not set: pg_partman's background worker reads it from the server's configuration, a database cannot hold it; put it into patroni.postgresql.parameters
        Database parameters are already set

      Verifying database 'skymap' from every node...
        ✓ 3 nodes, 9 of 9 connections between them work

      Nothing was changed
      ========================================
      Database 'skymap' is ready!
      ========================================
      "
    `);
    expect(second.log.split('\n').length).toBeLessThanOrEqual(40);
    expect(await catalogsOf(cluster, 'skymap')).toEqual(before);
    expect(await firstValue(cluster, 0, 'skymap', 'SELECT count(*)::int FROM events')).toBe(100);
  });

  test('is announced empty by plan', async ({ cluster }) => {
    const plan = await runProgram(cluster, ['plan'], specOf(cluster, [DATABASE]));
    expect(plan).toMatchObject({ code: 0, stderr: '' });
    expect(plan.log).toMatchInlineSnapshot(`
      "Database 'skymap'
        WARNING: Parameter 'pg_partman_bgw.dbname' was not set: pg_partman's background worker reads it from the server's configuration, a database cannot hold it; put it into patroni.postgresql.parameters
        Nothing to do
      "
    `);
  });
});

test('verify proves it from every node', async ({ cluster }) => {
  const verify = await runProgram(cluster, ['verify'], specOf(cluster, [DATABASE]));
  expect(verify.code).toBe(0);
  expect(verify.log).toMatchInlineSnapshot(`
    "Verifying database 'skymap' from every node...
      ✓ 3 nodes, 9 of 9 connections between them work
      ✓ a distributed table was created, written and read on every worker, and rolled back
    Database 'skymap' is ready!
    "
  `);
});

test('verify --output json has standard output to itself', async ({ cluster }) => {
  const verify = await runProgram(cluster, ['verify', '--output', 'json'], specOf(cluster, [DATABASE]));
  expect(verify.code).toBe(0);
  expect(JSON.parse(verify.stdout)).toEqual({
    ready: true,
    databases: [{ database: 'skymap', ready: true, nodes: 3, links: 9, findings: [] }],
  });
});

test('plan of a database that does not exist', async ({ cluster }) => {
  const spec = specOf(cluster, [{ ...DATABASE, name: 'next' }]);
  const plan = await runProgram(cluster, ['plan'], spec);
  expect(plan.code).toBe(10);
  expect(plan.log).toMatchInlineSnapshot(`
    "! Not in this spec, though this program created it: database 'skymap'. apply leaves it as it is; to drop it: citus-databases drop skymap --confirm skymap

    Database 'next' does not exist yet; the plan takes it to be empty
      WARNING: Parameter 'pg_partman_bgw.dbname' was not set: pg_partman's background worker reads it from the server's configuration, a database cannot hold it; put it into patroni.postgresql.parameters

    Step 1: Create database 'next' on worker nodes first
      + node0: record that this program creates database "next" (citus_databases.managed_database)
      + node1: create database "next" owned by "postgres"
      + node1: create extension citus
      + node1: create extension hstore
      + node1: create extension pg_trgm
      + node2: create database "next" owned by "postgres"
      + node2: create extension citus
      + node2: create extension hstore
      + node2: create extension pg_trgm

    Step 2: Create database 'next' on the coordinator
      + node0: create database "next" owned by "postgres"
      ~ node0: record the OID of database "next" (citus_databases.managed_database)

    Step 3: Enable the Citus extension on the coordinator
      + node0: create extension citus

    Step 4: Enable additional extensions on the coordinator
      + node0: create extension hstore
      + node0: create extension pg_trgm

    Step 5: Configure authentication between nodes (pg_dist_authinfo)
      + node0: write the pg_dist_authinfo row of role "postgres"
      + node1: write the pg_dist_authinfo row of role "postgres"
      + node2: write the pg_dist_authinfo row of role "postgres"

    Step 6: Add worker nodes to Citus metadata
      + node0: register the coordinator as node0
      + node0: register node1 (group 1), node2 (group 2)

    Step 7: Run custom initialization SQL
      + node0: execute line 1: CREATE SCHEMA analytics
      + node0: execute line 2: CREATE ROLE readonly WITH LOGIN PASSWORD '***'
      + node0: execute line 3: GRANT CONNECT ON DATABASE skymap TO readonly
      + node0: execute line 5: CREATE TABLE analytics.events ( event_id BIGINT NOT NULL, user_id BIGINT NOT NULL, PRIMARY KEY (eve…
      + node0: execute line 10: SELECT create_distributed_table('analytics.events', 'user_id')

    Step 8: Set database parameters
      ~ node0: set parameter timezone of database "next" to 'Europe/Zurich'
      ~ node0: set parameter search_path of database "next" to 'analytics,public'
      ~ node1: set parameter timezone of database "next" to 'Europe/Zurich'
      ~ node1: set parameter search_path of database "next" to 'analytics,public'
      ~ node2: set parameter timezone of database "next" to 'Europe/Zurich'
      ~ node2: set parameter search_path of database "next" to 'analytics,public'

    30 to change on 3 nodes. Nothing has been changed yet.
    "
  `);
  expect(await catalogsOf(cluster, 'next')).toEqual([undefined, undefined, undefined]);
  const json = await runProgram(cluster, ['plan', '--output', 'json'], spec);
  expect(json.code).toBe(10);
  expect(JSON.parse(json.stdout)).toMatchObject({
    changes: true,
    databases: [{ database: 'next', absent: true }],
    undeclared: ['skymap'],
  });
});
