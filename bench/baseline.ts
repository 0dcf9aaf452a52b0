import { existsSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import type { LocalNode } from '../src/localCluster/localNode.ts';
import { quoteIdentifier, quoteLiteral } from '../src/postgres/quote.ts';
import { authinfo, parameters } from './floor.ts';
import { succeeded, timed, WORK } from './program.ts';

/**
 * A careful script: one node after the other, one psql for each action, and a question before each, so that it can be
 * run again. It proves nothing at its end. Returns milliseconds.
 */
export async function measureBaseline(cluster: LocalCluster, database: string): Promise<number> {
  const [coordinator, ...workers] = cluster.nodes;
  if (coordinator === undefined) throw new Error('the cluster has no coordinator');
  const startedAt = performance.now();
  const ask = async (node: LocalNode, where: string, sql: string) => (await psql(cluster, node, where, sql)).trim();

  for (const node of [...workers, coordinator]) {
    await ask(node, 'postgres', 'SELECT 1');
    const known = `SELECT count(*) FROM pg_database WHERE datname = ${quoteLiteral(database)}`;
    if ((await ask(node, 'postgres', known)) === '0') {
      await ask(node, 'postgres', `CREATE DATABASE ${quoteIdentifier(database)}`);
    }
    const present = (await ask(node, database, 'SELECT extname FROM pg_extension')).split('\n');
    for (const name of ['citus', ...WORK.extensions]) {
      if (!present.includes(name)) await ask(node, database, `CREATE EXTENSION ${name}`);
    }
    if ((await ask(node, database, 'SELECT count(*) FROM pg_dist_authinfo')) === '0') {
      await ask(node, database, authinfo(cluster));
    }
  }
  const registered = (await ask(coordinator, database, 'SELECT groupid FROM pg_dist_node')).split('\n');
  if (!registered.includes('0')) {
    const self = `${quoteLiteral(coordinator.host)}, ${coordinator.port}`;
    await ask(coordinator, database, `SELECT citus_set_coordinator_host(${self})`);
  }
  for (const { host, port, group } of workers) {
    if (registered.includes(String(group))) continue;
    await ask(coordinator, database, `SELECT citus_add_node(${quoteLiteral(host)}, ${port}, groupid => ${group})`);
  }
  for (const node of cluster.nodes) {
    const count = `SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = ${quoteLiteral(database)}`;
    if ((await ask(node, 'postgres', count)) !== '0') continue;
    for (const sql of parameters(database)) await ask(node, 'postgres', sql);
  }
  return performance.now() - startedAt;
}

/** The psql beside the server, else the one on the path, else a fresh connection of our own each time. */
async function psql(cluster: LocalCluster, node: LocalNode, database: string, sql: string): Promise<string> {
  const program = findPsql(cluster);
  if (program === undefined) return await freshConnection(cluster, node, database, sql);
  const place = ['-h', node.host, '-p', String(node.port), '-U', cluster.superuser, '-d', database];
  const result = await timed(program, ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...place, '-c', sql], {
    PATH: process.env['PATH'],
    PGPASSWORD: cluster.password,
  });
  return succeeded('psql', result).output;
}

export function findPsql(cluster: LocalCluster): string | undefined {
  const folders = [cluster.bin, ...(process.env['PATH'] ?? '').split(path.delimiter)];
  return folders.map((folder) => path.join(folder, 'psql')).find((file) => existsSync(file));
}

async function freshConnection(
  cluster: LocalCluster,
  { host, port }: LocalNode,
  database: string,
  sql: string,
): Promise<string> {
  const client = new pg.Client({ host, port, database, user: cluster.superuser, password: cluster.password });
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows.map((row) => row.join('|')).join('\n');
  } finally {
    await client.end();
  }
}
