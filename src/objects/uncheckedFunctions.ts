import { quoteLiteral } from '../postgres/quote.ts';
import { creators } from './access.ts';
import type { Kind } from './kind.ts';
import { HAS_CITUS, textArray } from './observe.ts';
import { accessChange } from './privileges.ts';
import { wording } from './wording.ts';

/**
 * Functions with which Citus changes its metadata, or dependencies, and which ask neither for the owner nor for a superuser
 * (Citus: metadata_sync.c, alter_table.c). PUBLIC may execute them, so that any role that may connect could
 * make shards unknown, a schema a tenant's, or drop a sequence of somebody else together with a table of its own. Citus
 * calls them on other nodes as the user who makes or alters tables, who therefore keeps the right.
 */
const UNCHECKED = [
  'citus_internal.add_tenant_schema(oid,integer)',
  'citus_internal.delete_placement_metadata(bigint)',
  'citus_internal.delete_tenant_schema(oid)',
  'citus_internal.update_none_dist_table_metadata(oid,"char",bigint,boolean)',
  'pg_catalog.citus_internal_add_tenant_schema(oid,integer)',
  'pg_catalog.citus_internal_delete_placement_metadata(bigint)',
  'pg_catalog.citus_internal_delete_tenant_schema(oid)',
  'pg_catalog.citus_internal_update_none_dist_table_metadata(oid,"char",bigint,boolean)',
  'pg_catalog.citus_unmark_object_distributed(oid,oid,integer,boolean)',
  'pg_catalog.worker_change_sequence_dependency(regclass,regclass,regclass)',
];

interface Observed {
  /** Who may execute each of those that this version of Citus has; '' is PUBLIC. */
  readonly executors: readonly (readonly string[])[];
}

/**
 * Oids of roles that use the functions, whoever let them: initSQL, somebody by hand. They keep the right when PUBLIC loses it, and
 * are no difference later: whom an application lets create a table is no reason to call its database unlike. PUBLIC is none of them.
 */
const MAKERS = `
    SELECT m.maker FROM (
      SELECT c.relowner FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
      UNION SELECT n.nspowner FROM pg_catalog.pg_namespace n
      UNION SELECT a.grantee FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) a
        WHERE a.privilege_type = 'CREATE'
      UNION SELECT d.datdba FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
      UNION SELECT a.grantee FROM pg_catalog.pg_database d CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) a
        WHERE d.datname = pg_catalog.current_database() AND a.privilege_type = 'CREATE'
    ) AS m (maker) WHERE m.maker <> 0`;

/** As with the database itself: where users are declared, PUBLIC has no right. */
export const uncheckedFunctions: Kind<Observed> = {
  key: 'uncheckedFunctions',
  scope: 'database',
  when: HAS_CITUS,
  observe: ({ users }) =>
    users.length === 0
      ? undefined
      : `pg_catalog.jsonb_build_object(
        'executors', (SELECT coalesce(pg_catalog.jsonb_agg(e.executors), '[]') FROM (
          SELECT (SELECT coalesce(pg_catalog.jsonb_agg(CASE a.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text END), '[]')
            FROM pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a) AS executors
          FROM pg_catalog.unnest(${textArray(UNCHECKED)}) AS w (name)
          JOIN pg_catalog.pg_proc f ON f.oid = pg_catalog.to_regprocedure(w.name)) e))`,
  diff: (database, observed, node) => {
    if (database.users.length === 0) return [];
    const declared = creators(database, database.owner);
    const isDone = (executors: readonly string[]) =>
      !executors.includes('') && declared.every((maker) => executors.includes(maker));
    if (observed?.executors.every(isDone) === true) return [];
    return [
      accessChange({
        ...{ node, scope: 'database' },
        ...wording('grant', 'functions of Citus that ask for no owner to those who may create objects, not to PUBLIC'),
        statements: ['SET LOCAL citus.enable_ddl_propagation = off', grantTo(declared)],
        failure: 'Failed to take functions of Citus from PUBLIC',
      }),
    ];
  },
};

/** Also to the roles that may create objects by the time of the statement: initSQL ran since they were observed. */
function grantTo(declared: readonly string[]): string {
  return `DO ${quoteLiteral(`
DECLARE
  given pg_catalog.regprocedure;
  maker pg_catalog.text;
BEGIN
  FOR given IN SELECT f.oid FROM pg_catalog.unnest(${textArray(UNCHECKED)}) AS w (name)
    JOIN pg_catalog.pg_proc f ON f.oid = pg_catalog.to_regprocedure(w.name)
  LOOP
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', given);
    FOR maker IN
      SELECT pg_catalog.unnest(${textArray(declared)})
      UNION SELECT pg_catalog.pg_get_userbyid(m.maker)::pg_catalog.text FROM (${MAKERS}) AS m
    LOOP
      EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I', given, maker);
    END LOOP;
  END LOOP;
END`)}`;
}
