import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { quoteLiteral } from '../../src/postgres/quote.ts';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { onlinePlugins } from '../support/plugins.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/**
 * Citus moves shards as a temporary role that is a member of the table's owner. With `users`, PUBLIC may not connect: the
 * owners have to, else a move never ends. The stand-in has no shards to move; there the rights alone are looked at.
 */

const INIT_SQL = `CREATE ROLE etl LOGIN;
SET citus.shard_count TO 4;
CREATE TABLE events (tenant int NOT NULL, note text, PRIMARY KEY (tenant));
SELECT create_distributed_table('events', 'tenant');
INSERT INTO events SELECT g, 'x' FROM generate_series(1, 200) g;
CREATE TABLE loads (tenant int NOT NULL, note text, PRIMARY KEY (tenant));
SELECT create_distributed_table('loads', 'tenant', colocate_with => 'none');
INSERT INTO loads SELECT g, 'x' FROM generate_series(1, 200) g;
ALTER TABLE loads OWNER TO etl;
GRANT USAGE, CREATE ON SCHEMA public TO etl;
`;

const test = clusterTest({ workers: 2 })
  .extend('spec', { scope: 'file' }, ({ folder, cluster }) => () => {
    const users = [{ name: 'moving_app', passwordFile: path.join(folder, 'moving_app'), access: 'owner' }];
    const database: Document = { name: 'moving', users, initSQL: INIT_SQL };
    return specOf(cluster, [
      database,
      { name: 'closed', initSQL: `${CLOSED}${INIT_SQL.replace('CREATE ROLE etl LOGIN;', '')}` },
    ]);
  })
  /** Without the right to connect it would wait for ever. */
  .extend('ended', { scope: 'file' }, ({ cluster }) => async (database: string, text: string): Promise<void> => {
    const client = await connect(cluster, 0, database);
    try {
      await client.query("SET statement_timeout = '60s'");
      await client.query(text);
    } finally {
      await client.end();
    }
  })
  .extend(
    'at',
    { scope: 'file' },
    ({ cluster }) =>
      (group: number) =>
        `'${nodeOf(cluster, group).host}', ${nodeOf(cluster, group).port}`,
  );

/** Without users: somebody takes CONNECT from PUBLIC by hand. */
const CLOSED = 'REVOKE CONNECT ON DATABASE closed FROM PUBLIC;\n';

test.beforeAll(async ({ folder, cluster, spec }) => {
  await writeFile(path.join(folder, 'moving_app'), 'canary-moving', { mode: 0o600 });
  if (cluster.kind === 'real') await onlinePlugins(cluster);
  // What an operator does for each role that owns distributed tables and that no spec declares.
  // One after the other: the second one uses the role that the first one creates.
  const { code, log } = await runProgram(cluster, ['apply', '--databases-at-once', '1'], spec());
  for (const { group } of cluster.nodes) {
    for (const database of ['moving', 'closed']) {
      const row = `0, 'etl', ${quoteLiteral('password=canary-etl')}`;
      await query(
        cluster,
        group,
        database,
        `INSERT INTO pg_dist_authinfo (nodeid, rolename, authinfo) VALUES (${row})`,
      );
    }
  }
  await query(cluster, 0, 'moving', "ALTER ROLE etl PASSWORD 'canary-etl'");
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("Database 'closed' is ready!") });
});

describe.each(['moving', 'closed'])('database %s', (database) => {
  test('owners of distributed tables may connect to every node, and nothing is left to do', async ({
    cluster,
    spec,
  }) => {
    for (const { group } of cluster.nodes) {
      const [found] = await query(
        cluster,
        group,
        'postgres',
        `SELECT array_agg(a.grantee::regrole::text ORDER BY 1) FILTER (WHERE a.grantee <> 0) AS roles,
                count(*) FILTER (WHERE a.grantee = 0)::int AS public
         FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = $1 AND a.privilege_type = 'CONNECT'`,
        [database],
      );
      expect(found).toEqual({
        roles: expect.arrayContaining(['etl', 'postgres']),
        // REVOKE reaches the workers only where Citus carries it.
        public: database === 'moving' || group === 0 ? 0 : expect.any(Number),
      });
    }
    const { code, stdout } = await runProgram(cluster, ['plan'], spec());
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('Nothing to do') });
  });

  const shard = (
    table: string,
    group: number,
  ) => `(SELECT s.shardid FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid)
     WHERE s.logicalrelid = 'public.${table}'::regclass AND p.groupid = ${group} ORDER BY 1 LIMIT 1)`;
  const nodeId = (group: number) => `(SELECT nodeid FROM pg_dist_node WHERE groupid = ${group})`;
  const half = (
    table: string,
  ) => `(SELECT ((shardminvalue::bigint + shardmaxvalue::bigint) / 2)::text FROM pg_dist_shard
     WHERE shardid = ${shard(table, 1)})`;

  test.for(['events', 'loads'])(
    'shards of %s are moved, split, isolated and rebalanced',
    { timeout: 240_000 },
    async (table, { cluster, ended, at }) => {
      if (cluster.kind !== 'real') return console.log('Shard moves: not tested here, because the stand-in has none');
      await ended(
        database,
        `SELECT citus_move_shard_placement(${shard(table, 1)}, ${at(1)}, ${at(2)}, 'force_logical')`,
      );
      await ended(
        database,
        `SELECT citus_split_shard_by_split_points(${shard(table, 1)}, ARRAY[${half(table)}], ARRAY[${nodeId(1)}, ${nodeId(2)}], 'force_logical')`,
      );
      await ended(
        database,
        `SELECT isolate_tenant_to_new_shard('public.${table}', 7, shard_transfer_mode => 'force_logical')`,
      );
      await ended(database, "SELECT citus_rebalance_start(shard_transfer_mode => 'force_logical')");
      await ended(database, 'SELECT citus_rebalance_wait()');
      expect(await query(cluster, 2, database, `SELECT count(*)::int FROM public.${table}`)).toEqual([{ count: 200 }]);
    },
  );
});
