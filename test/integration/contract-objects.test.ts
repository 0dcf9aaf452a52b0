/**
 * The second half of the contract: what happens to roles, extensions, schemas and tables, and how functions and catalogs
 * are spelt. See contract.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authinfoInsert, type LocalCluster, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import { addNode, citusVersion, contractKinds, outcome, prepare } from '../support/contract.ts';

describe.each(await contractKinds())('Objects in Citus as the program knows it (%s)', (kind) => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startLocalCluster({ workers: 2, citus: kind });
    console.log(`Contract suite (objects) on ${cluster.description}`);
  });
  afterAll(async () => cluster.stop());

  test('leaves roles and grants of a database without citus where they are', async () => {
    await prepare(cluster, 'roles', { workers: [1] });
    await query(cluster, 0, 'postgres', 'CREATE ROLE only_here LOGIN; GRANT CONNECT ON DATABASE roles TO only_here');
    await query(cluster, 0, 'roles', `SELECT ${addNode(cluster, 2)}`);
    await query(cluster, 1, 'postgres', 'CREATE ROLE elsewhere');
    expect(await outcome(cluster, 1, 'postgres', `SELECT FROM pg_roles WHERE rolname = 'only_here'`)).toEqual({
      rows: [],
    });
    expect(await outcome(cluster, 0, 'postgres', `SELECT FROM pg_roles WHERE rolname = 'elsewhere'`)).toEqual({
      rows: [],
    });
  });

  test('leaves extensions made before citus out, and takes those made after it to new workers', async () => {
    await prepare(cluster, 'order', { citus: [1, 2] });
    await query(cluster, 0, 'order', 'CREATE EXTENSION hstore');
    await query(cluster, 0, 'order', 'CREATE EXTENSION citus');
    await query(cluster, 0, 'order', `CREATE SCHEMA trgm; CREATE EXTENSION pg_trgm SCHEMA trgm VERSION '1.5'`);
    const { host, port } = nodeOf(cluster, 0);
    await query(cluster, 0, 'order', `SELECT citus_set_coordinator_host('${host}', ${port})`);
    await query(cluster, 0, 'order', authinfoInsert(cluster));
    await query(cluster, 0, 'order', `SELECT ${addNode(cluster, 1)}`);
    expect(
      await outcome(
        cluster,
        0,
        'order',
        `SELECT extname FROM pg_extension JOIN pg_dist_object ON classid = 'pg_extension'::regclass AND objid = pg_extension.oid`,
      ),
    ).toEqual({ rows: [{ extname: 'pg_trgm' }] });
    expect(await extensions('order', 1)).toEqual({ rows: [{ extname: 'pg_trgm', schema: 'trgm', extversion: '1.5' }] });
    await query(cluster, 0, 'order', 'ALTER EXTENSION pg_trgm UPDATE; ALTER EXTENSION pg_trgm SET SCHEMA public');
    expect(await extensions('order', 1)).toEqual({
      rows: [{ extname: 'pg_trgm', schema: 'public', extversion: '1.6' }],
    });
    await query(cluster, 0, 'order', 'DROP EXTENSION pg_trgm; DROP SCHEMA trgm');
    expect(await extensions('order', 1)).toEqual({ rows: [] });
    expect(await outcome(cluster, 1, 'order', `SELECT FROM pg_namespace WHERE nspname = 'trgm'`)).toEqual({ rows: [] });
  });

  test('takes schemas, their owners and grants to the workers, unless told not to', async () => {
    await prepare(cluster, 'schemas', { workers: [1] });
    for (const group of [0, 1, 2]) await query(cluster, group, 'postgres', 'CREATE ROLE shared');
    await query(cluster, 0, 'schemas', 'CREATE SCHEMA mine; GRANT USAGE ON SCHEMA mine TO shared');
    await query(cluster, 0, 'schemas', 'CREATE SCHEMA AUTHORIZATION shared');
    await query(
      cluster,
      0,
      'schemas',
      'BEGIN; SET LOCAL citus.enable_ddl_propagation = off; CREATE SCHEMA hidden; COMMIT',
    );
    await query(cluster, 0, 'schemas', 'BEGIN; CREATE SCHEMA undone; ROLLBACK');
    const schemas = `SELECT nspname, nspowner::regrole::text AS owner, has_schema_privilege('shared', oid, 'USAGE') AS usage
      FROM pg_namespace WHERE nspname IN ('mine', 'shared', 'hidden', 'undone') ORDER BY nspname`;
    expect(await outcome(cluster, 1, 'schemas', schemas)).toEqual({
      rows: [
        { nspname: 'mine', owner: 'postgres', usage: true },
        { nspname: 'shared', owner: 'shared', usage: true },
      ],
    });
  });

  test('distributes a table that every node can read and write', async () => {
    await prepare(cluster, 'tables', { workers: [1, 2] });
    await query(
      cluster,
      0,
      'tables',
      'CREATE SCHEMA "Ünï"; CREATE TABLE "Ünï"."a""b" (id int PRIMARY KEY, "Välue" text)',
    );
    await query(cluster, 0, 'tables', `SELECT create_distributed_table('"Ünï"."a""b"', 'id', shard_count => 4)`);
    await query(cluster, 0, 'tables', `INSERT INTO "Ünï"."a""b" SELECT g, 'x' || g FROM generate_series(1, 20) g`);
    await query(cluster, 2, 'tables', `INSERT INTO "Ünï"."a""b" VALUES (21, 'it''s')`);
    await query(cluster, 1, 'tables', `UPDATE "Ünï"."a""b" SET "Välue" = 'changed' WHERE id = 21`);
    await query(cluster, 1, 'tables', 'DELETE FROM "Ünï"."a""b" WHERE id = 1');
    const read = `SELECT count(*)::int AS rows, max("Välue") FILTER (WHERE id = 21) AS value FROM "Ünï"."a""b"`;
    const metadata = 'SELECT partmethod, (SELECT count(*)::int FROM pg_dist_shard) AS shards FROM pg_dist_partition';
    for (const group of [0, 1, 2]) {
      expect(await outcome(cluster, group, 'tables', read)).toEqual({ rows: [{ rows: 20, value: 'changed' }] });
      expect(await outcome(cluster, group, 'tables', metadata)).toEqual({ rows: [{ partmethod: 'h', shards: 4 }] });
    }
    await query(cluster, 0, 'tables', 'DROP TABLE "Ünï"."a""b"');
    const gone = `SELECT to_regclass('"Ünï"."a""b"') AS relation, (SELECT count(*)::int FROM pg_dist_partition) AS tables`;
    for (const group of [0, 1, 2]) {
      expect(await outcome(cluster, group, 'tables', gone)).toEqual({ rows: [{ relation: null, tables: 0 }] });
    }
  });

  test('undoes a distributed table with its transaction, after rows could be written and read', async () => {
    await prepare(cluster, 'probe', { workers: [1, 2] });
    const probe = [
      'BEGIN',
      'CREATE SCHEMA probe',
      'CREATE TABLE probe.t (id int8 NOT NULL)',
      `SELECT create_distributed_table('probe.t', 'id', shard_count => 2, colocate_with => 'none')`,
      'INSERT INTO probe.t SELECT generate_series(1, 10)',
      'SELECT count(*)::int FROM probe.t',
    ].join(';');
    expect(await outcome(cluster, 0, 'probe', probe)).toEqual({ rows: [{ count: 10 }] });
    for (const group of [0, 1, 2]) {
      expect(await outcome(cluster, group, 'probe', `SELECT FROM pg_namespace WHERE nspname = 'probe'`)).toEqual({
        rows: [],
      });
      expect(await outcome(cluster, group, 'probe', 'SELECT FROM pg_dist_partition')).toEqual({ rows: [] });
    }
  });

  test('has reference tables', async () => {
    await prepare(cluster, 'reference', { workers: [1] });
    await query(cluster, 0, 'reference', `CREATE TABLE ref (id int PRIMARY KEY); SELECT create_reference_table('ref')`);
    await query(cluster, 0, 'reference', 'INSERT INTO ref VALUES (1), (2)');
    const read = 'SELECT count(*)::int AS rows, (SELECT partmethod FROM pg_dist_partition) AS method FROM ref';
    for (const group of [0, 1]) {
      expect(await outcome(cluster, group, 'reference', read)).toEqual({ rows: [{ rows: 2, method: 'n' }] });
    }
  });

  test('refuses to distribute what it cannot', async () => {
    await prepare(cluster, 'refused', { workers: [1] });
    await query(
      cluster,
      0,
      'refused',
      `CREATE TABLE t (id int); SELECT create_distributed_table('t', 'id'); CREATE TABLE u (id int)`,
    );
    const distribute = (table: string, column: string) =>
      outcome(cluster, 0, 'refused', `SELECT create_distributed_table('${table}', '${column}')`);
    expect(await distribute('t', 'id')).toEqual({ code: '42P16', message: 'table "t" is already distributed' });
    expect(await distribute('u', 'nothing')).toEqual({
      code: '42703',
      message: 'column "nothing" of relation "u" does not exist',
    });
    expect(await distribute('nowhere', 'id')).toEqual({ code: '42P01', message: 'relation "nowhere" does not exist' });
    expect(await distribute('pg_class', 'oid')).toEqual({
      code: '0A000',
      message: 'cannot create a citus table from a catalog table',
    });
  });

  test('cannot distribute a table for an owner who may not log in', async () => {
    await prepare(cluster, 'nologin', { workers: [1] });
    for (const group of [0, 1, 2]) await query(cluster, group, 'postgres', 'CREATE ROLE nologin_owner NOLOGIN');
    await query(cluster, 0, 'nologin', 'GRANT CREATE ON SCHEMA public TO nologin_owner');
    const distribute = `SET ROLE nologin_owner; CREATE TABLE t (id int); SELECT create_distributed_table('t', 'id')`;
    const failed = 'connection to the remote node nologin_owner@127.0.0.1:PORT1 failed with the following error:';
    expect(await outcome(cluster, 0, 'nologin', distribute)).toEqual({
      code: '08006',
      message: `${failed} fe_sendauth: no password supplied`,
    });
    for (const group of [0, 1, 2]) await query(cluster, group, 'postgres', `ALTER ROLE nologin_owner PASSWORD 'x'`);
    await query(cluster, 0, 'nologin', `INSERT INTO pg_dist_authinfo VALUES (0, 'nologin_owner', 'password=x')`);
    expect(await outcome(cluster, 0, 'nologin', distribute)).toEqual({
      code: '08006',
      message: `${failed} FATAL:  role "nologin_owner" is not permitted to log in`,
    });
  });

  test('needs an authinfo row of their own for application roles, on every node', async () => {
    await prepare(cluster, 'application', { workers: [1, 2] });
    const app = { name: 'app', password: 'app password' };
    for (const group of [0, 1, 2])
      await query(cluster, group, 'postgres', `CREATE ROLE app LOGIN PASSWORD 'app password'`);
    await query(cluster, 0, 'application', 'GRANT CREATE ON SCHEMA public TO app');
    await query(
      cluster,
      0,
      'application',
      `CREATE TABLE t (id int); SELECT create_distributed_table('t', 'id'); GRANT SELECT ON t TO app`,
    );
    expect(await outcome(cluster, 1, 'application', 'SELECT count(*) FROM t', app)).toMatchObject({
      code: '08006',
      message: expect.stringMatching(
        /^connection to the remote node app@127\.0\.0\.1:PORT\d failed .*: fe_sendauth: no password supplied$/,
      ),
    });
    const row = `INSERT INTO pg_dist_authinfo VALUES (0, 'app', 'password=''app password''')`;
    for (const group of [0, 1, 2]) await query(cluster, group, 'application', row);
    expect(await outcome(cluster, 1, 'application', 'SELECT count(*)::int FROM t', app)).toEqual({
      rows: [{ count: 0 }],
    });
    const own = `CREATE TABLE own (id int); SELECT create_distributed_table('own', 'id'); INSERT INTO own VALUES (1), (2)`;
    expect(await outcome(cluster, 0, 'application', own, app)).toEqual({ rows: [] });
    expect(await outcome(cluster, 2, 'application', 'SELECT count(*)::int FROM own', app)).toEqual({
      rows: [{ count: 2 }],
    });
    expect(await outcome(cluster, 0, 'application', 'SELECT FROM pg_dist_authinfo', app)).toMatchObject({
      code: '42501',
    });
    expect(await outcome(cluster, 0, 'application', `SELECT ${addNode(cluster, 1)}`, app)).toMatchObject({
      code: '42501',
    });
  });

  test('fails commands that a worker has to follow while it is down', async () => {
    await prepare(cluster, 'down', { workers: [1, 2] });
    await nodeOf(cluster, 2).stop('immediate');
    try {
      const refused = {
        code: '08006',
        message: expect.stringContaining(
          'connection to the remote node postgres@127.0.0.1:PORT2 failed with the following error: Connection refused',
        ),
      };
      expect(await outcome(cluster, 0, 'down', 'CREATE SCHEMA s')).toMatchObject(refused);
      expect(await outcome(cluster, 0, 'down', 'CREATE EXTENSION hstore')).toMatchObject(refused);
      expect(
        await outcome(cluster, 0, 'down', `CREATE TABLE t (id int); SELECT create_distributed_table('t', 'id')`),
      ).toMatchObject(refused);
      expect(
        await outcome(
          cluster,
          0,
          'down',
          `SELECT success, result FROM run_command_on_all_nodes('SELECT 1') ORDER BY nodeid`,
        ),
      ).toEqual({
        rows: [
          { success: true, result: '1' },
          { success: true, result: '1' },
          { success: false, result: 'failed to connect to 127.0.0.1:PORT2' },
        ],
      });
    } finally {
      await nodeOf(cluster, 2).start();
    }
    expect(await outcome(cluster, 0, 'down', 'CREATE SCHEMA s')).toEqual({ rows: [] });
  });

  test.each([
    ['SELECT 41 + 1', true, '42'],
    ['SELECT NULL', true, ''],
    ['SELECT 1 WHERE false', true, ''],
    ['SET work_mem = 100', true, 'SET'],
    ['SHOW in_hot_standby', true, 'off'],
    ["SELECT concat(current_setting('in_hot_standby'), ' ', 1)", true, 'off 1'],
    ['SELECT 1 / 0', false, 'ERROR:  division by zero'],
    ['SELECT 1, 2', false, 'expected a single column in query target'],
    ['SELECT generate_series(1, 2)', false, 'expected a single row in query result'],
  ])('runs %j on a node', async (command, success, result) => {
    const exists = await query(cluster, 0, 'postgres', `SELECT FROM pg_database WHERE datname = 'commands'`);
    if (exists.length === 0) await prepare(cluster, 'commands');
    const run = `SELECT success, result FROM run_command_on_all_nodes($c$${command}$c$)`;
    expect(await outcome(cluster, 0, 'commands', run)).toEqual({ rows: [{ success, result }] });
  });

  test('spells its functions so', async () => {
    await prepare(cluster, 'functions');
    const signatures = `SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' || pg_get_function_result(p.oid) AS signature
      FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND p.proname IN (
        'citus_version', 'citus_add_node', 'citus_set_coordinator_host', 'citus_activate_node', 'citus_remove_node', 'citus_update_node',
        'citus_get_active_worker_nodes', 'citus_check_cluster_node_health', 'citus_check_connection_to_node', 'run_command_on_all_nodes',
        'run_command_on_workers', 'run_command_on_coordinator', 'create_distributed_table', 'create_reference_table', 'master_add_node')
      ORDER BY p.proname COLLATE "C"`;
    const rows = await query(cluster, 0, 'functions', signatures);
    expect(rows.map((row) => row['signature'])).toEqual([
      'citus_activate_node(nodename text, nodeport integer) integer',
      `citus_add_node(nodename text, nodeport integer, groupid integer DEFAULT '-1'::integer, noderole noderole DEFAULT 'primary'::noderole, nodecluster name DEFAULT 'default'::name) integer`,
      'citus_check_cluster_node_health(OUT from_nodename text, OUT from_nodeport integer, OUT to_nodename text, OUT to_nodeport integer, OUT result boolean) SETOF record',
      'citus_check_connection_to_node(nodename text, nodeport integer DEFAULT 5432) boolean',
      'citus_get_active_worker_nodes(OUT node_name text, OUT node_port bigint) SETOF record',
      'citus_remove_node(nodename text, nodeport integer) void',
      `citus_set_coordinator_host(host text, port integer DEFAULT (current_setting('port'::text))::integer, node_role noderole DEFAULT 'primary'::noderole, node_cluster name DEFAULT 'default'::name) void`,
      'citus_update_node(node_id integer, new_node_name text, new_node_port integer, force boolean DEFAULT false, lock_cooldown integer DEFAULT 10000) void',
      'citus_version() text',
      `create_distributed_table(table_name regclass, distribution_column text, distribution_type citus.distribution_type DEFAULT 'hash'::citus.distribution_type, colocate_with text DEFAULT 'default'::text, shard_count integer DEFAULT NULL::integer) void`,
      'create_reference_table(table_name regclass) void',
      `master_add_node(nodename text, nodeport integer, groupid integer DEFAULT '-1'::integer, noderole noderole DEFAULT 'primary'::noderole, nodecluster name DEFAULT 'default'::name) integer`,
      'run_command_on_all_nodes(command text, parallel boolean DEFAULT true, give_warning_for_connection_errors boolean DEFAULT false, OUT nodeid integer, OUT success boolean, OUT result text) SETOF record',
      'run_command_on_coordinator(command text, give_warning_for_connection_errors boolean DEFAULT false, OUT nodeid integer, OUT success boolean, OUT result text) SETOF record',
      'run_command_on_workers(command text, parallel boolean DEFAULT true, OUT nodename text, OUT nodeport integer, OUT success boolean, OUT result text) SETOF record',
    ]);
  });

  test('spells its catalogs so', async () => {
    await prepare(cluster, 'catalogs');
    const columns = `SELECT c.relname AS name, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attname) AS columns
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname IN ('pg_dist_node', 'pg_dist_local_group', 'pg_dist_authinfo',
        'pg_dist_partition', 'pg_dist_shard', 'pg_dist_placement', 'pg_dist_object', 'pg_dist_node_metadata')
      GROUP BY c.relname ORDER BY c.relname`;
    // Clones of nodes came with 13.2 (Citus: sql/citus--13.1-1--13.2-1.sql).
    const [isClone, primary] =
      (await citusVersion(cluster)) < 13.2 ? ['', ''] : [' nodeisclone boolean,', ' nodeprimarynodeid integer,'];
    expect(await query(cluster, 0, 'catalogs', columns)).toEqual([
      { name: 'pg_dist_authinfo', columns: 'authinfo text, nodeid integer, rolename name' },
      { name: 'pg_dist_local_group', columns: 'groupid integer' },
      {
        name: 'pg_dist_node',
        columns: `groupid integer, hasmetadata boolean, isactive boolean, metadatasynced boolean, nodecluster name, nodeid integer,${isClone} nodename text, nodeport integer,${primary} noderack text, noderole noderole, shouldhaveshards boolean`,
      },
      { name: 'pg_dist_node_metadata', columns: 'metadata jsonb' },
      {
        name: 'pg_dist_object',
        columns:
          'classid oid, colocationid integer, distribution_argument_index integer, force_delegation boolean, object_args text[], object_names text[], objid oid, objsubid integer, type text',
      },
      {
        name: 'pg_dist_partition',
        columns:
          'autoconverted boolean, colocationid integer, logicalrelid regclass, partkey text, partmethod "char", repmodel "char"',
      },
      {
        name: 'pg_dist_placement',
        columns: 'groupid integer, placementid bigint, shardid bigint, shardlength bigint, shardstate integer',
      },
      {
        name: 'pg_dist_shard',
        columns: 'logicalrelid regclass, shardid bigint, shardmaxvalue text, shardminvalue text, shardstorage "char"',
      },
    ]);
  });

  test('has to be in shared_preload_libraries', async () => {
    const bare = await startLocalCluster({ workers: 0, citus: kind, serverSettings: { shared_preload_libraries: '' } });
    try {
      expect(await outcome(bare, 0, 'postgres', 'CREATE EXTENSION citus')).toMatchObject({
        code: 'XX000',
        message: 'Citus can only be loaded via shared_preload_libraries',
      });
    } finally {
      await bare.stop();
    }
  });

  function extensions(database: string, group: number) {
    // Citus 12 brings citus_columnar along.
    const text = `SELECT extname, extnamespace::regnamespace::text AS schema, extversion FROM pg_extension
      WHERE extname NOT IN ('citus', 'citus_columnar', 'plpgsql') ORDER BY extname`;
    return outcome(cluster, group, database, text);
  }
});
