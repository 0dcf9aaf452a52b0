/** Names that an owner puts in the way of PostgreSQL's and Citus' own. */

/** Argument types that a literal in a call fits better than the type of the function that is meant. */
const CLOSER: Readonly<Record<string, string>> = {
  int8: 'int4',
  int2: 'int4',
  oid: 'int4',
  float4: 'numeric',
  float8: 'numeric',
  regclass: 'text',
  regproc: 'text',
  name: 'text',
  '"char"': 'text',
  timestamptz: 'text',
  _text: 'text',
};

/** For each function of Citus one of the same name in `public` that takes what its callers write at least as well. */
export function overloads(trap: string): string {
  const closer = Object.entries(CLOSER).map(([from, to]) => `WHEN '${from}' THEN '${to}'`);
  return functionsOf(
    'public',
    `CASE t.typname ${closer.join(' ')} ELSE pg_catalog.format_type(t.oid, NULL) END`,
    trap,
    `e.extname = 'citus'`,
  );
}

/** Each function of Citus, and of PostgreSQL those that are called everywhere, once more in a schema of hers. */
export function shadows(schema: string, trap: string): string {
  return `CREATE SCHEMA ${schema}; GRANT USAGE ON SCHEMA ${schema} TO PUBLIC;
    ${functionsOf(
      schema,
      'pg_catalog.format_type(t.oid, NULL)',
      trap,
      `(e.extname = 'citus' OR p.proname IN ('current_setting', 'set_config', 'pg_backend_pid', 'pg_is_in_recovery',
        'pg_try_advisory_lock', 'pg_advisory_lock', 'to_regclass', 'md5', 'pg_get_userbyid', 'format_type', 'now', 'host',
        'pg_terminate_backend', 'current_database', 'generate_series', 'hashtextextended'))`,
    )}`;
}

function functionsOf(schema: string, type: string, trap: string, which: string): string {
  return `DO $make$
    DECLARE f record;
    BEGIN
      FOR f IN
        SELECT p.proname, p.proretset, pg_catalog.format_type(p.prorettype, NULL) AS result,
          coalesce((SELECT pg_catalog.string_agg(${type}, ', ' ORDER BY a.position)
            FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY a (type, position) JOIN pg_catalog.pg_type t ON t.oid = a.type), '') AS arguments
        FROM pg_catalog.pg_proc p
          LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND ${which}
          AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype, 'record'::regtype)
          AND NOT 'internal'::regtype = ANY (p.proargtypes)
      LOOP
        BEGIN
          EXECUTE pg_catalog.format('CREATE FUNCTION ${schema}.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', f.proname, f.arguments,
            CASE WHEN f.proretset THEN 'SETOF' ELSE '' END, f.result,
            'BEGIN PERFORM ${trap.replaceAll("'", "''")}; RETURN' || CASE WHEN f.proretset OR f.result = 'void' THEN '' ELSE ' NULL' END || '; END');
        EXCEPTION WHEN duplicate_function OR insufficient_privilege OR invalid_function_definition OR feature_not_supported OR undefined_object THEN NULL;
        END;
      END LOOP;
    END $make$;`;
}

/** Operators between types that PostgreSQL itself compares and joins only by way of a cast. */
export function operators(trap: string): string {
  const pairs = [
    ['=', 'name', 'text'],
    ['=', 'text', 'name'],
    ['=', 'oid', 'int4'],
    ['=', 'oid', 'int8'],
    ['=', '"char"', 'text'],
    ['<>', '"char"', 'text'],
    ['||', 'text', 'int4'],
    ['||', 'name', 'text'],
  ] as const;
  return pairs
    .map(([operator, left, right], index) => {
      const result = operator === '||' ? 'text' : 'boolean';
      const value = operator === '||' ? '$1::text OPERATOR(pg_catalog.||) $2::text' : 'NULL';
      return `CREATE FUNCTION public.operator_${index}(${left}, ${right}) RETURNS ${result} LANGUAGE plpgsql AS
          $f$ BEGIN PERFORM ${trap}; RETURN ${value}; END $f$;
        CREATE OPERATOR public.${operator} (LEFTARG = ${left}, RIGHTARG = ${right}, FUNCTION = public.operator_${index});`;
    })
    .join('\n');
}

/** The name of an attack as the trap writes it. */
export function trapName(name: string): string {
  return name.replaceAll(/\W+/g, '_');
}
