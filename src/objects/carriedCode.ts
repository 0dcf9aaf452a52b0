import { quoteLiteral } from '../postgres/quote.ts';
import type { Change, Problem } from './change.ts';
import { HAS_CITUS, jsonRows, observationScript, tableVisibility, textArray } from './observe.ts';
import { hasOpenBody } from './openBody.ts';
import { CLOSED, OF_SUPERUSER } from './openSchemas.ts';

/**
 * What Citus would evaluate as superuser on a node that it registers or syncs. It creates the objects there again and copies
 * the rows of reference tables, all as the superuser (Citus: metadata_sync.c; reference_table_utils.c,
 * CitusExtensionOwnerName()). A function in a CHECK constraint, generated column or index then runs for each row; one in a
 * partition's constraint or key when the partition is attached; one in a domain's constraint wherever a literal of the
 * domain is read (CREATE AGGREGATE … INITCOND, a partition's bound). Planning the copy of a shard evaluates what is constant in
 * its indexes and statistics (PostgreSQL: optimizer/util/plancat.c, get_relation_info()), those that its table lacks as well.
 */
export interface CarriedCode {
  /** As in "constraint c_check of table t". */
  readonly object: string;
  /** The function, with the types of its arguments; `a call of` a superuser's. */
  readonly code: string;
  /** Whose function it is, or who has a superuser's called. */
  readonly owner: string;
}

