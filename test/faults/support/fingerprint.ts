/** All that matters of a database on every node, in a form in which two runs of the program can be compared. */
import { connect, type LocalCluster } from '../../support/cluster.ts';

/** Lines of text by a title of `group: subject`. */
export type Fingerprint = Readonly<Record<string, readonly string[]>>;

/** Names of roles, and whether passwords are the same on all nodes is told apart: verifiers have random salts. */
const SERVER: Readonly<Record<string, string>> = {
  roles: `SELECT concat_ws(' ', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit,
      rolpassword IS NOT NULL) FROM pg_authid WHERE oid >= 16384`,
  members: `SELECT concat_ws(' ', roleid::regrole, member::regrole, admin_option) FROM pg_auth_members
    WHERE member >= 16384`,
  database: `SELECT concat_ws(' ', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datconnlimit,
      datallowconn, (SELECT array_agg(a ORDER BY a::text) FROM unnest(datacl) a)) FROM pg_database WHERE datname = $1`,
  settings: `SELECT concat_ws(' ', coalesce(r.rolname, '-'), s.setdatabase <> 0, c) FROM pg_db_role_setting s
    LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
    CROSS JOIN unnest(s.setconfig) c WHERE d.datname = $1 OR s.setdatabase = 0`,
};

/** On the coordinator only: the row of the managed database, and whether it points at the database that is there. */
const MANAGED = `SELECT concat_ws(' ', m.state, m.oid = d.oid) FROM citus_databases.managed_database m
  LEFT JOIN pg_database d ON d.datname = m.name WHERE m.name = $1`;

const INSIDE: Readonly<Record<string, string>> = {
  extensions: `SELECT concat_ws(' ', extname, extversion, nspname) FROM pg_extension
    JOIN pg_namespace n ON n.oid = extnamespace WHERE extname <> 'dblink'`,
  schemas: `SELECT concat_ws(' ', nspname, pg_get_userbyid(nspowner),
      (SELECT array_agg(a ORDER BY a::text) FROM unnest(nspacl) a)) FROM pg_namespace
    WHERE nspname !~ '^(pg_|information_schema|citus$|columnar)'`,
  relations: `SELECT concat_ws(' ', c.oid::regclass, relkind, pg_get_userbyid(relowner), i.indisvalid,
      (SELECT array_agg(a ORDER BY a::text) FROM unnest(relacl) a)) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
    WHERE nspname !~ '^(pg_|information_schema|citus$|columnar)' AND c.relname !~ '_[0-9]{6,}$'
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')`,
  columns: `SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype) FROM pg_attribute a
    JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('app', 'public') AND attnum > 0 AND c.relname !~ '_[0-9]{6,}$'
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')`,
  functions: `SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace IN
      (SELECT oid FROM pg_namespace WHERE nspname IN ('app', 'public'))
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = pg_proc.oid AND e.deptype = 'e')`,
  defaults: `SELECT concat_ws(' ', pg_get_userbyid(defaclrole), defaclnamespace::regnamespace, defaclobjtype,
      (SELECT array_agg(a ORDER BY a::text) FROM unnest(defaclacl) a)) FROM pg_default_acl`,
};

/** Numbers of nodes are given out by a sequence, which an attempt that failed has moved on: their order counts. */
const CITUS: Readonly<Record<string, string>> = {
  nodes: `SELECT concat_ws(' ', rank() OVER (ORDER BY nodeid), groupid, noderole, isactive, hasmetadata, metadatasynced,
      shouldhaveshards, nodename) FROM pg_dist_node`,
  localGroup: 'SELECT groupid FROM pg_dist_local_group',
  authinfo: `SELECT concat_ws(' ', nodeid, rolename, md5(authinfo)) FROM pg_dist_authinfo`,
  tables: `SELECT concat_ws(' ', p.logicalrelid, p.partmethod, (SELECT count(*) FROM pg_dist_shard s
      WHERE s.logicalrelid = p.logicalrelid)) FROM pg_dist_partition p`,
};

const LEDGER = `SELECT concat_ws(' ', line, occurrence, state, hash) FROM citus_databases.init_sql`;

export async function fingerprint(cluster: LocalCluster, database: string): Promise<Fingerprint> {
  const parts = await Promise.all(cluster.nodes.map(({ group }) => nodeFingerprint(cluster, group, database)));
  return Object.assign({}, ...parts);
}

async function nodeFingerprint(cluster: LocalCluster, group: number, database: string): Promise<Fingerprint> {
  const result: Record<string, readonly string[]> = {};
  const server = await connect(cluster, group, 'postgres');
  try {
    for (const [subject, text] of Object.entries(SERVER)) {
      const values = text.includes('$1') ? [database] : [];
      result[`${group}: ${subject}`] = await lines(server, text, values);
    }
    if (group === 0) result['0: managed'] = await lines(server, MANAGED, [database]);
    const own = "SELECT nspname FROM pg_namespace WHERE nspname = 'citus_databases'";
    if (group !== 0) result[`${group}: own schema in the maintenance database`] = await lines(server, own, []);
  } finally {
    await server.end();
  }
  const inside = await connect(cluster, group, database);
  try {
    const ledger = group === 0 ? { ledger: LEDGER } : {};
    for (const [subject, text] of Object.entries({ ...INSIDE, ...CITUS, ...ledger })) {
      result[`${group}: ${subject}`] = await lines(inside, text, []);
    }
    if (group === 0) result['0: effects'] = await lines(inside, 'SELECT line FROM app.effects', []);
    if (group === 0) result['0: events'] = await lines(inside, 'SELECT id FROM app.events', []);
  } finally {
    await inside.end();
  }
  return result;
}

async function lines(client: Awaited<ReturnType<typeof connect>>, text: string, values: unknown[]) {
  const { rows } = await client.query(text, values);
  return rows.map((row) => String(Object.values(row)[0])).toSorted();
}

/** `subject: - missing, + surplus`, one line each; empty when the two are the same. */
export function differences(expected: Fingerprint, actual: Fingerprint): readonly string[] {
  return [...new Set([...Object.keys(expected), ...Object.keys(actual)])].flatMap((subject) => {
    const [before, after] = [expected[subject] ?? [], actual[subject] ?? []];
    return [
      ...without(before, after).map((line) => `${subject}: - ${line}`),
      ...without(after, before).map((line) => `${subject}: + ${line}`),
    ];
  });
}

/** Lines that one list has more often than the other. */
function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at === -1) return true;
    left.splice(at, 1);
    return false;
  });
}
