/**
 * Local clusters for tests; a test gets one from fixtures.ts. One screen of usage:
 *
 *     import { connect, query, clusterSpec, startLocalCluster } from './cluster.ts';
 *
 *     const cluster = await startLocalCluster({ workers: 2 });       // real Citus if this machine has it, else the stand-in
 *     const [coordinator, first, second] = cluster.nodes;            // groups 0, 1, 2, each with host and port
 *     const spec = clusterSpec(cluster);                             // the `cluster` part of a Spec
 *     await query(cluster, 1, 'skymap', 'SELECT 1');                 // rows, from the database `skymap` of group 1
 *     const client = await connect(cluster, 0, 'postgres');          // a pg Client: end it yourself
 *     await first.stop('immediate');                                 // a crash; then first.start(), or first.restart()
 *     await cluster.stop();                                          // the fixture does; also happens when the process dies
 *
 * The servers are empty: PostgreSQL's own databases, no extension, nothing registered. The superuser `postgres` has a
 * password with a space, quotes and a backslash (`cluster.password`, also in `cluster.passwordFile`). Ports are free
 * ones unless `ports` is given. Server logs are in `node.logFile`; `logStatements: true` puts every statement there.
 *
 * `citus: 'real' | 'standIn' | 'none'` asks for one kind; CITUS_DATABASES_TEST_CITUS=real|stand-in decides what the
 * default, 'auto', means. `cluster.kind` says what it became. `withCitus(cluster, database)` makes that database on
 * all nodes, with citus in it, authinfo rows on every node and all workers registered: a Citus database made by hand.
 *
 * TLS: `ssl: { certificate, key, ca }` (PEM files), `hba: ['hostssl all all all scram-sha-256 clientcert=verify-ca']`,
 * `serverSettings: { 'citus.node_conninfo': 'sslmode=verify-ca sslrootcert=…' }`; the files, as the servers read them,
 * are in `cluster.sslDirectory`.
 */
import pg from 'pg';
import type { LocalCluster } from '../../src/localCluster/localCluster.ts';
import type { LocalNode } from '../../src/localCluster/localNode.ts';
import { quoteConninfoValue, quoteIdentifier, quoteLiteral } from '../../src/postgres/quote.ts';
import type { ClusterSpec, NodeSpec } from '../../src/spec/types.ts';

export { type LocalCluster, type LocalClusterOptions, startLocalCluster } from '../../src/localCluster/localCluster.ts';
export type { LocalNode } from '../../src/localCluster/localNode.ts';

/** `ssl` of a spec whose cluster has no certificates. */
export const NO_SSL = {
  enabled: false,
  mode: 'disable',
  directory: '/unused',
  ca: 'ca.crt',
  certificate: 'server.crt',
  key: 'server.key',
  nodeDirectory: '/unused',
} as const;

export function nodeOf(cluster: LocalCluster, group: number): LocalNode {
  const node = cluster.nodes.find((candidate) => candidate.group === group);
  if (node === undefined) throw new Error(`The cluster has no group ${group}`);
  return node;
}

/** A connected client, as the superuser unless `user` says otherwise. */
export async function connect(
  cluster: LocalCluster,
  group: number,
  database: string,
  user: { readonly name: string; readonly password: string } = { name: cluster.superuser, password: cluster.password },
): Promise<pg.Client> {
  const { host, port } = nodeOf(cluster, group);
  const client = new pg.Client({ host, port, database, user: user.name, password: user.password });
  await client.connect();
  return client;
}

/** The rows of one statement (or of the last of several), as the superuser, in a connection of its own. */
export async function query(
  cluster: LocalCluster,
  group: number,
  database: string,
  text: string,
  values?: readonly unknown[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = await connect(cluster, group, database);
  try {
    // Several statements in one text give several results, which pg's types do not say.
    const result: unknown = values === undefined ? await client.query(text) : await client.query(text, [...values]);
    const last: unknown = Array.isArray(result) ? result.at(-1) : result;
    return last instanceof pg.Result ? last.rows : [];
  } finally {
    await client.end();
  }
}

/** The `cluster` part of a validated spec. */
export function clusterSpec(cluster: LocalCluster): ClusterSpec {
  return {
    name: 'citusdemo',
    citus: cluster.kind !== 'plain',
    user: cluster.superuser,
    passwordFile: cluster.passwordFile,
    withoutSuperuser: false,
    acceptServerWithoutProof: false,
    acceptUndeclaredNodes: false,
    database: 'citus',
    image: undefined,
    coordinator: nodeSpec(nodeOf(cluster, 0)),
    workers: cluster.nodes.filter((node) => node.group !== 0).map(nodeSpec),
  };
}

function nodeSpec({ group, host, port }: LocalNode): NodeSpec {
  return { group, host, port, nodeName: host, nodePort: port };
}

/** One row of pg_dist_authinfo that lets every node log in on every other as the superuser. */
export function authinfoInsert(cluster: LocalCluster): string {
  const authinfo = `password=${quoteConninfoValue(cluster.password)}`;
  const row = `0, ${quoteLiteral(cluster.superuser)}, ${quoteLiteral(authinfo)}`;
  return `INSERT INTO pg_catalog.pg_dist_authinfo (nodeid, rolename, authinfo) VALUES (${row})`;
}

/** Makes the database on all nodes with citus in it, authenticated and registered: what `apply` does, by hand. */
export async function withCitus(cluster: LocalCluster, database: string): Promise<void> {
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', `CREATE DATABASE ${quoteIdentifier(database)}`);
    await query(cluster, group, database, 'CREATE EXTENSION citus');
    await query(cluster, group, database, authinfoInsert(cluster));
  }
  const { host, port } = nodeOf(cluster, 0);
  await query(cluster, 0, database, 'SELECT pg_catalog.citus_set_coordinator_host($1, $2)', [host, port]);
  const workers = cluster.nodes.filter((node) => node.group !== 0);
  for (const { host, port, group } of workers) {
    await query(cluster, 0, database, 'SELECT pg_catalog.citus_add_node($1, $2, groupid => $3)', [host, port, group]);
  }
}
