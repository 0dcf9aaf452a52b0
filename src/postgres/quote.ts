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

/** One word of a shell command, for commands that a message advises. */
export function quoteShellWord(word: string): string {
  return /^[A-Za-z0-9_./:@%+,^-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** One value of a conninfo string (libpq documentation, "Keyword/Value Connection Strings"). */
export function quoteConninfoValue(value: string): string {
  if (/^[A-Za-z0-9_./:@%+,~^-]+$/.test(value)) return value;
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
