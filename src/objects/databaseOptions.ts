import { quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import type { Problem } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { lookUp, splitList } from './parameter.ts';

/** Declared, and unknown to a server. Absent: not declared. */
export interface UnknownOptions {
  readonly unknownLocale?: boolean;
  readonly unknownEncoding?: boolean;
  readonly unknownIcuLocale?: boolean;
  readonly unknownBuiltinLocale?: boolean;
  readonly unknownTablespaces?: readonly { readonly name: string }[];
}

/** What CREATE DATABASE would be the first to refuse, or, of an ICU locale, take for the root locale. */
export function observeUnknownOptions(database: DatabaseSpec): readonly Fragment[] {
  const { locale, encoding, icuLocale, builtinLocale } = database;
  const tablespaces = tablespacesOf(database).map(({ tablespace }) => tablespace);
  return [
    ...(locale === undefined ? [] : [observeUnknownLocale(locale)]),
    ...(encoding === undefined
      ? []
      : [{ key: 'unknownEncoding', value: `pg_catalog.pg_char_to_encoding(${quoteLiteral(encoding)}) < 0` }]),
    ...(icuLocale === undefined ? [] : observeUnknownIcuLocale(icuLocale)),
    ...(builtinLocale === undefined ? [] : [observeUnknownBuiltinLocale(builtinLocale)]),
    ...(tablespaces.length === 0
      ? []
      : [
          {
            key: 'unknownTablespaces',
            value: jsonRows(`SELECT wanted.name FROM pg_catalog.unnest(${textArray(tablespaces)}) wanted(name)
              WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname::pg_catalog.text = wanted.name)`),
          },
        ]),
  ];
}

/**
 * CREATE DATABASE asks the C library for the locale, as lc_monetary does when it is set (PostgreSQL:
 * src/backend/utils/adt/pg_locale.c, check_locale()). No catalog lists them: pg_collation has those of the day of initdb.
 */
function observeUnknownLocale(locale: string): Fragment {
  return {
    key: 'unknownLocale',
    value: `pg_catalog.set_config('lc_monetary', ${quoteLiteral(locale)}, true) IS NULL`,
    orElse: 'true',
  };
}

const LOCALE_OF_COLLATION =
  "coalesce(pg_catalog.to_jsonb(c)->>'colllocale', pg_catalog.to_jsonb(c)->>'colliculocale', c.collcollate)";

/**
 * ICU sorts by its root locale where it does not know the language, and PostgreSQL warns of it from 16 on only
 * (pg_locale.c, icu_validate_locale(), which compares languages as well). initdb has put a collation for each locale of
 * ICU into pg_collation; a server without any was built without ICU, and says so itself.
 */
function observeUnknownIcuLocale(icuLocale: string): readonly Fragment[] {
  const languages = icuLanguages(icuLocale);
  if (languages === 'root') return [];
  return [
    {
      key: 'unknownIcuLocale',
      value: `(SELECT pg_catalog.count(*) > 0 AND NOT coalesce(pg_catalog.bool_or(
          pg_catalog.lower(pg_catalog.split_part(pg_catalog.translate(${LOCALE_OF_COLLATION}, '_@', '--'), '-', 1))
            = ANY (${textArray(languages)})), false)
        FROM pg_catalog.pg_collation c WHERE c.collprovider = 'i')`,
    },
  ];
}

/** Of a language tag, as it is written and as ICU writes it: `deu` and `de` are one language. */
export function icuLanguages(icuLocale: string): readonly string[] | 'root' {
  const [written = ''] = icuLocale.toLowerCase().split(/[-_]/);
  if (written === 'und') return 'root';
  // No language has four letters (RFC 5646, section 2.2.1).
  return written.length === 4 ? [written] : [...new Set([written, new Intl.Locale(written).language])];
}

/** pg_collation has one for each locale of the builtin provider, and none before PostgreSQL 17. */
function observeUnknownBuiltinLocale(builtinLocale: string): Fragment {
  // Both spellings are taken (PostgreSQL: pg_locale.c, builtin_validate_locale()).
  const name = builtinLocale === 'C.UTF8' ? 'C.UTF-8' : builtinLocale;
  return {
    key: 'unknownBuiltinLocale',
    value: `NOT EXISTS (SELECT FROM pg_catalog.pg_collation c
        WHERE c.collprovider = 'b' AND ${LOCALE_OF_COLLATION} = ${quoteLiteral(name)})`,
  };
}

interface DeclaredTablespace {
  readonly tablespace: string;
  /** Within the database of the spec. */
  readonly path: string;
}

function tablespacesOf({ parameters, users, initSQL }: DatabaseSpec): readonly DeclaredTablespace[] {
  // On a server of its own initSQL may be what creates them.
  if (/\bcreate\s+tablespace\b/i.test(initSQL ?? '')) return [];
  return [
    ...namedIn(parameters, 'parameters'),
    ...users.flatMap((user, index) => namedIn(user.parameters, `users[${index}].parameters`)),
  ];
}

function namedIn(parameters: Readonly<Record<string, string>>, path: string): readonly DeclaredTablespace[] {
  const permanent = lookUp(parameters, 'default_tablespace') ?? '';
  const temporary = splitList(lookUp(parameters, 'temp_tablespaces') ?? '', 'identifiers');
  return [
    ...(permanent === '' ? [] : [{ tablespace: permanent, path: `${path}.default_tablespace` }]),
    ...temporary.map((tablespace) => ({ tablespace, path: `${path}.temp_tablespaces` })),
  ];
}

/** What a new database cannot be created with. `path`: of the database in the spec. */
export function unknownOptionProblems(
  database: DatabaseSpec,
  observed: UnknownOptions & { readonly template: object | null },
  path: string,
  node: string,
): readonly Problem[] {
  const { locale, encoding, icuLocale, builtinLocale, template } = database;
  const base = { kind: 'invalid', node } as const;
  const problems: Problem[] = [];
  if (observed.unknownLocale === true) {
    problems.push({
      ...base,
      what: `Locale '${locale}' (${path}.locale) is unknown to the server`,
      next: "Correct it, or add it to the nodes' image: `locale -a` lists what a node has",
    });
  }
  if (observed.unknownEncoding === true) {
    problems.push({
      ...base,
      what: `Encoding '${encoding}' (${path}.encoding) is unknown to the server`,
      next: 'Correct it: the documentation of PostgreSQL, "Character Set Support", lists them',
    });
  }
  if (observed.unknownIcuLocale === true) {
    problems.push({
      ...base,
      what: `ICU locale '${icuLocale}' (${path}.icuLocale) names a language that the server's ICU does not know`,
      next: "Correct it: SELECT collname FROM pg_collation WHERE collprovider = 'i' lists what the server has",
    });
  }
  if (observed.unknownBuiltinLocale === true) {
    problems.push({
      ...base,
      what: `Builtin locale '${builtinLocale}' (${path}.builtinLocale) is unknown to the server`,
      next: 'Correct it: C and C.UTF-8 are there from PostgreSQL 17 on, PG_UNICODE_FAST from 18 on; before 17 declare localeProvider: libc or icu',
    });
  }
  if (template !== undefined && observed.template === null) {
    problems.push({
      ...base,
      what: `Template database '${template}' (${path}.template) does not exist`,
      next: 'Correct its name, or create it on every node that is to hold the database',
    });
  }
  return problems;
}

/** PostgreSQL only gives a notice, and puts everything into the database's own tablespace. */
export function tablespaceProblems(
  database: DatabaseSpec,
  { unknownTablespaces = [] }: UnknownOptions,
  path: string,
  node: string,
): readonly Problem[] {
  const unknown = new Set(unknownTablespaces.map(({ name }) => name));
  return tablespacesOf(database)
    .filter(({ tablespace }) => unknown.has(tablespace))
    .map(({ tablespace, path: within }) => ({
      kind: 'invalid',
      what: `Tablespace '${tablespace}' (${path}.${within}) does not exist`,
      node,
      next: 'Create it on that node (CREATE TABLESPACE), or correct the name',
    }));
}
