import { quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import type { Problem } from './change.ts';
import { type Fragment, jsonRows } from './observe.ts';

/** Without a superuser's word to the contrary, sessions load these when they start, or end. */
export const LIBRARIES: ReadonlyMap<string, string> = new Map([
  ['session_preload_libraries', '/'],
  // Below the folder of libraries (PostgreSQL documentation, local_preload_libraries).
  ['local_preload_libraries', '/plugins/'],
]);

/** A file has at most 255 bytes in its name, the ending among them; of a longer one pg_stat_file() fails, with the name in its error. */
const LONGEST_NAME = 240;

/**
 * SQL condition on the columns `name` and `value` of `found`: one of the libraries has no file. SET x TO '' stores one
 * empty name (PostgreSQL: flatten_set_variable_args()). Names with a path are not judged, nor those that are looked for
 * elsewhere than in the server's own folder.
 */
export const MISSING = `coalesce(pg_catalog.current_setting('dynamic_library_path') = '$libdir' AND EXISTS (
        SELECT FROM pg_catalog.regexp_split_to_table(found.value, ',') item,
             LATERAL (SELECT pg_catalog.btrim(item, ' "') AS name) library,
             (SELECT setting || CASE pg_catalog.lower(found.name) ${[...LIBRARIES]
               .map(([name, folder]) => `WHEN '${name}' THEN '${folder}'`)
               .join(' ')} END AS folder FROM pg_catalog.pg_config WHERE name = 'PKGLIBDIR') place
        WHERE pg_catalog.btrim(item) <> '' AND library.name !~ '/' AND place.folder IS NOT NULL
          AND CASE WHEN library.name = '' OR pg_catalog.octet_length(library.name) > ${LONGEST_NAME} THEN true
            ELSE pg_catalog.pg_stat_file(place.folder || library.name || '.so', true) IS NULL
              AND pg_catalog.pg_stat_file(place.folder || library.name || '.dylib', true) IS NULL
              AND pg_catalog.pg_stat_file(place.folder || library.name, true) IS NULL END), false)`;

/** Of the declared lists of libraries, those with one that this server lacks. */
export interface MissingLibraries {
  readonly missingLibraries?: readonly { readonly name: string; readonly value: string }[];
}

export function observeMissingLibraries({ parameters, users }: DatabaseSpec): readonly Fragment[] {
  const declared = [parameters, ...users.map((user) => user.parameters)].flatMap((each) =>
    Object.entries(each).filter(([name, value]) => LIBRARIES.has(name.toLowerCase()) && value.trim() !== ''),
  );
  if (declared.length === 0) return [];
  const rows = declared.map(([name, value]) => `(${quoteLiteral(name)}, ${quoteLiteral(value)})`).join(', ');
  return [
    {
      key: 'missingLibraries',
      value: jsonRows(
        `SELECT DISTINCT found.name, found.value FROM (VALUES ${rows}) found(name, value) WHERE ${MISSING}`,
      ),
    },
  ];
}

/** A session that cannot load a library does not start, and with it nobody gets in to set it right. */
export function missingLibraryProblems({ missingLibraries = [] }: MissingLibraries, node: string): readonly Problem[] {
  return missingLibraries.map(({ name, value }) => ({
    kind: 'invalid',
    what: `Parameter '${name}' with the value '${value}' would let nobody log in: the server lacks a library of it`,
    node,
    next: 'Correct the value in `parameters`, or install the library on that node',
  }));
}
