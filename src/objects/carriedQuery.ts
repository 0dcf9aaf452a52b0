import { textArray } from './observe.ts';
import { hasOpenBody } from './openBody.ts';
import { CLOSED, OF_SUPERUSER } from './openSchemas.ts';
import { SHARD_NUMBER } from './shardRelations.ts';

/** The query of carriedCode.ts: what is evaluated, which functions that calls, and which of them count. */

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
 * its arguments alone, unless its own text leads to others (openBody.ts); now() and its like do no more. pg_input_is_valid() calls
 * the input function of the type that it is given the name of, and so the constraint of a domain.
 */
const HARMLESS = `(f.provolatile = 'i' AND NOT ${hasOpenBody('f.oid')} OR f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND f.provolatile = 's' AND f.proname <> 'pg_input_is_valid'
      AND (f.proname = ANY (${textArray(OF_ANY_TYPE)}) OR NOT EXISTS (
        SELECT FROM pg_catalog.unnest(f.proargtypes::pg_catalog.oid[] || f.prorettype) a (type)
        WHERE a.type <> ALL (ARRAY[${PLAIN_TYPES.map((type) => `'pg_catalog.${type}'::pg_catalog.regtype`).join(', ')}]::pg_catalog.oid[]))))`;

/** NAMEDATALEN: Citus shortens a longer name of a shard (Citus: relay_event_utility.c, AppendShardIdToName()). */
const NAME_BYTES = 64;

/** Citus' tables, their shards on this node (named after the table, with the shard's number), and what inherits from them. */
const TABLES = `tables (oid, own) AS (
    SELECT p.logicalrelid::pg_catalog.oid, true FROM pg_catalog.pg_dist_partition p
    UNION
    SELECT c.oid, false FROM pg_catalog.pg_class c JOIN pg_catalog.pg_dist_shard h
        ON h.shardid = ${SHARD_NUMBER('c')}
      WHERE c.relkind IN ('r', 'p')
    UNION
    SELECT i.inhrelid, false FROM pg_catalog.pg_inherits i JOIN tables t ON t.oid = i.inhparent)`;

/**
 * Citus sends expressions as text, and the node that it sends them to looks the names up again. There a function or an operator
 * of somebody else, by the same name in the same schema, may fit the arguments better. For the same reason casts count
 * whatever the expressions say: `value::text` is stored without a function where there is none for it (PostgreSQL:
 * primnodes.h, CoerceViaIO), whoever owns a type may make one on each node by itself, and Citus carries none.
 */
const FITS_AS_WELL = (other: string, prefix: string, meant: string, owner: string) =>
  `(${other}.${prefix}namespace = ${meant}.${prefix}namespace AND ${other}.${prefix}name = ${meant}.${prefix}name
          AND ${meant}.${prefix}namespace <> 'pg_catalog'::pg_catalog.regnamespace AND NOT ${OF_SUPERUSER(owner)})`;

/** Relations `c` of others by the name of a shard, of another kind than its table: a view, or a partitioned table. */
const NO_SHARDS_OF_THEIRS = `pg_catalog.pg_class c
      JOIN pg_catalog.pg_dist_shard h ON h.shardid = ${SHARD_NUMBER('c')}
      JOIN pg_catalog.pg_class t ON t.oid = h.logicalrelid AND t.relnamespace = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relkind <> t.relkind AND NOT ${OF_SUPERUSER('c.relowner')}
        AND (c.relname = t.relname || '_' || h.shardid OR pg_catalog.octet_length(t.relname || '_' || h.shardid) >= ${NAME_BYTES})`;

/**
 * Ordinary defaults are not among them: they are created and not evaluated, for all columns are copied. pg_depend does not
 * list functions of PostgreSQL's own, nor those behind operators: they are read from the expressions themselves (PostgreSQL:
 * nodes/primnodes.h; pg_node_tree). SQL/JSON constructors call casts to json, and no function by name.
 */