/** Types whose values run nothing: no cast, no relation and no query hides behind them. */
const PLAIN_TYPES = [
  ...[
    'bool',
    'int2',
    'int4',
    'int8',
    'float4',
    'float8',
    'numeric',
    'money',
    'text',
    'varchar',
    'bpchar',
    'bytea',
    'uuid',
  ],
  ...['date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'tsvector', 'tsquery'],
];
/**
 * Functions of PostgreSQL that take any type, and call no more than the function that writes it as text. Not `text || anything`
 * nor quote_literal(): both are SQL that casts its argument, by the owner's cast where there is one.
 */
const OF_ANY_TYPE = [
  'concat',
  'concat_ws',
  'format',
  'array_to_string',
  'pg_column_size',
  'pg_column_compression',
  'pg_typeof',
];

/**
 * A function of a superuser that an owner may call with a superuser's rights, for it can do nothing with them. Whoever makes
 * a constraint needs no right to execute what is in it: lo_export() writes a file, ts_rewrite() and query_to_xml() run the
 * query that they are given, to_jsonb() runs the cast of a type, run_command_on_workers() anything. What is IMMUTABLE reads
 * its arguments alone, unless its own text leads to others (openBody.ts); now() and its like do no more.
 */
const HARMLESS = `(f.provolatile = 'i' AND NOT ${hasOpenBody('f.oid')} OR f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND f.provolatile = 's'
      AND (f.proname = ANY (${textArray(OF_ANY_TYPE)}) OR NOT EXISTS (
        SELECT FROM pg_catalog.unnest(f.proargtypes::pg_catalog.oid[] || f.prorettype) a (type)
        WHERE a.type <> ALL (ARRAY[${PLAIN_TYPES.map((type) => `'pg_catalog.${type}'::pg_catalog.regtype`).join(', ')}]::pg_catalog.oid[]))))`;

/** Citus' tables, their shards on this node (named after the table, with the shard's number), and what inherits from them. */
const TABLES = `tables (oid, own) AS (
    SELECT p.logicalrelid::pg_catalog.oid, true FROM pg_catalog.pg_dist_partition p
    UNION
    SELECT c.oid, false FROM pg_catalog.pg_class c JOIN pg_catalog.pg_dist_shard h
        ON h.shardid = pg_catalog."substring"(c.relname::pg_catalog.text, '_([0-9]{1,18})$')::pg_catalog.int8
      WHERE c.relkind IN ('r', 'p')
    UNION
    SELECT i.inhrelid, false FROM pg_catalog.pg_inherits i JOIN tables t ON t.oid = i.inhparent)`;

/**
 * Ordinary defaults are not among them: they are created and not evaluated, for all columns are copied. pg_depend does not
 * list functions of PostgreSQL's own, nor those behind operators: they are read from the expressions themselves (PostgreSQL:
 * nodes/primnodes.h; pg_node_tree). SQL/JSON constructors call casts to json, and no function by name.
 */
const FOUND = `
  WITH RECURSIVE ${TABLES}, ${CLOSED}, evaluated (classid, objid, own, owner, object, expression) AS (
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, true, c.relowner, 'constraint ' || pg_catalog.quote_ident(k.conname)
        || ' of table ' || k.conrelid::pg_catalog.regclass, k.conbin::pg_catalog.text
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = k.conrelid
        JOIN pg_catalog.pg_class c ON c.oid = k.conrelid WHERE k.contype = 'c'
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, true, t.typowner, 'constraint ' || pg_catalog.quote_ident(k.conname)
        || ' of domain ' || k.contypid::pg_catalog.regtype, k.conbin::pg_catalog.text
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type t ON t.oid = k.contypid
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, f.oid, true, c.relowner, 'generated column ' || pg_catalog.quote_ident(a.attname)
        || ' of table ' || a.attrelid::pg_catalog.regclass, f.adbin::pg_catalog.text
      FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = f.adrelid JOIN pg_catalog.pg_class c ON c.oid = f.adrelid
      WHERE a.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, t.own, c.relowner, 'index ' || i.indexrelid::pg_catalog.regclass,
        pg_catalog.concat(i.indexprs::pg_catalog.text, i.indpred::pg_catalog.text)
      FROM pg_catalog.pg_index i JOIN tables t ON t.oid = i.indrelid JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
      WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, x.oid, t.own, c.relowner,
        pg_catalog.format('statistics %I.%I', n.nspname, x.stxname), x.stxexprs::pg_catalog.text
      FROM pg_catalog.pg_statistic_ext x JOIN pg_catalog.pg_namespace n ON n.oid = x.stxnamespace
        JOIN tables t ON t.oid = x.stxrelid JOIN pg_catalog.pg_class c ON c.oid = x.stxrelid
      WHERE x.stxexprs IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, true, c.relowner, 'the partition key of table ' || t.partrelid::pg_catalog.regclass,
        t.partexprs::pg_catalog.text
      FROM pg_catalog.pg_partitioned_table t JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = t.partrelid
        JOIN pg_catalog.pg_class c ON c.oid = t.partrelid
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, true, c.relowner, 'trigger ' || pg_catalog.quote_ident(g.tgname)
        || ' of table ' || g.tgrelid::pg_catalog.regclass, g.tgqual::pg_catalog.text
      FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = g.tgrelid
        JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
      WHERE NOT g.tgisinternal AND p.partmethod = 'n' AND p.repmodel = 't'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, true, t.typowner, 'range type ' || r.rngtypid::pg_catalog.regtype, NULL
      FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid = r.rngtypid),
  called AS (
    SELECT e.object, e.own, e.owner, d.refobjid AS oid FROM evaluated e JOIN pg_catalog.pg_depend d ON d.classid = e.classid AND d.objid = e.objid
      WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION
    SELECT e.object, e.own, e.owner, m.found[1]::pg_catalog.oid
      FROM evaluated e, pg_catalog.regexp_matches(e.expression, ':[a-z]*funcid ([1-9][0-9]*)', 'g') m (found)
    UNION
    SELECT e.object, e.own, e.owner, o.oprcode::pg_catalog.oid FROM evaluated e,
        pg_catalog.regexp_matches(e.expression, ':opnos? [(o ]*([1-9][0-9 ]*)', 'g') m (found),
        pg_catalog.regexp_split_to_table(pg_catalog.btrim(m.found[1]), ' +') n (number)
        JOIN pg_catalog.pg_operator o ON o.oid = n.number::pg_catalog.oid),
  named AS (
    SELECT c.object, c.own, CASE WHEN ${OF_SUPERUSER('f.proowner')} THEN 'a call of ' ELSE '' END || 'function ' || f.oid::pg_catalog.regprocedure AS code,
        pg_catalog.pg_get_userbyid(CASE WHEN ${OF_SUPERUSER('f.proowner')} THEN c.owner ELSE f.proowner END) AS owner
      FROM called c JOIN pg_catalog.pg_proc f ON f.oid = c.oid
      WHERE NOT ${OF_SUPERUSER('f.proowner')}
        OR NOT ${OF_SUPERUSER('c.owner')} AND NOT ${HARMLESS}
          AND f.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
    UNION
    SELECT e.object, e.own, 'an SQL/JSON constructor', pg_catalog.pg_get_userbyid(e.owner) FROM evaluated e
      WHERE NOT ${OF_SUPERUSER('e.owner')} AND e.expression ~ '[{]JSONCONSTRUCTOREXPR')
  SELECT DISTINCT n.object, n.code, n.owner FROM named n
    WHERE n.own OR NOT EXISTS (SELECT FROM named o WHERE o.own AND o.code = n.code)`;

/** Where all functions and all tables are superusers', nothing is carried; shards are counted by their names, which takes time. */
const OTHERS_OWN = `(
    EXISTS (SELECT FROM pg_catalog.pg_proc f WHERE NOT ${OF_SUPERUSER('f.proowner')})
    OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE NOT ${OF_SUPERUSER('c.relowner')})
    OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE NOT ${OF_SUPERUSER('t.typowner')}))`;

/** For every node: Citus carries over what the coordinator's catalogs hold, and reads shards where they are. */
export function carriedCodeScript(): string {
  return observationScript([
    {
      key: 'carriedCode',
      when: `${HAS_CITUS} AND ${OTHERS_OWN}`,
      showsShards: true,
      value: jsonRows(`SELECT * FROM (${FOUND}) f ORDER BY 1, 2`),
    },
  ]);
}

export function readCarriedCode(observed: string): readonly CarriedCode[] {
  return (JSON.parse(observed) as { readonly carriedCode?: readonly CarriedCode[] }).carriedCode ?? [];
}

/** `due`: what Citus is about to do, as in "Registering node w2". What several nodes have is named once. */
export function carriedCodeProblems(
  nodes: readonly { readonly label: string; readonly found: readonly CarriedCode[] }[],
  due: string,
): readonly Problem[] {
  const named = new Map<string, CarriedCode & { readonly label: string }>();
  for (const { label, found } of nodes) {
    for (const carried of found) {
      const key = `${carried.code} for ${carried.object}`;
      if (!named.has(key)) named.set(key, { ...carried, label });
    }
  }
  return [...named.values()].map(({ object, code, owner, label }) => ({
    kind: 'refused',
    what: `${due} would run ${code} of '${owner}' as superuser, for ${object}`,
    node: label,
    next:
      'In one transaction, so that its owner cannot replace it meanwhile: give it to a superuser (ALTER … OWNER TO), read its text and what ' +
      'it calls, and only then COMMIT. Or drop it (a call: the table or the domain, or its constraint); or have Citus do that step ' +
      'yourself, which runs it (docs/SECURITY.md)',
  }));
}

/** The same, asserted in the transaction of the step itself: the owner may have come in between. */
export function assertingNothingCarried(change: Change): Change {
  const assertion = `DO ${quoteLiteral(`
DECLARE
  carried record;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
  ${tableVisibility('off')}
  SELECT * INTO carried FROM (${FOUND}) c LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'this would run ' || carried.code || ' of ' || carried.owner || ' as superuser, for ' || carried.object;
  END IF;
  ${tableVisibility('on')}
END`)}`;
  return {
    ...change,
    statements: [{ text: assertion }, ...change.statements],
    ...(change.oneByOne === undefined ? {} : { oneByOne: change.oneByOne.map(assertingNothingCarried) }),
  };
}
