import type { Fragment } from './observe.ts';

/** Which schemas are the superusers' alone. All names are those of pg_catalog: the search_path is pinned. */

export const OF_SUPERUSER = (role: string) => `EXISTS (SELECT FROM pg_roles s WHERE s.oid = ${role} AND s.rolsuper)`;

/** Schemas in which superusers alone make objects. The owner of the database stands behind pg_database_owner. */
export const CLOSED = `closed AS (
  SELECT n.oid, n.nspname FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner
  WHERE (o.rolsuper OR o.rolname = 'pg_database_owner' AND EXISTS (SELECT FROM pg_database d
      WHERE d.datname = current_database() AND ${OF_SUPERUSER('d.datdba')}))
    AND NOT EXISTS (SELECT FROM aclexplode(n.nspacl) a
      WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner AND NOT ${OF_SUPERUSER('a.grantee')}))`;

/** Others own a schema, or may create objects in one, or schemas. Needs {@link CLOSED}. */
export const OTHERS_MAY_CREATE = `(EXISTS (SELECT FROM pg_namespace n WHERE n.oid NOT IN (SELECT oid FROM closed))
    OR EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) a
         WHERE d.datname = current_database() AND a.privilege_type = 'CREATE' AND NOT ${OF_SUPERUSER('a.grantee')}))`;

/** Whatever the spec says: rights may have been granted by initSQL, by hand, or by an older PostgreSQL (schema public). */
export function observeOthersMayCreate(): Fragment {
  return { key: 'othersMayCreate', value: `(WITH ${CLOSED} SELECT ${OTHERS_MAY_CREATE})` };
}
