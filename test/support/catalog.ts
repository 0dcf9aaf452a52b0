/** What every node of a cluster holds of one database, in a form that can be compared. */
import { type LocalCluster, query } from './cluster.ts';
import { stable } from './program.ts';

export interface NodeCatalog {
  readonly owner: string;
  readonly encoding: string;
  readonly connectionLimit: number;
  /** `name version schema`. */
  readonly extensions: readonly string[];
  /** `nodeid group address active synced`, the same on every node of a healthy cluster. */
  readonly nodes: readonly string[];
  readonly localGroup: number;
  /** `nodeid role`. */
  readonly authinfo: readonly string[];
  readonly parameters: readonly string[];
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
}

/** undefined: the database does not exist there. */
export async function catalogOf(
  cluster: LocalCluster,
  group: number,
  database: string,
): Promise<NodeCatalog | undefined> {
  const [found] = await query(
    cluster,
    group,
    'postgres',
    `SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, datconnlimit AS "connectionLimit",
       ARRAY(SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0 ORDER BY 1) AS parameters
     FROM pg_database d WHERE datname = $1`,
    [database],
  );
  if (found === undefined) return undefined;
  const { owner, encoding, connectionLimit, parameters } = found;
  const citus = await list(cluster, group, database, "SELECT 1 FROM pg_extension WHERE extname = 'citus'");
  const ofCitus = (text: string) => (citus.length === 0 ? [] : list(cluster, group, database, text));
  return {
    owner: String(owner),
    encoding: String(encoding),
    connectionLimit: Number(connectionLimit),
    parameters: Array.isArray(parameters) ? parameters.map(String) : [],
    extensions: await list(
      cluster,
      group,
      database,
      `SELECT concat_ws(' ', extname, extversion, nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
       WHERE extname NOT IN ('plpgsql', 'dblink')`,
    ),
    nodes: await ofCitus(
      `SELECT concat_ws(' ', nodeid, groupid, nodename || ':' || nodeport, isactive, metadatasynced)
       FROM pg_dist_node`,
    ),
    localGroup: Number((await ofCitus('SELECT groupid FROM pg_dist_local_group'))[0] ?? -1),
    authinfo: await ofCitus(`SELECT concat_ws(' ', nodeid, rolename) FROM pg_dist_authinfo`),
    schemas: await list(
      cluster,
      group,
      database,
      `SELECT nspname || ' ' || pg_get_userbyid(nspowner) FROM pg_namespace
       WHERE nspname !~ '^(pg_|information_schema|citus|public$|columnar)'`,
    ),
    tables: await ofCitus(`SELECT concat_ws(' ', logicalrelid::text, partmethod) FROM pg_dist_partition`),
  };
}

/** The catalogs of all nodes, the coordinator's first. */
export async function catalogsOf(
  cluster: LocalCluster,
  database: string,
): Promise<readonly (NodeCatalog | undefined)[]> {
  return await Promise.all(cluster.nodes.map(({ group }) => catalogOf(cluster, group, database)));
}

/** The first column of a query, sorted, with addresses replaced. */
export async function list(
  cluster: LocalCluster,
  group: number,
  database: string,
  text: string,
): Promise<readonly string[]> {
  const rows = await query(cluster, group, database, text);
  return rows.map((row) => stable(cluster, String(Object.values(row)[0]))).toSorted();
}

/** The first column of a query's first row. */
export async function firstValue(
  cluster: LocalCluster,
  group: number,
  database: string,
  text: string,
): Promise<unknown> {
  const [row] = await query(cluster, group, database, text);
  return row === undefined ? undefined : Object.values(row)[0];
}
