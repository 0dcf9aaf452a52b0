import { keyword, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, LocaleProvider } from '../spec/types.ts';

/**
 * What decides how a database sorts and compares text (PostgreSQL documentation, "Locale Support"). Nodes that differ in
 * it give min(), max() and ORDER BY different results by shard, and nobody is told.
 */
export interface ObservedLocale {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  /** null before PostgreSQL 15, where there is libc alone. */
  readonly provider: LocaleProvider | null;
  /** Of icu and builtin. */
  readonly providerLocale: string | null;
  readonly icuRules: string | null;
}

/** Columns have come and changed their names: daticulocale (15, 16), datlocale (17), daticurules (16). */
export function localePairs(row: string): string {
  const column = (name: string) => `pg_catalog.to_jsonb(${row})->>'${name}'`;
  return `'encoding', pg_catalog.pg_encoding_to_char(${row}.encoding), 'collate', ${row}.datcollate, 'ctype', ${row}.datctype,
        'provider', CASE ${column('datlocprovider')} WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END,
        'providerLocale', coalesce(${column('datlocale')}, ${column('daticulocale')}), 'icuRules', ${column('daticurules')}`;
}

/** What of two databases differs, in words; empty: text sorts and compares alike. */
export function localeDifferences(here: ObservedLocale, there: ObservedLocale): readonly Difference[] {
  const differs = (what: string, one: string | null, other: string | null, key = (text: string) => text) =>
    (one === null ? null : key(one)) === (other === null ? null : key(other))
      ? []
      : [{ what, here: one ?? 'none', there: other ?? 'none' }];
  const icu = here.provider === 'icu';
  return [
    ...differs('encoding', here.encoding, there.encoding),
    ...differs('locale provider', here.provider, there.provider),
    ...differs('collate', here.collate, there.collate, localeKey),
    ...differs('ctype', here.ctype, there.ctype, localeKey),
    ...(here.provider === there.provider
      ? differs(icu ? 'ICU locale' : 'builtin locale', here.providerLocale, there.providerLocale, icuKey)
      : []),
    ...differs('ICU rules', here.icuRules, there.icuRules),
  ];
}

export interface Difference {
  readonly what: string;
  readonly here: string;
  readonly there: string;
}

/** What the declaration says of an existing database that is not so. */
export function undeclaredLocale(wanted: DatabaseSpec, observed: ObservedLocale): readonly string[] {
  const differs = (what: string, declared: string | undefined, found: string | null, key = (text: string) => text) =>
    declared === undefined || (found !== null && key(declared) === key(found))
      ? []
      : [`${what} ${found ?? 'none'}, not ${declared}`];
  const locales = [...new Set([observed.collate, observed.ctype])];
  const otherLocale = locales.some((locale) => localeKey(locale) !== localeKey(wanted.locale ?? locale));
  const providerLocale = (provider: LocaleProvider) =>
    observed.provider === provider ? observed.providerLocale : null;
  return [
    ...differs('encoding', wanted.encoding, observed.encoding, encodingKey),
    ...(otherLocale ? [`locale ${locales.join(' and ')}, not ${wanted.locale}`] : []),
    ...differs('locale provider', wanted.localeProvider, observed.provider),
    ...differs('ICU locale', wanted.icuLocale, providerLocale('icu'), icuKey),
    ...differs('ICU rules', wanted.icuRules, observed.icuRules),
    ...differs('builtin locale', wanted.builtinLocale, providerLocale('builtin')),
  ];
}

const PROVIDERS: readonly LocaleProvider[] = ['libc', 'icu', 'builtin'];

/** Options of CREATE DATABASE: what is declared, and what else the database has that it is to be like. */
export function localeOptions(wanted: DatabaseSpec, like: ObservedLocale | null): readonly string[] {
  const provider = wanted.localeProvider ?? like?.provider ?? undefined;
  const alike = like?.provider === provider ? like : undefined;
  const option = (keyword: string, value: string | null | undefined) =>
    value === undefined || value === null ? [] : [`${keyword} ${quoteLiteral(value)}`];
  return [
    ...option('ENCODING', wanted.encoding ?? like?.encoding),
    ...(provider === undefined ? [] : [`LOCALE_PROVIDER ${keyword(provider, PROVIDERS)}`]),
    ...option('LC_COLLATE', wanted.locale ?? like?.collate),
    ...option('LC_CTYPE', wanted.locale ?? like?.ctype),
    ...(provider === 'icu' ? option('ICU_LOCALE', wanted.icuLocale ?? alike?.providerLocale) : []),
    ...(provider === 'icu' ? option('ICU_RULES', wanted.icuRules ?? alike?.icuRules) : []),
    ...(provider === 'builtin' ? option('BUILTIN_LOCALE', wanted.builtinLocale ?? alike?.providerLocale) : []),
  ];
}

/** The C library takes `en_US.UTF-8` and `en_US.utf8` for the same locale (glibc manual, "Locale Names"). */
function localeKey(name: string): string {
  const [language = '', ...codeset] = name.split('.');
  return [language, ...codeset.map((part) => part.toLowerCase().replaceAll('-', ''))].join('.');
}

/** PostgreSQL 16 keeps `en_US` as the language tag `en-US` (PostgreSQL documentation, "ICU Locales"). */
function icuKey(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** `utf-8`, `UTF8` and `Unicode` name one encoding (PostgreSQL documentation, "Character Set Support"). */
function encodingKey(name: string): string {
  const key = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return key === 'unicode' ? 'utf8' : key;
}