export const FOUND = `
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
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, f.oid, t.own, c.relowner, 'generated column ' || pg_catalog.quote_ident(a.attname)
        || ' of table ' || a.attrelid::pg_catalog.regclass, f.adbin::pg_catalog.text
      FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
        JOIN tables t ON t.oid = f.adrelid JOIN pg_catalog.pg_class c ON c.oid = f.adrelid
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
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, t.own, c.relowner, 'the partition key of table ' || k.partrelid::pg_catalog.regclass,
        k.partexprs::pg_catalog.text
      FROM pg_catalog.pg_partitioned_table k JOIN tables t ON t.oid = k.partrelid JOIN pg_catalog.pg_class c ON c.oid = k.partrelid
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, true, c.relowner, 'trigger ' || pg_catalog.quote_ident(g.tgname)
        || ' of table ' || g.tgrelid::pg_catalog.regclass, g.tgqual::pg_catalog.text
      FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = g.tgrelid
        JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
      WHERE NOT g.tgisinternal AND p.partmethod = 'n' AND p.repmodel = 't'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, true, t.typowner, 'range type ' || r.rngtypid::pg_catalog.regtype, NULL
      FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid = r.rngtypid),
  direct (object, own, owner, oid) AS (
    SELECT e.object, e.own, e.owner, d.refobjid FROM evaluated e JOIN pg_catalog.pg_depend d ON d.classid = e.classid AND d.objid = e.objid
      WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION
    SELECT e.object, e.own, e.owner, m.found[1]::pg_catalog.oid
      FROM evaluated e, pg_catalog.regexp_matches(e.expression, ':[a-z]*funcid ([1-9][0-9]*)', 'g') m (found)
    UNION
    SELECT e.object, e.own, e.owner, o.oprcode::pg_catalog.oid FROM evaluated e,
        pg_catalog.regexp_matches(e.expression, ':opnos? [(o ]*([1-9][0-9 ]*)', 'g') m (found),
        pg_catalog.regexp_split_to_table(pg_catalog.btrim(m.found[1]), ' +') n (number)
        JOIN pg_catalog.pg_operator u ON u.oid = n.number::pg_catalog.oid
        JOIN pg_catalog.pg_operator o ON o.oid = u.oid OR ${FITS_AS_WELL('o', 'opr', 'u', 'o.oprowner')}),
  called AS (
    SELECT * FROM direct
    UNION
    SELECT d.object, d.own, d.owner, g.oid FROM direct d JOIN pg_catalog.pg_proc f ON f.oid = d.oid
      JOIN pg_catalog.pg_proc g ON ${FITS_AS_WELL('g', 'pro', 'f', 'g.proowner')}
    UNION
    SELECT 'cast (' || c.castsource::pg_catalog.regtype || ' AS ' || c.casttarget::pg_catalog.regtype || ')', true,
        CASE WHEN ${OF_SUPERUSER('x.typowner')} THEN t.typowner ELSE x.typowner END, c.castfunc
      FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type x ON x.oid = c.castsource JOIN pg_catalog.pg_type t ON t.oid = c.casttarget
      WHERE c.castfunc <> 0),
  named AS (
    SELECT c.object, c.own, CASE WHEN ${OF_SUPERUSER('f.proowner')} THEN 'a call of ' ELSE '' END || 'function ' || f.oid::pg_catalog.regprocedure AS code,
        pg_catalog.pg_get_userbyid(CASE WHEN ${OF_SUPERUSER('f.proowner')} THEN c.owner ELSE f.proowner END) AS owner
      FROM called c JOIN pg_catalog.pg_proc f ON f.oid = c.oid
      WHERE NOT ${OF_SUPERUSER('f.proowner')}
        OR NOT ${OF_SUPERUSER('c.owner')} AND NOT ${HARMLESS}
          AND f.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
    UNION
    SELECT e.object, e.own, 'an SQL/JSON constructor', pg_catalog.pg_get_userbyid(e.owner) FROM evaluated e
      WHERE NOT ${OF_SUPERUSER('e.owner')} AND e.expression ~ '[{]JSONCONSTRUCTOREXPR'
    UNION
    SELECT 'shard ' || c.oid::pg_catalog.regclass, true, 'what is in its place', pg_catalog.pg_get_userbyid(c.relowner) FROM ${NO_SHARDS_OF_THEIRS})
  SELECT DISTINCT n.object, n.code, n.owner FROM named n
    WHERE n.own OR NOT EXISTS (SELECT FROM named o WHERE o.own AND o.code = n.code)`;
