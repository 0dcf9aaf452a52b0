import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { firstValue } from '../support/catalog.ts';
import { connect, type LocalCluster, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/**
 * Nodes that are not alike, and servers that changed under their databases: found before anything is made, and named with
 * what helps.
 */

const READ_ONLY = ['plan', 'verify'] as const;
const ALL = [...READ_ONLY, 'apply'] as const;

function run(cluster: LocalCluster, command: string, database: Document) {
  return runProgram(cluster, [command], specOf(cluster, [{ maxAttempts: 2, retryDelaySeconds: 0, ...database }]));
}

/** Standard output and standard error: commands differ in which of them has the warnings. */
async function textOf(cluster: LocalCluster, command: string, database: Document, code: number): Promise<string> {
  const { code: ended, log, stderr } = await run(cluster, command, database);
  expect({ command, code: ended, log, stderr }).toEqual({
    ...{ command, code },
    ...{ log: expect.any(String), stderr: expect.any(String) },
  });
  return `${log}${stderr}`;
}

function exists(cluster: LocalCluster, group: number, database: string): Promise<unknown> {
  return firstValue(cluster, group, 'postgres', `SELECT count(*)::int FROM pg_database WHERE datname = '${database}'`);
}

describe('the servers of one cluster', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startLocalCluster({ workers: 1 });
    console.log(`Citus: ${cluster.description}`);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test('another version of the collation under a database: a warning, and statements that help', {
    timeout: 300_000,
  }, async () => {
    const database = { name: 'sorted', localeProvider: 'icu', icuLocale: 'de-DE' };
    await textOf(cluster, 'apply', database, 0);
    await query(cluster, 1, 'postgres', "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted'");
    let advice = '';
    for (const command of ALL) {
      const text = await textOf(cluster, command, database, 0);
      expect(text).toMatch(
        /'sorted' on \S+ was made with version 1\.0 of its collation, and the server has [\d.]+ by now/,
      );
      expect(text).not.toMatch(/on node0 was made/);
      // On a worker Citus refuses the statement, and from the coordinator carries it to nodes that were not reindexed.
      advice = /Rebuild them \((.*)\), then: (.*)$/m.exec(text)?.slice(1, 3).join('\n') ?? '';
    }
    expect(advice).toMatch(/^REINDEX .*\nSET .*; ALTER DATABASE /);
    const client = await connect(cluster, 1, 'sorted');
    for (const statement of advice.split(/\n|; /)) await client.query(statement);
    await client.end();
    for (const command of ALL) expect(await textOf(cluster, command, database, 0)).not.toContain('of its collation');
  });

  test("output_plugin_libraries without Citus' plugin: a warning, and online splits that fail; with it, neither", async () => {
    const known = "SELECT count(*)::int FROM pg_settings WHERE name = 'output_plugin_libraries'";
    if (cluster.kind !== 'real' || (await firstValue(cluster, 0, 'postgres', known)) === 0) {
      return console.log(
        'Online splits: not tested here, this needs Citus on a PostgreSQL with output_plugin_libraries',
      );
    }
    const initSQL = `CREATE TABLE halved (id int PRIMARY KEY);
      SELECT create_distributed_table('halved', 'id', shard_count => 1);
      INSERT INTO halved SELECT generate_series(1, 10);`;
    const database = { name: 'split', initSQL };
    await plugins("'pgoutput', 'test_decoding'");
    for (const command of ['apply', ...READ_ONLY]) {
      expect(await textOf(cluster, command, database, 0)).toContain(
        'output_plugin_libraries has no citus on node0, node1: shards cannot be split online there. Add citus to it',
      );
    }
    const node = '(SELECT nodeid FROM pg_dist_node WHERE groupid = 1)';
    const split = `SELECT citus_split_shard_by_split_points(shardid, ARRAY['0'], ARRAY[${node}, ${node}], 'force_logical')
      FROM pg_dist_shard WHERE logicalrelid = 'halved'::regclass`;
    await expect(query(cluster, 0, 'split', split)).rejects.toThrow();
    await plugins("'pgoutput', 'test_decoding', 'citus'");
    for (const command of ALL) {
      expect(await textOf(cluster, command, database, 0)).not.toContain('output_plugin_libraries');
    }
    await query(cluster, 0, 'split', split);
    expect(await firstValue(cluster, 0, 'split', 'SELECT count(*)::int FROM pg_dist_shard')).toBe(2);
    expect(await firstValue(cluster, 0, 'split', 'SELECT count(*)::int FROM halved')).toBe(10);
  });

  async function plugins(list: string): Promise<void> {
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', `ALTER SYSTEM SET output_plugin_libraries = ${list}`);
      await query(cluster, group, 'postgres', 'SELECT pg_reload_conf()');
      // The server reads its files in its own time.
      const shown = async () => await firstValue(cluster, group, 'postgres', 'SHOW output_plugin_libraries');
      await expect.poll(shown, { timeout: 30_000 }).toBe(list.replaceAll("'", ''));
    }
  }
});

