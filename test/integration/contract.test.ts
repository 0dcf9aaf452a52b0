/**
 * Facts about Citus that the program relies on. The suite runs on the stand-in and, where there is one, on real Citus, and
 * expects the same of both: that is what makes tests on the stand-in worth something.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { quoteLiteral } from '../../src/postgres/quote.ts';
import { authinfoInsert, type LocalCluster, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import {
  activateNode,
  addNode,
  citusVersion,
  contractKinds,
  dropDatabase,
  links,
  outcome,
  prepare,
  setCoordinator,
  warnings,
} from '../support/contract.ts';

const notOnWorkers = {
  code: 'XX000',
  message: 'operation is not allowed on this node',
  hint: 'Connect to the coordinator and run it again.',
};

function noPassword(role: string, group: number) {
  return {
    code: '08006',
    message: `connection to the remote node ${role}@127.0.0.1:PORT${group} failed with the following error: fe_sendauth: no password supplied`,
  };
}

describe.each(await contractKinds())('Citus as the program knows it (%s)', (kind) => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startLocalCluster({ workers: 2, citus: kind });
    console.log(`Contract suite on ${cluster.description}`);
  });
  afterAll(async () => cluster.stop());

  test('refuses extensions and schemas on a registered worker, present ones included', async () => {
    await prepare(cluster, 'refusals', { workers: [1] });
    await query(cluster, 0, 'refusals', 'CREATE EXTENSION hstore');
    for (const text of [
      'CREATE EXTENSION IF NOT EXISTS hstore',
      'CREATE EXTENSION pg_trgm',
      'ALTER EXTENSION hstore UPDATE',
      'CREATE SCHEMA refused',
    ]) {
      expect(await outcome(cluster, 1, 'refusals', text), text).toEqual(notOnWorkers);
    }
    expect(await outcome(cluster, 1, 'refusals', 'CREATE EXTENSION IF NOT EXISTS citus')).toEqual({ rows: [] });
    const local = 'SET citus.enable_ddl_propagation = off; CREATE EXTENSION pg_trgm; CREATE SCHEMA local';
    expect(await outcome(cluster, 1, 'refusals', local)).toEqual({ rows: [] });
    expect(await outcome(cluster, 2, 'refusals', 'CREATE EXTENSION pg_trgm')).toEqual({ rows: [] });
  });

  test('refuses to register nodes from a registered worker', async () => {
    await prepare(cluster, 'not_here', { workers: [1] });
    for (const call of [addNode(cluster, 2), activateNode(cluster, 1), `citus_remove_node('127.0.0.1', 1)`]) {
      expect(await outcome(cluster, 1, 'not_here', `SELECT ${call}`), call).toEqual(notOnWorkers);
    }
  });

  test('needs authinfo rows on every node, and does not copy them', async () => {
    await prepare(cluster, 'authinfo', { authinfo: [0], workers: [1, 2] });
    await query(
      cluster,
      0,
      'authinfo',
      `CREATE TABLE t (id int PRIMARY KEY); SELECT create_distributed_table('t', 'id')`,
    );
    expect(await outcome(cluster, 1, 'authinfo', 'SELECT count(*)::int FROM pg_dist_authinfo')).toEqual({
      rows: [{ count: 0 }],
    });
    expect(await links(cluster, 0, 'authinfo')).toEqual({ up: 3, down: 6, unknown: 0 });
    expect(await links(cluster, 1, 'authinfo')).toEqual({ up: 0, down: 0, unknown: 9 });
    expect(await outcome(cluster, 1, 'authinfo', 'SELECT count(*) FROM t')).toEqual(noPassword('postgres', 2));
    expect(
      await outcome(
        cluster,
        2,
        'authinfo',
        `SELECT success, result FROM run_command_on_all_nodes('SELECT 1') ORDER BY nodeid`,
      ),
    ).toEqual({
      rows: [0, 1, 2].map((group) => ({ success: false, result: `failed to connect to 127.0.0.1:PORT${group}` })),
    });
    for (const group of [1, 2]) await query(cluster, group, 'authinfo', authinfoInsert(cluster));
    for (const group of [0, 1, 2]) {
      expect(await links(cluster, group, 'authinfo')).toEqual({ up: 9, down: 0, unknown: 0 });
      expect(await outcome(cluster, group, 'authinfo', 'SELECT count(*)::int FROM t')).toEqual({
        rows: [{ count: 0 }],
      });
    }
  });

  test('says whose password is wrong or missing when a worker is registered', async () => {
    await prepare(cluster, 'passwords', { authinfo: [] });
    const add = `SELECT ${addNode(cluster, 1)}`;
    expect(await outcome(cluster, 0, 'passwords', add)).toEqual(noPassword('postgres', 1));
    await query(cluster, 0, 'passwords', `INSERT INTO pg_dist_authinfo VALUES (0, 'postgres', 'password=wrong')`);
    expect(await outcome(cluster, 0, 'passwords', add)).toEqual({
      code: '08006',
      message:
        'connection to the remote node postgres@127.0.0.1:PORT1 failed with the following error: FATAL:  password authentication failed for user "postgres"',
    });
    await query(
      cluster,
      0,
      'passwords',
      `UPDATE pg_dist_authinfo SET authinfo = 'sslcert=/nonexistent sslkey=/nonexistent'`,
    );
    expect(await outcome(cluster, 0, 'passwords', add)).toEqual(noPassword('postgres', 1));
    expect(await outcome(cluster, 0, 'passwords', 'SELECT count(*)::int FROM pg_dist_node')).toEqual({
      rows: [{ count: 1 }],
    });
  });

  test('prefers the row of the node to the row for every node', async () => {
    await prepare(cluster, 'precedence', { workers: [1, 2] });
    const [worker] = await query(cluster, 0, 'precedence', 'SELECT nodeid FROM pg_dist_node WHERE groupid = 2');
    await query(
      cluster,
      0,
      'precedence',
      `INSERT INTO pg_dist_authinfo VALUES (${worker?.['nodeid']}, 'postgres', 'password=wrong')`,
    );
    expect(await links(cluster, 0, 'precedence')).toEqual({ up: 5, down: 1, unknown: 3 });
  });

  test.each([
    'user=geheim',
    'password=geheim port=5',
    'passwort=geheim',
    'password',
    'password=a b',
    'sslmode=require',
  ])('rejects authinfo %j and prints it', async (authinfo) => {
    await query(cluster, 0, 'postgres', 'CREATE EXTENSION IF NOT EXISTS citus');
    const insert = `INSERT INTO pg_dist_authinfo VALUES (0, 'postgres', ${quoteLiteral(authinfo)})`;
    expect(await outcome(cluster, 0, 'postgres', insert)).toEqual({
      code: '23514',
      message: 'new row for relation "pg_dist_authinfo" violates check constraint "authinfo_valid"',
      detail: `Failing row contains (0, postgres, ${authinfo}).`,
    });
  });

  test.each([
    '',
    'password=',
    `password='a b'`,
    `password='it\\'s'`,
    `password = 'x'`,
    'sslcert=/a sslkey=/b',
    `password=a\\ b`,
  ])('accepts authinfo %j', async (authinfo) => {
    await query(cluster, 0, 'postgres', 'CREATE EXTENSION IF NOT EXISTS citus');
    const insert = `BEGIN; INSERT INTO pg_dist_authinfo VALUES (0, 'postgres', ${quoteLiteral(authinfo)}); ROLLBACK`;
    expect(await outcome(cluster, 0, 'postgres', insert)).toEqual({ rows: [] });
  });

  test('has one authinfo row for a role and a node, and only for roles that exist', async () => {
    await prepare(cluster, 'one_row');
    expect(await outcome(cluster, 0, 'one_row', authinfoInsert(cluster))).toMatchObject({
      code: '23505',
      detail: 'Key (rolename, nodeid)=(postgres, 0) already exists.',
    });
    expect(
      await outcome(cluster, 0, 'one_row', `INSERT INTO pg_dist_authinfo VALUES (0, 'nobody', 'password=x')`),
    ).toMatchObject({
      code: '23514',
      message: 'new row for relation "pg_dist_authinfo" violates check constraint "role_exists"',
    });
  });

  test('takes citus.node_conninfo for the whole server after a reload', async () => {
    await prepare(cluster, 'conninfo_a', { workers: [1] });
    await prepare(cluster, 'conninfo_b', { workers: [1] });
    const check = `SELECT citus_check_connection_to_node('127.0.0.1', ${nodeOf(cluster, 1).port}) AS up`;
    const original = `${(await query(cluster, 0, 'postgres', 'SHOW citus.node_conninfo'))[0]?.['citus.node_conninfo']}`;
    try {
      await configure('sslmode=verify-full sslrootcert=/nonexistent');
      for (const database of ['conninfo_a', 'conninfo_b']) {
        await expect.poll(() => outcome(cluster, 0, database, check)).toEqual({ rows: [{ up: false }] });
      }
      await configure('sslmode=prefer');
      await expect.poll(() => outcome(cluster, 0, 'conninfo_a', check)).toEqual({ rows: [{ up: true }] });
    } finally {
      await configure(original);
    }
    async function configure(value: string): Promise<void> {
      await query(cluster, 0, 'postgres', `ALTER SYSTEM SET citus.node_conninfo = '${value}'`);
      await query(cluster, 0, 'postgres', 'SELECT pg_reload_conf()');
    }
  });

  test('takes the next free group unless it is told, and returns early for a node it has', async () => {
    await prepare(cluster, 'groups');
    const { host, port } = nodeOf(cluster, 2);
    const [added] = await query(cluster, 0, 'groups', `SELECT citus_add_node('${host}', ${port}) AS id`);
    expect(
      await outcome(cluster, 0, 'groups', 'SELECT groupid, nodeport::text FROM pg_dist_node WHERE groupid > 0'),
    ).toEqual({
      rows: [{ groupid: 1, nodeport: 'PORT2' }],
    });
    expect(await outcome(cluster, 0, 'groups', `SELECT ${addNode(cluster, 2)} AS id`)).toEqual({
      rows: [{ id: added?.['id'] }],
    });
    expect(await outcome(cluster, 0, 'groups', 'SELECT groupid FROM pg_dist_node WHERE groupid > 0')).toEqual({
      rows: [{ groupid: 1 }],
    });
    expect(await outcome(cluster, 0, 'groups', `SELECT ${addNode(cluster, 1)}`)).toEqual({
      code: 'XX000',
      message: 'group 1 already has a primary node',
    });
  });

  test('does not notice a worker whose database was dropped and made again, until it is activated', async () => {
    await prepare(cluster, 'stale', { workers: [1, 2] });
    const known = await query(cluster, 0, 'stale', 'SELECT nodeid FROM pg_dist_node WHERE groupid = 2');
    await dropDatabase(cluster, 2, 'stale');
    expect(await outcome(cluster, 0, 'stale', `SELECT ${addNode(cluster, 2)} AS nodeid`)).toEqual({ rows: known });
    await query(cluster, 2, 'postgres', 'CREATE DATABASE stale');
    await query(cluster, 2, 'stale', 'CREATE EXTENSION citus');
    await query(cluster, 2, 'stale', authinfoInsert(cluster));
    expect(await outcome(cluster, 0, 'stale', `SELECT ${addNode(cluster, 2)} AS nodeid`)).toEqual({ rows: known });
    expect(await links(cluster, 0, 'stale')).toEqual({ up: 9, down: 0, unknown: 0 });
    expect(
      await outcome(cluster, 0, 'stale', 'SELECT DISTINCT isactive, hasmetadata, metadatasynced FROM pg_dist_node'),
    ).toEqual({ rows: [{ isactive: true, hasmetadata: true, metadatasynced: true }] });
    const itself = 'SELECT (SELECT count(*)::int FROM pg_dist_node) AS nodes, groupid FROM pg_dist_local_group';
    expect(await outcome(cluster, 2, 'stale', itself)).toEqual({ rows: [{ nodes: 0, groupid: 0 }] });
    // Citus 12 finds out by the schema, later ones by the first shard.
    const internal = 'This is an internal Citus function can only be used in a distributed transaction';
    const is12 = (await citusVersion(cluster)) < 13;
    expect(await outcome(cluster, 0, 'stale', 'CREATE SCHEMA unaware')).toEqual(
      is12 ? expect.objectContaining({ message: internal }) : { rows: [] },
    );
    await query(cluster, 0, 'stale', 'CREATE TABLE t (id int)');
    expect(await outcome(cluster, 0, 'stale', `SELECT create_distributed_table('t', 'id')`)).toMatchObject({
      code: '55000',
      // whichever shard's statement reaches the worker first
      message: is12
        ? internal
        : expect.stringMatching(/^Node with group id [12] for shard placement \d+ does not exist$/),
    });
    expect(await outcome(cluster, 0, 'stale', `SELECT ${activateNode(cluster, 2)} AS nodeid`)).toEqual({ rows: known });
    expect(await outcome(cluster, 2, 'stale', itself)).toEqual({ rows: [{ nodes: 3, groupid: 2 }] });
    await query(
      cluster,
      0,
      'stale',
      `SELECT create_distributed_table('t', 'id'); INSERT INTO t SELECT generate_series(1, 9)`,
    );
    for (const group of [0, 1, 2]) {
      expect(await outcome(cluster, group, 'stale', 'SELECT count(*)::int FROM t')).toEqual({ rows: [{ count: 9 }] });
    }
  });

  test('cannot activate a node that it does not know', async () => {
    await prepare(cluster, 'unknown');
    expect(await outcome(cluster, 0, 'unknown', `SELECT ${activateNode(cluster, 1)}`)).toEqual({
      code: 'XX000',
      message: 'node at "127.0.0.1:PORT1" does not exist',
    });
  });

  test('wants the coordinator under a name that workers can reach', async () => {
    await prepare(cluster, 'named');
    await query(cluster, 0, 'named', `SELECT citus_set_coordinator_host('localhost', ${nodeOf(cluster, 0).port})`);
    expect(await outcome(cluster, 0, 'named', `SELECT ${addNode(cluster, 1)}`)).toEqual({
      code: 'XX000',
      message: 'cannot add a worker node when the coordinator hostname is set to localhost',
      detail: 'Worker nodes need to be able to connect to the coordinator to transfer data.',
      hint: "Use SELECT citus_set_coordinator_host('<hostname>') to configure the coordinator hostname",
    });
    await query(cluster, 0, 'named', setCoordinator(cluster));
    await query(cluster, 0, 'named', `SELECT ${addNode(cluster, 1)}`);
    expect(await outcome(cluster, 1, 'named', 'SELECT groupid, nodename FROM pg_dist_node ORDER BY groupid')).toEqual({
      rows: [0, 1].map((groupid) => ({ groupid, nodename: '127.0.0.1' })),
    });
  });

  test('registers all workers in one statement, or none', async () => {
    await prepare(cluster, 'together');
    const failing = `SELECT ${addNode(cluster, 1)}, citus_add_node('127.0.0.1', 1, groupid => 2)`;
    expect(await outcome(cluster, 0, 'together', failing)).toMatchObject({
      code: '08006',
      message: expect.stringContaining('connection to the remote node postgres@127.0.0.1:1 failed'),
    });
    for (const group of [0, 1]) {
      expect(
        await outcome(cluster, group, 'together', 'SELECT count(*)::int FROM pg_dist_node WHERE groupid > 0'),
      ).toEqual({
        rows: [{ count: 0 }],
      });
    }
    await query(cluster, 0, 'together', `SELECT ${addNode(cluster, 1)}, ${addNode(cluster, 2)}`);
    expect(await links(cluster, 2, 'together')).toEqual({ up: 9, down: 0, unknown: 0 });
  });

  test('gets in its own way when two databases register nodes at the same time', async () => {
    await prepare(cluster, 'race_a', { workers: [1] });
    await prepare(cluster, 'race_b', { workers: [1] });
    const activate = `SELECT ${activateNode(cluster, 1)}`;
    const seen = new Set<string>();
    for (let round = 1; round <= 20 && seen.size === 0; round += 1) {
      const both = await Promise.all(['race_a', 'race_b'].map((database) => warnings(cluster, 0, database, activate)));
      for (const warning of both.flat()) seen.add(warning);
    }
    expect([...seen]).toEqual(['XX000 tuple concurrently updated']);
    for (const database of ['race_a', 'race_b']) {
      expect(await outcome(cluster, 0, database, activate)).toHaveProperty('rows');
    }
  });

  test('overwrites the superuser password of a worker with the coordinator’s', async () => {
    await prepare(cluster, 'overwritten');
    const verifier = `SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'`;
    const before = await query(cluster, 1, 'postgres', verifier);
    await query(cluster, 1, 'postgres', `ALTER ROLE postgres PASSWORD ${quoteLiteral(cluster.password)}`);
    expect(await query(cluster, 1, 'postgres', verifier)).not.toEqual(before);
    await query(cluster, 0, 'overwritten', `SELECT ${addNode(cluster, 1)}`);
    expect(await query(cluster, 1, 'postgres', verifier)).toEqual(before);
  });

  test('refuses a worker whose extension is older', async () => {
    await prepare(cluster, 'older', { citus: [0] });
    const version = await citusVersion(cluster);
    const older = version < 13 ? '12.0-1' : '13.1-1';
    await query(
      cluster,
      1,
      'older',
      `SET citus.enable_version_checks = off; CREATE EXTENSION citus VERSION '${older}'`,
    );
    await query(cluster, 0, 'older', authinfoInsert(cluster)).catch(() => undefined);
    const add = `SELECT ${addNode(cluster, 1)}`;
    expect(await outcome(cluster, 0, 'older', add)).toEqual({
      code: 'XX000',
      message: 'failure on connection marked as essential: 127.0.0.1:PORT1',
    });
    // Whether the library looks at the extension first depends on how far the two are apart.
    expect(await warnings(cluster, 0, 'older', add)).toEqual([
      version >= 13 && version < 14
        ? '42703 column "nodeisclone" of relation "pg_dist_node" does not exist'
        : 'XX000 loaded Citus library version differs from installed extension version',
    ]);
    await query(cluster, 1, 'older', 'ALTER EXTENSION citus UPDATE');
    expect(await outcome(cluster, 0, 'older', add)).toHaveProperty('rows');
  });
});
