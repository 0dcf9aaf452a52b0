import type { Plain, PlainMapping } from './plain.ts';
import type { Path, SpecProblem } from './problems.ts';

/**
 * Reading a document that may be wrong in any place: what has the expected shape is taken, the rest passed over.
 * For the checks that look at several fields (contradictions.ts).
 */

export function isMapping(value: Plain | undefined): value is PlainMapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Plain | undefined): value is readonly Plain[] {
  return Array.isArray(value);
}

export function isAbsent(value: Plain | undefined): value is undefined | null {
  return value === undefined || value === null;
}

export function mappingOr(value: Plain | undefined): PlainMapping {
  return isMapping(value) ? value : {};
}

/** A group number as decimal text: 1, "1" and "01" are the same group. */
export function groupOf(value: Plain | undefined): string | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : undefined;
  return typeof value === 'string' && /^\d{1,10}$/.test(value) ? String(Number(value)) : undefined;
}

export interface DatabaseEntry {
  readonly path: Path;
  /** Whether the entry stands in a mapping, under its name. */
  readonly keyed: boolean;
  readonly name: string | undefined;
  readonly fields: PlainMapping;
}

/** The entries of `databases`, or of `additionalDatabases`; null entries of a mapping are absent ones. */
export function databaseEntries(document: PlainMapping): readonly DatabaseEntry[] {
  return ['databases', 'additionalDatabases'].flatMap((key): readonly DatabaseEntry[] => {
    const databases = document[key];
    if (isList(databases)) {
      return databases.map((value, index) => {
        const fields = mappingOr(value);
        return { path: [key, index], keyed: false, name: textOf(fields['name']), fields };
      });
    }
    return Object.entries(mappingOr(databases))
      .filter(([, value]) => value !== null)
      .map(([name, value]) => ({ path: [key, name], keyed: true, name, fields: mappingOr(value) }));
  });
}

/** The names in a list whose entries are names, or mappings that have one. */
export function namesIn(list: Plain | undefined): readonly { readonly index: number; readonly name: string }[] {
  if (!isList(list)) return [];
  return list.flatMap((value, index) => {
    const name = textOf(isMapping(value) ? value['name'] : value);
    return name === undefined ? [] : [{ index, name }];
  });
}

function textOf(value: Plain | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export interface Keyed {
  readonly path: Path;
  readonly key: string | undefined;
}

/** A problem for each item whose key came before; items without a key repeat nothing. */
export function repeated(
  items: readonly Keyed[],
  message: (key: string, first: Path) => string,
): readonly SpecProblem[] {
  const seen = new Map<string, Path>();
  return items.flatMap(({ path, key }) => {
    if (key === undefined) return [];
    const first = seen.get(key);
    if (first !== undefined) return [{ path, message: message(key, first) }];
    seen.set(key, path);
    return [];
  });
}
