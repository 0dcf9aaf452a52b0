import type { Release } from './release.ts';

/**
 * Everything that a run could touch in a database, on one node. xmin is the transaction that wrote a row, so a row that was
 * written again with the same content shows too.
 */
export async function fingerprint(release: Release, group: number, database: string): Promise<string> {
  return await release.sql(
    group,
    database,
    `SELECT 'database', oid, xmin::text, datdba, encoding FROM pg_database WHERE datname = current_database()
     UNION ALL SELECT 'extension', oid, xmin::text, extowner, extnamespace FROM pg_extension
     UNION ALL SELECT 'node', nodeid, xmin::text, groupid, nodeport FROM pg_dist_node
     UNION ALL SELECT 'authinfo', nodeid, xmin::text, 0, 0 FROM pg_dist_authinfo
     UNION ALL SELECT 'setting', setdatabase, xmin::text, setrole, 0 FROM pg_db_role_setting
       WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
     UNION ALL SELECT 'schema', oid, xmin::text, nspowner, 0 FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
     UNION ALL SELECT 'relation', oid, '', relowner, relfilenode FROM pg_class WHERE oid >= 16384 AND NOT relisshared
     ORDER BY 1, 2`,
  );
}
