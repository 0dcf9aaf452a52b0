import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { quoteIdentifier } from '../../src/postgres/quote.ts';
import { authinfoInsert, connect, type LocalCluster, nodeOf, query } from './cluster.ts';

export type ContractKind = 'real' | 'standIn';

/** Both kinds where this machine has real Citus; always the stand-in. CITUS_DATABASES_TEST_CITUS narrows it to one. */
export async function contractKinds(): Promise<readonly ContractKind[]> {
  const forced = process.env['CITUS_DATABASES_TEST_CITUS'];
  if (forced === 'real') return ['real'];
  if (forced === 'stand-in') return ['standIn'];
  return (await findRealCitus()) === undefined ? ['standIn'] : ['real', 'standIn'];
}

/** Of the servers, such as 13.2. */
export async function citusVersion(cluster: LocalCluster): Promise<number> {
  const text = "SELECT default_version AS version FROM pg_available_extensions WHERE name = 'citus'";
  return Number.parseFloat(String((await query(cluster, 0, 'postgres', text))[0]?.['version']));
}

/** What became of a statement, with ports and the password named rather than shown: equal on every kind of cluster. */
export type Outcome =
  | { readonly rows: readonly Readonly<Record<string, unknown>>[] }
  | { readonly code: string; readonly message: string; readonly detail?: string; readonly hint?: string };

export async function outcome(
  cluster: LocalCluster,
  group: number,
  database: string,
  text: string,
  user?: { readonly name: string; readonly password: string },
): Promise<Outcome> {
  const client = await connect(cluster, group, database, user);
  try {
    const result: unknown = await client.query(text);
    const last: unknown = Array.isArray(result) ? result.at(-1) : result;
    const rows = typeof last === 'object' && last !== null && 'rows' in last ? last.rows : [];
    const mask = (_key: string, value: unknown) => (typeof value === 'string' ? masked(cluster, value) : value);
    return { rows: JSON.parse(JSON.stringify(rows, mask)) };
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    const optional = (name: 'detail' | 'hint') => {
      const value: unknown = name in error ? Reflect.get(error, name) : undefined;
      return typeof value === 'string' ? { [name]: masked(cluster, value) } : {};
    };
    const message = masked(cluster, error.message);
    return { code: String(error.code), message, ...optional('detail'), ...optional('hint') };
  } finally {
    await client.end();
  }
}

function masked(cluster: LocalCluster, text: string): string {
  return cluster.nodes.reduce((masking, { group, port }) => masking.replaceAll(String(port), `PORT${group}`), text);
}

/** Warnings that a statement gives, whether it fails or not. */
export async function warnings(
  cluster: LocalCluster,
  group: number,
  database: string,
  text: string,
): Promise<readonly string[]> {
  const client = await connect(cluster, group, database);
  const seen: string[] = [];
  client.on('notice', (notice) => {
    if (notice.severity === 'WARNING') seen.push(masked(cluster, `${notice.code} ${notice.message}`));
  });
  await client.query(text).catch(() => undefined);
  await client.end();
  return seen;
}

export interface Preparation {
  /** Groups that get a pg_dist_authinfo row. Default: all. */
  readonly authinfo?: readonly number[];
  /** Groups that get the citus extension. Default: all. */
  readonly citus?: readonly number[];
  /** Groups that are registered. Default: none, but the coordinator gets its own name. */
  readonly workers?: readonly number[];
}

/** A database of its own for one fact, the same name on every node. */
export async function prepare(cluster: LocalCluster, database: string, preparation: Preparation = {}): Promise<void> {
  const all = cluster.nodes.map((node) => node.group);
  const { authinfo = all, citus = all, workers = [] } = preparation;
  await Promise.all(
    all.map(async (group) => {
      await query(cluster, group, 'postgres', `CREATE DATABASE ${quoteIdentifier(database)}`);
      if (!citus.includes(group)) return;
      await query(cluster, group, database, 'CREATE EXTENSION citus');
      if (authinfo.includes(group)) await query(cluster, group, database, authinfoInsert(cluster));
    }),
  );
  if (!citus.includes(0)) return;
  await query(cluster, 0, database, setCoordinator(cluster));
  for (const group of workers) await query(cluster, 0, database, `SELECT ${addNode(cluster, group)}`);
}

export function setCoordinator(cluster: LocalCluster): string {
  const { host, port } = nodeOf(cluster, 0);
  return `SELECT citus_set_coordinator_host('${host}', ${port})`;
}

export function addNode(cluster: LocalCluster, group: number, asGroup: number = group): string {
  const { host, port } = nodeOf(cluster, group);
  return `citus_add_node('${host}', ${port}, groupid => ${asGroup})`;
}

export function activateNode(cluster: LocalCluster, group: number): string {
  const { host, port } = nodeOf(cluster, group);
  return `citus_activate_node('${host}', ${port})`;
}

/** Citus' daemons on other nodes come back while the database goes: 55006 is worth another try. */
export async function dropDatabase(cluster: LocalCluster, group: number, database: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await outcome(cluster, group, 'postgres', `DROP DATABASE ${quoteIdentifier(database)} WITH (FORCE)`);
    if ('rows' in result) return;
    if (result.code !== '55006' || attempt === 50) throw new Error(`${result.code} ${result.message}`);
  }
}

/** How many of the cluster's links are up, according to citus_check_cluster_node_health(). */
export async function links(cluster: LocalCluster, group: number, database: string): Promise<unknown> {
  const [row] = await query(
    cluster,
    group,
    database,
    `SELECT count(*) FILTER (WHERE result)::int AS up, count(*) FILTER (WHERE NOT result)::int AS down,
       count(*) FILTER (WHERE result IS NULL)::int AS unknown FROM citus_check_cluster_node_health()`,
  );
  return row;
}
