import { quoteLiteral } from '../postgres/quote.ts';
import type { Change, Problem } from './change.ts';
import { type Fragment, HAS_CITUS, jsonRows } from './observe.ts';

/**
 * What Citus would evaluate as superuser on a node that it registers or syncs. It creates the objects there again and copies
 * the rows of reference tables, all as the superuser (Citus: metadata_sync.c; reference_table_utils.c,
 * CitusExtensionOwnerName()). A function in a CHECK constraint, generated column or index then runs for each row; one in a
 * partition's constraint or key when the partition is attached; one in a domain's constraint wherever a literal of the
 * domain is read (CREATE AGGREGATE … INITCOND, a partition's bound).
 */
export interface CarriedCode {
  /** As in "constraint c_check of table t". */
  readonly object: string;
  /** The function, with the types of its arguments. */
  readonly code: string;
  readonly owner: string;
}

const NOT_SUPERUSER = (role: string) =>
  `NOT EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = ${role} AND s.rolsuper)`;

/**
 * Ordinary defaults are not among them: they are created and not evaluated, for all columns are copied. Citus does not carry
 * operators, and refuses tables that use one of the owner's.
 */
const FOUND = `
  WITH evaluated (classid, objid, object) AS (
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 'constraint ' || pg_catalog.quote_ident(k.conname)
        || ' of table ' || k.conrelid::pg_catalog.regclass
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = k.conrelid WHERE k.contype = 'c'
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 'constraint ' || pg_catalog.quote_ident(k.conname)
        || ' of domain ' || k.contypid::pg_catalog.regtype
      FROM pg_catalog.pg_constraint k WHERE k.contypid <> 0
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, f.oid, 'generated column ' || pg_catalog.quote_ident(a.attname)
        || ' of table ' || a.attrelid::pg_catalog.regclass
      FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = f.adrelid WHERE a.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, 'index ' || i.indexrelid::pg_catalog.regclass
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = i.indrelid
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, t.partrelid::pg_catalog.oid, 'the partition key of table ' || t.partrelid::pg_catalog.regclass
      FROM pg_catalog.pg_partitioned_table t JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = t.partrelid
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, 'trigger ' || pg_catalog.quote_ident(g.tgname)
        || ' of table ' || g.tgrelid::pg_catalog.regclass
      FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = g.tgrelid
      WHERE NOT g.tgisinternal AND p.partmethod = 'n' AND p.repmodel = 't'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, r.rngtypid::pg_catalog.oid, 'range type ' || r.rngtypid::pg_catalog.regtype
      FROM pg_catalog.pg_range r)
  SELECT e.object, 'function ' || f.oid::pg_catalog.regprocedure AS code, pg_catalog.pg_get_userbyid(f.proowner) AS owner
    FROM evaluated e JOIN pg_catalog.pg_depend d ON d.classid = e.classid AND d.objid = e.objid
      JOIN pg_catalog.pg_proc f ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.oid = d.refobjid
    WHERE ${NOT_SUPERUSER('f.proowner')}`;

/** On the coordinator, whose catalogs Citus carries over. */
export function observeCarriedCode(): Fragment {
  return { key: 'carriedCode', when: HAS_CITUS, value: jsonRows(CARRIED_CODE) };
}

/** The same, as a query with the columns of CarriedCode. */
export const CARRIED_CODE = `${FOUND} ORDER BY 1, 2`;

/** `due`: what Citus is about to do, as in "Registering node w2". */
export function carriedCodeProblems(
  found: readonly CarriedCode[],
  due: string,
  coordinator: string,
): readonly Problem[] {
  return found.map(({ object, code, owner }) => ({
    kind: 'refused',
    what: `${due} would run ${code} of '${owner}' as superuser, for ${object}`,
    node: coordinator,
    next:
      'Read its text and what it calls, then give it to a superuser (ALTER … OWNER TO), or drop it; ' +
      'or have Citus do that step yourself, which runs it (docs/SECURITY.md)',
  }));
}

/** The same, asserted in the transaction of the step itself: the owner may have come in between. */
export function assertingNothingCarried(change: Change): Change {
  const assertion = `DO ${quoteLiteral(`
DECLARE
  carried record;
BEGIN
  SELECT * INTO carried FROM (${FOUND}) c LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'this would run ' || carried.code || ' of ' || carried.owner || ' as superuser, for ' || carried.object;
  END IF;
END`)}`;
  return {
    ...change,
    statements: [{ text: assertion }, ...change.statements],
    ...(change.oneByOne === undefined ? {} : { oneByOne: change.oneByOne.map(assertingNothingCarried) }),
  };
}