test('packages of different versions: named before anything is made, unless a version is declared', async () => {
  const cluster = await startLocalCluster({ workers: 1, citus: 'standIn' });
  const folder = await mkdtemp('/tmp/citus-databases-packages-');
  await chmod(folder, 0o755);
  try {
    for (const { group } of cluster.nodes) {
      const extension = path.join(folder, String(group), 'extension');
      await mkdir(extension, { recursive: true });
      await writeFile(path.join(extension, 'packaged.control'), `default_version = '1.${group}'\n`);
      for (const version of ['1.0', '1.1']) await writeFile(path.join(extension, `packaged--${version}.sql`), '');
      const own = await firstValue(cluster, group, 'postgres', 'SHOW extension_control_path');
      await query(
        cluster,
        group,
        'postgres',
        `ALTER SYSTEM SET extension_control_path = '${path.dirname(extension)}:${own}'`,
      );
      await nodeOf(cluster, group).restart();
    }
    const database = { name: 'packed', extensions: ['packaged'] };
    for (const command of ['plan', 'apply']) {
      expect(await textOf(cluster, command, database, 1)).toContain(
        'The packages of extension packaged have different versions: node0 1.0, node1 1.1',
      );
    }
    expect(await Promise.all([0, 1].map((group) => exists(cluster, group, 'packed')))).toEqual([0, 0]);
    const declared = { ...database, extensions: [{ name: 'packaged', version: '1.0' }] };
    for (const command of ['apply', ...READ_ONLY]) await textOf(cluster, command, declared, 0);
  } finally {
    await cluster.stop();
    await rm(folder, { recursive: true });
  }
});

test('a worker of another major version of PostgreSQL: waited for, then named before anything is made', async () => {
  const real = await findRealCitus();
  const password = 'the same on both';
  const standIn = await startLocalCluster({ workers: 0, citus: 'standIn', password });
  const other = real === undefined ? undefined : await startLocalCluster({ workers: 0, citus: 'real', password });
  try {
    const version = (of: LocalCluster) =>
      firstValue(of, 0, 'postgres', "SELECT current_setting('server_version_num')::int / 10000");
    const majors = [await version(standIn), other === undefined ? undefined : await version(other)];
    if (other === undefined || majors[0] === majors[1]) {
      return console.log('PostgreSQL of two major versions: not tested here, this needs two');
    }
    const nodes = [nodeOf(standIn, 0), { ...nodeOf(other, 0), group: 1 }];
    const cluster: LocalCluster = { ...standIn, nodes };
    for (const command of ALL) {
      const text = await textOf(cluster, command, { name: 'two_majors' }, 1);
      expect(text).toContain(`The nodes have different versions of PostgreSQL: node0 ${majors[0]}, node1 ${majors[1]}`);
      expect(text).toContain('Let the rolling update finish, or give all nodes the same image');
      if (command === 'apply') expect(text).toContain('Waiting for nodes of one version... (attempt 1/2');
    }
    expect(await Promise.all([0, 1].map((group) => exists(cluster, group, 'two_majors')))).toEqual([0, 0]);
  } finally {
    await standIn.stop();
    await other?.stop();
  }
});
