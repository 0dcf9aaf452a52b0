import { rename } from 'node:fs/promises';
import { expect } from 'vitest';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** What changed on nodes behind the program's back is made so again, and the database works afterwards. */

const test = clusterTest({ workers: 2 })
  .extend(
    'apply',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, groups?: readonly number[], more: Document = {}): Promise<Outcome> => {
        const options = groups === undefined ? {} : { groups };
        return await runProgram(cluster, ['apply'], specOf(cluster, [{ name, initSQL: INIT_SQL, ...more }], options));
      },
  )
  .extend(
    'applied',
    { scope: 'file' },
    ({ apply }) =>
      async (name: string, groups?: readonly number[], more: Document = {}): Promise<string> => {
        const { code, log } = await apply(name, groups, more);
        expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
        return log;
      },
  )
  /** Nothing is left to do, every node knows the same nodes, and a distributed table of the user works. */
  .extend('sound', { scope: 'file' }, ({ applied, cluster }) => async (name: string): Promise<void> => {
    expect(await applied(name)).toContain('Nothing was changed');
    const catalogs = await catalogsOf(cluster, name);
    for (const catalog of catalogs) {
      expect(catalog?.nodes).toEqual(catalogs[0]?.nodes);
      expect(catalog?.tables).toEqual(catalogs[0]?.tables);
    }
    expect(catalogs[0]?.nodes).toHaveLength(3);
    const [table] = await query(
      cluster,
      0,
      name,
      `CREATE TABLE IF NOT EXISTS probe_${name} (a int);
     SELECT create_distributed_table('probe_${name}', 'a') WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'probe_${name}'::regclass);
     INSERT INTO probe_${name} SELECT generate_series(1, 20);
     SELECT count(*)::int AS rows FROM probe_${name}`,
    );
    expect(table).toEqual({ rows: 20 });
    const verify = await runProgram(cluster, ['verify'], specOf(cluster, [{ name }]));
    expect({ code: verify.code, log: verify.log }).toEqual({ code: 0, log: expect.any(String) });
  })
  /** As if each pod had got the other's volume. */
  .extend('swapWorkers', { scope: 'file' }, ({ cluster }) => async (): Promise<void> => {
    const workers = cluster.nodes.filter(({ group }) => group !== 0);
    const [first, second] = workers.map(({ dataDirectory }) => dataDirectory);
    if (first === undefined || second === undefined) throw new Error('two workers are needed');
    await Promise.all(workers.map((worker) => worker.stop()));
    await rename(first, `${first}.aside`);
    await rename(second, first);
    await rename(`${first}.aside`, second);
    await Promise.all(workers.map((worker) => worker.start()));
  });

const INIT_SQL = `CREATE TABLE t (a int);
SELECT create_distributed_table('t', 'a');
INSERT INTO t SELECT generate_series(1, 60);
CREATE TABLE r (a int);
SELECT create_reference_table('r');`;

test('a worker that is added later joins', async ({ cluster, applied, sound }) => {
  await applied('grown', [1]);
  expect(
    await firstValue(cluster, 2, 'postgres', "SELECT count(*)::int FROM pg_database WHERE datname = 'grown'"),
  ).toBe(0);
  const log = await applied('grown');
  expect(log).toContain("Creating database 'grown' on node2...");
  expect(log).toContain('Worker already registered: node1');
  expect(log).toContain('Adding worker: node2');
  expect(log).toContain('Custom SQL was already executed');
  expect(await firstValue(cluster, 2, 'grown', 'SELECT count(*)::int FROM t')).toBe(60);
  await sound('grown');
});

