import { RUNS_WHAT_IT_IS_GIVEN } from './givenCode.ts';
import { OF_SUPERUSER } from './openSchemas.ts';

/**
 * Superusers' functions whose text is read anew when they run. What it names in a schema in which others may create
 * functions can lead to one of theirs: PostGIS writes `SELECT public.ST_Translate($1, $2, $3, 0)`, and an overload for an
 * integer fits better than the one that it means. pg_depend does not say what a text names.
 */

/** Of these there is no text: they name C functions. */
const WITH_TEXT = `f.prolang NOT IN (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname IN ('internal', 'c'))
      AND f.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace`;

const IDENTIFIER = '"(?:[^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*';

/** `schema.name` anywhere in the text, strings included. */
const QUALIFIED = `(${IDENTIFIER})\\s*\\.\\s*(${IDENTIFIER}|\\S)`;

/** As PostgreSQL reads an identifier. */
const READ = (text: string) =>
  `CASE WHEN ${text} LIKE '"%' THEN pg_catalog.replace(pg_catalog.btrim(${text}, '"'), '""', '"') ELSE pg_catalog.lower(${text}) END`;

const NAMED = `pg_catalog.regexp_matches(f.prosrc, '${QUALIFIED}', 'g') m (found)
        JOIN pg_catalog.pg_namespace n ON n.nspname = ${READ('m.found[1]')}`;

/** Names without a schema lead to pg_catalog alone, unless the function has a path of its own. */
const OWN_PATH = `EXISTS (SELECT FROM pg_catalog.unnest(f.proconfig) entry
        WHERE entry LIKE 'search_path=%' AND entry !~ '^search_path=("?(pg_catalog|pg_temp|)"?(, *|$))*$')`;

/**
 * SQL condition, in a query `WITH RECURSIVE` that has openSchemas.ts' `CLOSED`: the function of that oid, or one that its text names or that it
 * depends on, can run code of others. A value of any type may be cast by a function of its owner.
 */
export function hasOpenBody(oid: string): string {
  return `EXISTS (WITH RECURSIVE reached (oid) AS (
      SELECT ${oid}
      UNION
      SELECT next.oid FROM reached r JOIN pg_catalog.pg_proc f ON f.oid = r.oid, LATERAL (
          SELECT d.refobjid AS oid FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = f.oid
              AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
          UNION ALL
          SELECT p.oid FROM ${NAMED}
            JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = ${READ('m.found[2]')}) next
        WHERE ${WITH_TEXT})
    SELECT FROM reached r JOIN pg_catalog.pg_proc f ON f.oid = r.oid
    WHERE NOT ${OF_SUPERUSER('f.proowner')}
      OR ${RUNS_WHAT_IT_IS_GIVEN}
      OR ${WITH_TEXT} AND (${OWN_PATH}
        OR EXISTS (SELECT FROM pg_catalog.unnest(f.proargtypes::pg_catalog.oid[]) a (type)
          JOIN pg_catalog.pg_type t ON t.oid = a.type WHERE t.typtype = 'p')
        OR EXISTS (SELECT FROM ${NAMED} WHERE n.oid NOT IN (SELECT c.oid FROM closed c)
          AND n.nspname NOT IN ('pg_catalog', 'information_schema'))))`;
}
