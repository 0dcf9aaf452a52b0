import { textArray } from './observe.ts';

/**
 * Modules of PostgreSQL's contrib whose C functions ask the server nothing: none of them uses the Server Programming
 * Interface (PostgreSQL documentation, chapter "Server Programming Interface").
 */
const WITHOUT_QUERIES = [
  ...['btree_gin', 'btree_gist', 'citext', 'cube', 'fuzzystrmatch', 'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm'],
  ...['pgcrypto', 'seg', 'unaccent', 'uuid-ossp'],
];

/** Values that can name an object, or hold a piece of SQL. */
const NAMING_TYPES = [
  ...['text', 'varchar', 'bpchar', 'name', 'json', 'jsonb', 'xml', 'oid', 'regclass', 'regproc', 'regprocedure'],
  ...['regoper', 'regoperator', 'regtype', 'refcursor'],
];

/**
 * SQL condition on a row `f` of pg_proc: it may evaluate what it is given the name or the text of, whatever IMMUTABLE promises.
 * postgis_raster's _st_mapalgebra() runs an expression, PostGIS' st_fromflatgeobuftotable() makes a table, and
 * satisfies_hash_partition() plans the partition key of any table (PostgreSQL: partitioning/partbounds.c). Of C functions
 * there is no text to read, so those that are given nothing of the kind are accepted, and those of modules that are known.
 */
export const RUNS_WHAT_IT_IS_GIVEN = `(f.proname = 'satisfies_hash_partition' AND f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
    OR f.prolang = (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname = 'c')
      AND EXISTS (SELECT FROM pg_catalog.unnest(f.proargtypes::pg_catalog.oid[]) a (type)
        JOIN pg_catalog.pg_type t ON t.oid = a.type LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
        WHERE 'p' IN (t.typtype, e.typtype) OR coalesce(e.typname, t.typname) = ANY (${textArray(NAMING_TYPES)}))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = f.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND x.extname = ANY (${textArray(WITHOUT_QUERIES)})))`;