test("a worker's database that was dropped and made again empty is repaired", async ({ cluster, applied, sound }) => {
  await applied('emptied');
  // Without shards on it, as for a worker that had none yet: what was in them is gone with the database.
  await query(cluster, 0, 'emptied', 'DROP TABLE t, r');
  await query(cluster, 2, 'postgres', 'DROP DATABASE emptied WITH (FORCE)');
  const verify = await runProgram(cluster, ['verify'], specOf(cluster, [{ name: 'emptied' }]));
  expect(verify.code).toBe(1);
  expect(verify.log.slice(verify.log.indexOf('ERROR'))).toMatchInlineSnapshot(`
    "ERROR: Database 'emptied' does not exist (node node2)
      Next: Run citus-databases apply
    "
  `);
  const log = await applied('emptied');
  expect(log).toContain("Creating database 'emptied' on node2...");
  expect(log).toContain('Repairing worker: node2');
  await sound('emptied');
});

test('a worker that was disabled is activated', async ({ cluster, applied, sound }) => {
  await applied('disabled');
  const { host, port } = cluster.nodes[2] ?? { host: '', port: 0 };
  await query(cluster, 0, 'disabled', 'DROP TABLE t');
  if (cluster.kind === 'real') {
    await query(cluster, 0, 'disabled', 'SELECT citus_disable_node($1, $2, true)', [host, port]);
  } else {
    // The stand-in knows the state, not the function.
    await query(cluster, 0, 'disabled', 'UPDATE pg_dist_node SET isactive = false WHERE groupid = 2');
  }
  const log = await applied('disabled');
  expect(log).toContain('Repairing worker: node2 (it is disabled)');
  await sound('disabled');
});

test('a worker whose metadata is stale is synced', async ({ cluster, applied, sound }) => {
  await applied('stale');
  await query(cluster, 1, 'stale', 'DELETE FROM pg_dist_node WHERE groupid = 2');
  const log = await applied('stale');
  expect(log).toContain('Repairing worker: node1 (it knows other nodes than the coordinator)');
  await sound('stale');
});

test('a lost row of pg_dist_authinfo is written again', async ({ cluster, applied, sound }) => {
  await applied('locked_out');
  await query(cluster, 2, 'locked_out', 'DELETE FROM pg_dist_authinfo');
  const log = await applied('locked_out');
  expect(log).toContain('Written on node2');
  await sound('locked_out');
});

test("the coordinator's database dropped by hand while those of the workers remain", async ({
  cluster,
  apply,
  applied,
  sound,
}) => {
  await applied('headless');
  await query(cluster, 0, 'postgres', 'DROP DATABASE headless WITH (FORCE)');
  const refused = await apply('headless');
  expect(refused.log.slice(refused.log.indexOf('ERROR'))).toMatchInlineSnapshot(`
    "ERROR: Database 'headless' cannot be made ready: 2 problems
      Cause:
        node1: The database on this worker holds distributed tables that the coordinator does not know: they belong to an earlier database of that name
          Next: Restore the coordinator's database from its backup; or, if this data may go, remove what is left of it (citus-databases drop) and run again
        node2: The database on this worker holds distributed tables that the coordinator does not know: they belong to an earlier database of that name
          Next: Restore the coordinator's database from its backup; or, if this data may go, remove what is left of it (citus-databases drop) and run again
      Next: Correct them and run again. Nothing was changed
    "
  `);
  expect(refused.code).toBe(3);
  const spec = specOf(cluster, [{ name: 'headless' }]);
  expect((await runProgram(cluster, ['drop', 'headless', '--confirm', 'headless'], spec)).code).toBe(0);
  await applied('headless');
  await sound('headless');
});

test("the coordinator's database dropped by hand, and nothing distributed in it", async ({ cluster, applied }) => {
  await applied('bare', undefined, { initSQL: 'CREATE TABLE plain (a int);' });
  await query(cluster, 0, 'postgres', 'DROP DATABASE bare WITH (FORCE)');
  expect(await applied('bare', undefined, { initSQL: 'CREATE TABLE plain (a int);' })).toContain(
    'Line 1: CREATE TABLE',
  );
});

