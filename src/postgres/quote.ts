import { Failure } from '../report/errors.ts';

/**
 * Quoting for SQL and for libpq's connection strings. Everything that comes from a spec or a catalog goes through
 * here before it becomes part of a statement.
 */

/** A quoted identifier, always quoted: `"a""b"`. PostgreSQL documentation, "Identifiers and Key Words". */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A string literal that reads the same whatever standard_conforming_strings says: with a backslash in it, it becomes
 * an escape string (PostgreSQL documentation, "String Constants With C-Style Escapes"), as quote_literal() does.
 */
export function quoteLiteral(value: string): string {
  const quoted = `'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return value.includes('\\') ? ` E${quoted}` : quoted;
}

/**
 * A whole number in a statement. What a node answers is of the type that was asked for only if the node is honest: a text in
 * its place would become part of a statement that another node executes.
 */
export function integerLiteral(value: number): string {
  if (!Number.isSafeInteger(value)) throw answered(value, 'a whole number');
  return String(value);
}

/** A word of SQL in a statement, out of those that there are. */
export function keyword<Word extends string>(value: Word, words: readonly Word[]): Word {
  if (!words.includes(value)) throw answered(value, words.join(' or '));
  return value;
}

function answered(value: unknown, expected: string): Failure {
  return new Failure({
    kind: 'failed',
    what: `A node answered '${String(value).slice(0, 100)}' in the place of ${expected}`,
    next: 'No server of PostgreSQL does so: find out what answers at the address of each node, and who changed it',
  });
}

/** One word of a shell command, for commands that a message advises. */
export function quoteShellWord(word: string): string {
  return /^[A-Za-z0-9_./:@%+,^-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** One value of a conninfo string (libpq documentation, "Keyword/Value Connection Strings"). */
export function quoteConninfoValue(value: string): string {
  if (/^[A-Za-z0-9_./:@%+,~^-]+$/.test(value)) return value;
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
