import type { Fragment } from './observe.ts';

/** Which schemas are the superusers' alone. All names are those of pg_catalog: the search_path is pinned. */

export const OF_SUPERUSER = (role: string) =>
  `EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = ${role} AND s.rolsuper)`;

/** The role that initdb makes, to which all belongs that comes with PostgreSQL (catalog/pg_authid.dat). */
const BOOTSTRAP_SUPERUSER = 10;

/** In a query with {@link CLOSED}: they are looked up once, as to plan each look takes longer than to execute it. */
const NO_SUPERUSER = (role: string) => `${role} <> ALL ((SELECT oids FROM superusers)::oid[])`;

const OF_OTHERS = (owner: string) => `${owner} <> ${BOOTSTRAP_SUPERUSER} AND ${NO_SUPERUSER(owner)}`;

/**
 * Schemas in which superusers alone make objects. The owner of the database stands behind pg_database_owner. An operator is
 * seldom named with its schema: one that somebody made while it was allowed would be found.
 */
export const CLOSED = `superusers AS MATERIALIZED (SELECT ARRAY(SELECT s.oid FROM pg_roles s WHERE s.rolsuper) AS oids),
closed AS (
  SELECT n.oid, n.nspname FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner
  WHERE (o.rolsuper OR o.rolname = 'pg_database_owner' AND EXISTS (SELECT FROM pg_database d
      WHERE d.datname = current_database() AND NOT ${NO_SUPERUSER('d.datdba')}))
    AND NOT EXISTS (SELECT FROM aclexplode(n.nspacl) a
      WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner AND ${NO_SUPERUSER('a.grantee')})
    AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprnamespace = n.oid AND ${OF_OTHERS('o.oprowner')}))`;

/** Others own a schema, or may create objects in one, or schemas. Needs {@link CLOSED}. */
export const OTHERS_MAY_CREATE = `(EXISTS (SELECT FROM pg_namespace n WHERE n.oid NOT IN (SELECT oid FROM closed))
    OR EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) a
         WHERE d.datname = current_database() AND a.privilege_type = 'CREATE' AND ${NO_SUPERUSER('a.grantee')}))`;

/**
 * Expression of type boolean: others may put a trigger on the relation, or a foreign key of theirs, whose triggers then run
 * with statements on it. They need no schema for that: the function may be in pg_temp.
 */
export const MAY_BE_ATTACHED_TO = (relation: string) =>
  `(EXISTS (SELECT FROM aclexplode(${relation}.relacl) a
      WHERE a.privilege_type IN ('TRIGGER', 'REFERENCES') AND NOT ${OF_SUPERUSER('a.grantee')})
    OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a
      WHERE t.attrelid = ${relation}.oid AND a.privilege_type = 'REFERENCES' AND NOT ${OF_SUPERUSER('a.grantee')}))`;

/** The same of tables, and of schemas, that a superuser will make: by default privileges. */
export const OTHERS_GET_PLACES = `EXISTS (SELECT FROM pg_default_acl f, aclexplode(f.defaclacl) a
    WHERE ${OF_SUPERUSER('f.defaclrole')} AND NOT ${OF_SUPERUSER('a.grantee')}
      AND (f.defaclobjtype = 'r' AND a.privilege_type IN ('TRIGGER', 'REFERENCES') OR f.defaclobjtype = 'n' AND a.privilege_type = 'CREATE'))`;

/** Also where they can no longer: what they made stays, and names without a schema still lead to it. */
export const IS_OPEN = `(WITH ${CLOSED} SELECT ${OTHERS_MAY_CREATE}
    OR EXISTS (SELECT FROM pg_proc p WHERE ${OF_OTHERS('p.proowner')}))`;

/**
 * Whatever the spec says: rights may have been granted by initSQL, by hand, or by an older PostgreSQL (schema public), and
 * taken back when somebody had used them.
 */
export function observeOpen(): Fragment {
  return { key: 'open', value: IS_OPEN };
}