test("a changed password of the superuser is written to every node's pg_dist_authinfo", async ({
  cluster,
  applied,
  sound,
}) => {
  await applied('rotated');
  const before = await Promise.all(
    cluster.nodes.map(({ group }) =>
      firstValue(cluster, group, 'rotated', 'SELECT md5(authinfo) FROM pg_dist_authinfo'),
    ),
  );
  // The file holds another password than the row: the row is compared with the file.
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'rotated', "UPDATE pg_dist_authinfo SET authinfo = 'password=yesterday'");
  }
  expect(await applied('rotated')).toContain('Written on node0, node1, node2');
  const after = await Promise.all(
    cluster.nodes.map(({ group }) =>
      firstValue(cluster, group, 'rotated', 'SELECT md5(authinfo) FROM pg_dist_authinfo'),
    ),
  );
  expect(after).toEqual(before);
  await sound('rotated');
});

test('another server behind the name of a worker is refused before anything is made', async ({
  cluster,
  applied,
  sound,
}) => {
  await applied('swapped');
  const { nodeName, nodePort } = { nodeName: cluster.nodes[2]?.host, nodePort: cluster.nodes[2]?.port };
  const where = `node_name = '${nodeName}' AND node_port = ${nodePort}`;
  const own = await firstValue(cluster, 2, 'postgres', 'SELECT system_identifier::text FROM pg_control_system()');
  const recorded = `SELECT system_identifier FROM citus_databases.node_identity WHERE ${where}`;
  expect(await firstValue(cluster, 0, 'postgres', recorded)).toBe(own);

  // As if initdb had made the worker anew since.
  await query(
    cluster,
    0,
    'postgres',
    `UPDATE citus_databases.node_identity SET system_identifier = '1' WHERE ${where}`,
  );
  const declared = { name: 'swapped', initSQL: INIT_SQL };
  const specs = { apply: [declared, { name: 'not_made' }], plan: [declared, { name: 'not_made' }], verify: [declared] };
  for (const [command, databases] of Object.entries(specs)) {
    const { code, log } = await runProgram(cluster, [command], specOf(cluster, databases));
    expect({ command, code, log }).toEqual({
      command,
      code: 3,
      log: expect.stringContaining(
        `its system identifier is ${own}, and that of the server with the shards was 1 (node`,
      ),
    });
  }
  expect(
    await firstValue(cluster, 0, 'postgres', "SELECT count(*)::int FROM pg_database WHERE datname = 'not_made'"),
  ).toBe(0);

  // A group that was taken out of every database holds nothing, and may come back as another server.
  await query(cluster, 0, 'swapped', 'DROP TABLE t, r');
  await query(cluster, 0, 'swapped', `SELECT citus_remove_node('${nodeName}', ${nodePort})`);
  await applied('swapped');
  expect(await firstValue(cluster, 0, 'postgres', recorded)).toBe(own);
  await sound('swapped');
});

test('two workers swapped: refused on both, and ready with all rows once each has its own volume again', async ({
  cluster,
  applied,
  sound,
  swapWorkers,
}) => {
  if (cluster.kind !== 'real') return;
  const declared = { name: 'crossed', initSQL: INIT_SQL };
  await applied('crossed');
  await swapWorkers();
  // Here all servers have one system identifier, as physical copies have: what is left are the groups and the shards.
  const says = {
    plan: [
      'node1: The database on this worker is that of group 2, not of group 1',
      'node2: The database on this worker is that of group 1, not of group 2',
    ],
    verify: [
      'shards of public.t are not on this node but on node2',
      'shards of public.t are not on this node but on node1',
      "each other's volumes",
    ],
  };
  for (const [command, texts] of Object.entries({ ...says, apply: says.plan })) {
    const { code, log } = await runProgram(cluster, [command], specOf(cluster, [declared]));
    expect({ command, code, log }).toEqual({ command, code: 3, log: expect.any(String) });
    for (const text of texts) expect(log).toContain(text);
    expect(log).not.toContain('may be lost');
  }
  await swapWorkers();
  await sound('crossed');
  expect(await firstValue(cluster, 0, 'crossed', 'SELECT count(*)::int FROM t')).toBe(60);
});
