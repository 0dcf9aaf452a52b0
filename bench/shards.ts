import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs, promisify } from 'node:util';
import pg from 'pg';
import { type LocalCluster, startLocalCluster } from '../src/localCluster/localCluster.ts';
import type { LocalNode } from '../src/localCluster/localNode.ts';
import { findPsql } from './baseline.ts';
import { goalsTable } from './goals.ts';
import { benchSpec, buildProgram, type Program, succeeded } from './program.ts';
import { startProxy } from './proxy.ts';
import { busiestNode } from './report.ts';
import { serverCpu } from './serverCpu.ts';
import { judgeShards, type ShardRow, shardTable } from './shardReport.ts';

/**
 * What a run costs that finds nothing to do in a database with shards: the program as it is, another build of it
 * (`--before`), and psql that reads the same catalogs on all nodes at once. All take turns, on the same database.
 *
 *     npm run bench:shards -- --workers 2,8,32 --shards 0,1000,10000 --before FOLDER/citus-databases.js
 *     npm run bench:shards -- --workers 2 --tables 1000 --users 200 --shards 1000      # users who may read all tables
 */
const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '2,8' },
    shards: { type: 'string', default: '0,1000,10000' },
    rounds: { type: 'string', default: '5' },
    node: { type: 'string', default: process.execPath },
    before: { type: 'string' },
    tables: { type: 'string', default: '20' },
    users: { type: 'string', default: '0' },
  },
});
const tables = Number(values.tables);
const users = Number(values.users);
const DATABASE = 'shards';
const numbersOf = (text: string) => text.split(',').map(Number);

/** The catalogs that say what a node holds, whole. */
const CATALOGS = [
  ...[
    'pg_dist_node',
    'pg_dist_partition',
    'pg_dist_shard',
    'pg_dist_placement',
    'pg_dist_colocation',
    'pg_dist_object',
  ],
  ...['pg_class', 'pg_attribute', 'pg_index', 'pg_constraint', 'pg_policy', 'pg_trigger', 'pg_proc', 'pg_namespace'],
];

if (users > 0 && numbersOf(values.shards).length > 1) throw new Error('with --users, one number of --shards at a time');

const program = await buildProgram(process.cwd(), values.node);
const rows: ShardRow[] = [];
try {
  for (const workers of numbersOf(values.workers)) await measureWith(workers);
} finally {
  await program.remove();
}

async function measureWith(workers: number): Promise<void> {
  const cluster = await startLocalCluster({
    workers,
    citus: 'real',
    serverSettings: { max_connections: String(Math.max(100, workers * 6)), max_locks_per_transaction: '256' },
  });
  try {
    console.error(`${cluster.description}; ${cpus().length} cores; ${workers} workers`);
    const spec = withUsers(benchSpec(cluster, DATABASE));
    succeeded('apply', await program.run(['apply'], spec));
    let made = 0;
    for (const shards of numbersOf(values.shards)) {
      if (made === 0 && shards > 0) await makeTables(cluster, users > 0 ? Math.max(1, shards / tables) : 1);
      // Rights reach the shards that Citus has made itself: those made below are no ranges of a hash, and it refuses them.
      if (users === 0) await addShards(cluster, made, shards);
      made = shards;
      // Rights on the tables.
      if (users > 0) succeeded('apply', await program.run(['apply'], spec));
      await onEach(cluster, (client) => client.query('VACUUM ANALYZE'));
      rows.push(await measureRuns(cluster, program, spec, workers, shards));
      print();
    }
  } finally {
    await cluster.stop();
  }
}

/** Roles without a login, so that nothing but their rights is compared. */
function withUsers(spec: unknown): unknown {
  const { databases, ...rest } = spec as { readonly databases: readonly object[] };
  const declared = Array.from({ length: users }, (_, index) => ({
    name: `reader${index}`,
    access: 'readOnly',
    login: false,
  }));
  return { ...rest, databases: databases.map((database) => ({ ...database, users: declared })) };
}

async function measureRuns(
  cluster: LocalCluster,
  current: Program,
  spec: unknown,
  workers: number,
  shards: number,
): Promise<ShardRow> {
  const row = { now: [] as number[], before: [] as number[], psql: [] as number[], cpu: [] as number[] };
  const unchanged = async (run: () => Promise<Awaited<ReturnType<Program['run']>>>) => {
    const result = succeeded('apply', await run());
    if (!result.output.includes('Nothing was changed')) throw new Error(`it changed something:\n${result.output}`);
    return result;
  };
  const before = values.before;
  for (let round = 0; round <= Number(values.rounds); round += 1) {
    const cpuBefore = serverCpu(cluster);
    const now = await unchanged(() => current.run(['apply'], spec));
    const cpuAfter = serverCpu(cluster);
    const other = before === undefined ? undefined : await unchanged(() => runOther(current, before, spec));
    const psql = await readCatalogs(cluster);
    // The first round warms the caches up.
    if (round === 0) continue;
    row.now.push(now.milliseconds);
    if (cpuBefore !== undefined && cpuAfter !== undefined) row.cpu.push(cpuAfter - cpuBefore);
    if (other !== undefined) row.before.push(other.milliseconds);
    if (psql !== undefined) row.psql.push(psql);
  }
  const { peakMegabytes = 0 } = await current.measureMemory(['apply'], spec);
  const messages = await countMessages(cluster, current);
  return { workers, tables, users, shards, ...row, peakMegabytes, messages };
}

