import { quoteLiteral } from '../postgres/quote.ts';

/**
 * One part of what is looked up on a node: an SQL expression that gives JSON, and the condition under which its
 * tables exist. Kinds of objects contribute one each; a node answers all of them in one round trip.
 */
export interface Fragment {
  readonly key: string;
  /** SQL condition; without it the fragment is always looked up. */
  readonly when?: string;
  /** SQL expression of type jsonb. It may read `observed`, which holds the fragments before it. */
  readonly value: string;
  /** The same where `when` is false. Without it nothing is said there. */
  readonly otherwise?: string | undefined;
  /** In place of `value` where that ends in invalid_parameter_value. */
  readonly orElse?: string;
  /** Reads shards in pg_class, where Citus hides them from everybody who does not ask for them. */
  readonly showsShards?: boolean;
}

/** Condition of a fragment that reads Citus' catalog. */
export const HAS_CITUS = "pg_catalog.to_regclass('pg_catalog.pg_dist_node') IS NOT NULL";

/** pg_dist_schema came with Citus 12.0; what the stand-in leaves out is missing there as well. */
export const HAS_SCHEMAS = "pg_catalog.to_regclass('pg_catalog.pg_dist_schema') IS NOT NULL";

/** For the message's transaction only: nothing that a database's search_path names may stand in for PostgreSQL's own. */
export const PIN_SEARCH_PATH = 'SET LOCAL search_path = pg_catalog';

/** Whoever may lock a view can make a look at its definition wait; it is tried again while there is time. */
const LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'";

/** Else PL/pgSQL parses each statement twice, also those that it does not reach (PostgreSQL: pl_comp.c, plpgsql_compile_inline()). */
const PARSE_WHAT_IS_REACHED = 'SET LOCAL check_function_bodies = off';

const SETTING = 'citus_databases.observed';

/**
 * One script for all fragments. PL/pgSQL plans a statement only when it is reached (PostgreSQL documentation,
 * "Plan Caching"), so a fragment may name tables that do not exist as long as its condition is false. A DO block
 * returns no rows: the result travels in a transaction-local setting. Both statements go in one simple-protocol
 * message and so in one implicit transaction.
 */
export function observationScript(fragments: readonly Fragment[]): string {
  const lines = fragments.map((fragment) => {
    const set = (value: string) =>
      `observed := observed || pg_catalog.jsonb_build_object(${quoteLiteral(fragment.key)}, ${value});`;
    const add =
      fragment.orElse === undefined
        ? set(fragment.value)
        : `BEGIN ${set(fragment.value)} EXCEPTION WHEN invalid_parameter_value THEN ${set(fragment.orElse)} END;`;
    const action = fragment.showsShards === true ? `${tableVisibility('off')} ${add} ${tableVisibility('on')}` : add;
    if (fragment.when === undefined) return `  ${action}`;
    const otherwise = fragment.otherwise === undefined ? '' : ` ELSE ${set(fragment.otherwise)}`;
    return `  IF ${fragment.when} THEN ${action}${otherwise} END IF;`;
  });
  const body = [
    '#variable_conflict use_column',
    "DECLARE observed pg_catalog.jsonb := '{}';",
    'BEGIN',
    ...lines,
    `  PERFORM pg_catalog.set_config('${SETTING}', observed::pg_catalog.text, true);`,
    'END',
  ].join('\n');
  return `${PIN_SEARCH_PATH};\n${LOCK_TIMEOUT};\n${PARSE_WHAT_IS_REACHED};\nDO ${dollarQuote(`\n${body}\n`)};\nSELECT pg_catalog.current_setting('${SETTING}') AS observed`;
}

/** Citus documentation, "Configuration Reference" (citus.override_table_visibility). */
export function tableVisibility(value: 'on' | 'off'): string {
  return `PERFORM pg_catalog.set_config('citus.override_table_visibility', '${value}', true);`;
}

/** Dollar quoting with a tag that the text does not contain (names in a spec may hold any character). */
export function dollarQuote(text: string): string {
  let tag = 'observe';
  while (text.includes(`$${tag}`)) tag += '_';
  return `$${tag}$${text}$${tag}$`;
}

/** `ARRAY['a','b']::text[]`, empty arrays included. */
export function textArray(values: readonly string[]): string {
  return `ARRAY[${values.map(quoteLiteral).join(', ')}]::pg_catalog.text[]`;
}

/** Of an `entry` in pg_db_role_setting, which is `name=value`. */
export const SETTING_NAME = "pg_catalog.split_part(entry, '=', 1)";

/** Far more than anybody sets on purpose, and far less than every role may set for itself. */
const LONGEST_VALUE = 8_192;

/**
 * What is longer is cut, and says how long the whole is and its digest: so two of them are equal where the whole is, and
 * none equals anything that is declared. Nothing of it belongs in a statement: {@link isCut}. `declared`: of what is
 * compared with them, the whole is read; the server stores lists with blanks and quotes.
 */
export function settingValue(declared: readonly string[] = []): string {
  const longest = Math.max(LONGEST_VALUE, ...declared.map((value) => 4 * value.length));
  return `(SELECT CASE WHEN pg_catalog.length(given) > ${longest}
    THEN pg_catalog."left"(given, ${longest}) || pg_catalog.format('... (%s characters, SHA-256 %s)', pg_catalog.length(given),
      pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(given, pg_catalog.getdatabaseencoding())), 'hex')) ELSE given END
  FROM (SELECT pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1) AS given) AS whole)`;
}

export const SETTING_VALUE = settingValue();

/** Of a {@link SETTING_VALUE}: it is not the whole. PostgreSQL counts code points, as the iterator of a string does. */
export function isCut(value: string): boolean {
  return value.length > LONGEST_VALUE && [...value].length > LONGEST_VALUE;
}

/** For messages. */
export const TOO_LONG_TO_READ = `longer than ${LONGEST_VALUE.toLocaleString('en-US')} characters`;

/** What {@link jsonRows} gives where there are none. */
export const NO_ROWS = "'[]'::pg_catalog.jsonb";

/** A jsonb array of the rows of a query, `[]` when there are none. */
export function jsonRows(query: string): string {
  return `(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(found)), '[]') FROM (${query}) found)`;
}
