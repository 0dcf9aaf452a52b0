import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { Problem } from './change.ts';
import { type Fragment, jsonRows, NO_ROWS, PIN_SEARCH_PATH, textArray } from './observe.ts';
import { OF_SUPERUSER } from './openSchemas.ts';

/**
 * The script of an extension that is made or updated runs as superuser, and looks up names in the schema of the extension and
 * in those of extensions that it requires (PostgreSQL documentation, CREATE EXTENSION and "Packaging Related Objects into an
 * Extension"). A function of somebody else there that shares its name with one of PostgreSQL, or of an extension, runs in its
 * place where its argument types fit better; so does an operator. Trusted extensions are written against that, since owners
 * of databases make them.
 */
interface ScriptOf {
  readonly name: string;
  readonly schema?: string | undefined;
}

export interface MistakenNames {
  readonly extension: string;
  /** With their owners. */
  readonly names: readonly string[];
}

const ANY_OF_OTHERS = `(EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE NOT ${OF_SUPERUSER('p.proowner')})
    OR EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE NOT ${OF_SUPERUSER('o.oprowner')}))`;

const SHARED_NAMES = `SELECT q.proname FROM pg_catalog.pg_proc q WHERE q.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
      OR q.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e')`;

function mistakenNames(extensions: readonly ScriptOf[]): string {
  const names = textArray(extensions.map(({ name }) => name));
  const schemas = textArray(extensions.map(({ schema = '' }) => schema));
  return `SELECT extension, names FROM (
      SELECT s.name AS extension, ARRAY(
          SELECT p.oid::pg_catalog.regprocedure || ' of ' || pg_catalog.pg_get_userbyid(p.proowner) FROM pg_catalog.pg_proc p
          WHERE p.pronamespace = ANY (s.path) AND NOT ${OF_SUPERUSER('p.proowner')} AND p.proname IN (${SHARED_NAMES})
          UNION ALL
          SELECT o.oid::pg_catalog.regoperator || ' of ' || pg_catalog.pg_get_userbyid(o.oprowner) FROM pg_catalog.pg_operator o
          WHERE o.oprnamespace = ANY (s.path) AND NOT ${OF_SUPERUSER('o.oprowner')} ORDER BY 1 LIMIT 10) AS names
      FROM (
        SELECT w.name, v.trusted, ARRAY(
            SELECT coalesce(x.extnamespace, pg_catalog.to_regnamespace(pg_catalog.quote_ident(coalesce(nullif(w.schema, ''), v.schema, 'public')))::pg_catalog.oid)
            UNION
            SELECT coalesce(n.extnamespace, pg_catalog.to_regnamespace(pg_catalog.quote_ident(coalesce(nullif(w.schema, ''), 'public')))::pg_catalog.oid)
            FROM pg_catalog.unnest(v.requires) needed (name) LEFT JOIN pg_catalog.pg_extension n ON n.extname = needed.name) AS path
        FROM ROWS FROM (pg_catalog.unnest(${names}), pg_catalog.unnest(${schemas})) AS w (name, schema)
          JOIN LATERAL (SELECT a.schema, a.requires, a.trusted FROM pg_catalog.pg_available_extension_versions a
            WHERE a.name = w.name ORDER BY a.installed DESC, a.trusted LIMIT 1) v ON true
          LEFT JOIN pg_catalog.pg_extension x ON x.extname = w.name) s
      WHERE NOT s.trusted) f WHERE names <> '{}'`;
}

/** Asked in the database, where extensions are to be made or updated. */
export function observeMistakenNames(extensions: readonly ScriptOf[]): Fragment {
  return {
    key: 'mistakenNames',
    when: ANY_OF_OTHERS,
    otherwise: NO_ROWS,
    value: jsonRows(mistakenNames(extensions)),
  };
}

export function mistakenNamesProblems(
  mistaken: readonly MistakenNames[],
  node: string,
  database: string,
): readonly Problem[] {
  return mistaken.map(({ extension, names: found }) => ({
    kind: 'refused',
    what: `The script of extension ${extension} would run as superuser where it may find ${found.slice(0, 3).join(', ')}${found.length > 3 ? ' and others' : ''}`,
    node,
    next: `Declare \`schema\` for it with one that is the superuser's alone; or, in database '${database}', drop or rename ${found.length === 1 ? 'it' : 'them'}, or read ${found.length === 1 ? 'it' : 'them'} and give ${found.length === 1 ? 'it' : 'them'} to the superuser (ALTER FUNCTION … OWNER TO)`,
  }));
}

/** The same in the transaction of the script. */
export function assertNoMistakenNames(extension: ScriptOf): readonly string[] {
  return [
    PIN_SEARCH_PATH,
    `DO ${quoteLiteral(`
DECLARE
  mistaken pg_catalog.text;
BEGIN
  IF ${ANY_OF_OTHERS} THEN
    SELECT pg_catalog.array_to_string(m.names, ', ') INTO mistaken FROM (${mistakenNames([extension])}) m;
    IF mistaken IS NOT NULL THEN
      RAISE object_not_in_prerequisite_state USING MESSAGE = pg_catalog.format('the script of extension %s may find %s', ${quoteLiteral(quoteIdentifier(extension.name))}, mistaken);
    END IF;
  END IF;
END`)}`,
  ];
}