async function countMessages(cluster: LocalCluster, current: Program): Promise<number> {
  const proxy = await startProxy(cluster.nodes);
  try {
    succeeded('apply', await current.run(['apply'], withUsers(benchSpec(cluster, DATABASE, proxy.nodes))));
    return busiestNode(proxy.take()).messages;
  } finally {
    await proxy.close();
  }
}

/** Another build, started in the same way. */
async function runOther(current: Program, bundle: string, spec: unknown) {
  return await current.runBundle(bundle, ['apply'], spec);
}

async function readCatalogs(cluster: LocalCluster): Promise<number | undefined> {
  const psql = findPsql(cluster);
  if (psql === undefined) return undefined;
  const script = ['SET citus.override_table_visibility = off', ...CATALOGS.map((name) => `SELECT * FROM ${name}`)];
  const startedAt = performance.now();
  await Promise.all(
    cluster.nodes.map((node) =>
      promisify(execFile)(
        psql,
        [
          '-XAtq',
          '-o',
          '/dev/null',
          '-h',
          node.host,
          '-p',
          String(node.port),
          '-U',
          cluster.superuser,
          '-d',
          DATABASE,
        ].concat(script.flatMap((text) => ['-c', text])),
        { env: { ...process.env, PGPASSWORD: cluster.password } },
      ),
    ),
  );
  return performance.now() - startedAt;
}

async function makeTables(cluster: LocalCluster, shardCount: number): Promise<void> {
  const client = await open(cluster, 0);
  try {
    for (let index = 0; index < tables; index += 1) {
      await client.query(`CREATE TABLE t${index} (id bigint PRIMARY KEY, body text)`);
      await client.query(`SELECT create_distributed_table('t${index}', 'id', shard_count => ${shardCount})`);
    }
  } finally {
    await client.end();
  }
}

/**
 * What create_distributed_table() leaves, without its two-phase commits: rows of metadata on every node and a table on
 * the node that each shard belongs to.
 */
async function addShards(cluster: LocalCluster, from: number, to: number): Promise<void> {
  const workers = cluster.nodes.length - 1;
  const batch = 500;
  for (let first = from; first < to; first += batch) {
    const last = Math.min(to, first + batch) - 1;
    await onEach(cluster, async (client) => {
      await client.query(`
        SET citus.enable_manual_changes_to_shards = on; SET citus.enable_ddl_propagation = off; SET citus.enable_metadata_sync = off;
        DO $$
        DECLARE own int := (SELECT groupid FROM pg_dist_local_group); name text;
        BEGIN
          FOR i IN ${first} .. ${last} LOOP
            name := 't' || i % ${tables};
            INSERT INTO pg_dist_shard VALUES (name::regclass, 500000 + i, 't', i::text, i::text);
            INSERT INTO pg_dist_placement VALUES (700000 + i, 500000 + i, 1, 0, 1 + i % ${workers});
            IF own = 1 + i % ${workers} THEN
              EXECUTE format('CREATE TABLE public.%s_%s (id bigint, body text, CONSTRAINT %s_pkey_%s PRIMARY KEY (id))', name, 500000 + i, name, 500000 + i);
            END IF;
          END LOOP;
        END $$`);
    });
  }
}

async function onEach(cluster: LocalCluster, action: (client: pg.Client) => Promise<unknown>): Promise<void> {
  await Promise.all(
    cluster.nodes.map(async ({ group }) => {
      const client = await open(cluster, group);
      try {
        await action(client);
      } finally {
        await client.end();
      }
    }),
  );
}

async function open(cluster: LocalCluster, group: number): Promise<pg.Client> {
  const node = cluster.nodes.find((candidate: LocalNode) => candidate.group === group);
  if (node === undefined) throw new Error(`there is no group ${group}`);
  const client = new pg.Client({
    host: node.host,
    port: node.port,
    user: cluster.superuser,
    password: cluster.password,
    database: DATABASE,
  });
  await client.connect();
  return client;
}

function print(): void {
  console.log(`\n${shardTable(rows)}`);
  console.log(`\nGoals\n\n${goalsTable(judgeShards(rows))}`);
}
