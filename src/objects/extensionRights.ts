import { quoteLiteral } from '../postgres/quote.ts';
import { PIN_SEARCH_PATH } from './observe.ts';

/**
 * Behind what creates or updates an extension, in the same transaction: takes away what default privileges have given others
 * on the tables, sequences and schemas that it brought along. Whoever may write there decides what its functions do when a
 * superuser calls them (pg_partman's part_config, pg_cron's job). What its script grants stays, and so does what somebody
 * granted on those that were there before.
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
    SELECT DISTINCT o.object, pg_get_userbyid(a.grantee) AS grantee
    FROM pg_depend d CROSS JOIN LATERAL (
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass AS object, c.relowner AS owner, c.relacl AS acl
        FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
        UNION ALL
        SELECT 'SCHEMA ' || quote_ident(n.nspname), n.nspowner, n.nspacl
        FROM pg_namespace n WHERE d.classid = 'pg_namespace'::regclass AND n.oid = d.objid) o
      CROSS JOIN LATERAL aclexplode(o.acl) a
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.xmin = pg_current_xact_id()::xid
      AND a.grantee NOT IN (0, o.owner) AND pg_has_role(o.owner, 'USAGE')
      AND EXISTS (SELECT FROM pg_default_acl f, aclexplode(f.defaclacl) g WHERE f.defaclrole = o.owner AND g.grantee = a.grantee)
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %I', given.object, given.grantee);
  END LOOP;
  PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', coalesce(propagation, ''), true);
END`)}`,
];
