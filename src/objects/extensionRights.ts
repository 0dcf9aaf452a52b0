import { quoteLiteral } from '../postgres/quote.ts';
import { PIN_SEARCH_PATH } from './observe.ts';

/**
 * Behind what creates or updates an extension, in the same transaction: takes away what default privileges have given others
 * on the tables, sequences and schemas that it brought along. Whoever may write there decides what its functions do when a
 * superuser calls them (pg_partman's part_config, pg_cron's job); so does whoever may create objects in its schema, which is
 * no member of it and may be new as well. What its script grants stays, and so does what somebody granted on those that
 * were there before.
 *
 * New members are those whose row in pg_depend is of this transaction. Scripts know no role of this server, so that a
 * grant to one whom default privileges name comes from there; to PUBLIC it may be the script's. Without a superuser the
 * objects of a trusted extension may be a superuser's, whose grants only that one can take back.
 */
export const ONLY_AUTHORS_RIGHTS: readonly string[] = [
  PIN_SEARCH_PATH,
  `DO ${quoteLiteral(`
DECLARE
  given record;
  propagation pg_catalog.text := pg_catalog.current_setting('citus.enable_ddl_propagation', true);
BEGIN
  PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
  FOR given IN
    WITH members AS (
      SELECT d.classid, d.objid FROM pg_depend d
      WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.xmin = pg_current_xact_id()::xid
    ), objects AS (
      SELECT 'ALL' AS rights, CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass AS object,
        c.relowner AS owner, c.relacl AS acl
      FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
      UNION ALL
      SELECT 'ALL', 'SCHEMA ' || quote_ident(n.nspname), n.nspowner, n.nspacl
      FROM members m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
      UNION ALL
      SELECT 'CREATE', 'SCHEMA ' || quote_ident(n.nspname), n.nspowner, n.nspacl
      FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
      WHERE x.xmin = pg_current_xact_id()::xid AND n.xmin = pg_current_xact_id()::xid
        AND (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = n.nspowner)
    )
    SELECT DISTINCT o.rights, o.object, pg_get_userbyid(a.grantee) AS grantee
    FROM objects o CROSS JOIN LATERAL aclexplode(o.acl) a
    WHERE a.grantee NOT IN (0, o.owner) AND pg_has_role(o.owner, 'USAGE')
      AND EXISTS (SELECT FROM pg_default_acl f, aclexplode(f.defaclacl) g WHERE f.defaclrole = o.owner AND g.grantee = a.grantee)
  LOOP
    EXECUTE format('REVOKE %s ON %s FROM %I', given.rights, given.object, given.grantee);
  END LOOP;
  PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', coalesce(propagation, ''), true);
END`)}`,
];
