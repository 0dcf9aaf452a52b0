import { setFlagsFromString } from 'node:v8';
import type { Node } from 'libpg-query';
import { isBlank, type Token, tokenize } from './lexer.ts';
import { offsetOfCharacter } from './place.ts';

/** PostgreSQL's own grammar (libpg-query: the parser of PostgreSQL 18), with offsets in UTF-16 units. */

export interface ParsedStatement {
  readonly node: Node;
  /** Without semicolon, leading and trailing comments. */
  readonly start: number;
  readonly end: number;
}

export type ParseResult =
  | { readonly kind: 'parsed'; readonly statements: readonly ParsedStatement[] }
  | { readonly kind: 'error'; readonly message: string; readonly offset: number };

export interface Grammar {
  parse(sql: string): ParseResult;
}

/**
 * V8 would compile the parser's one enormous function again with its optimizing compiler, in the background: 600 MB of
 * memory on Node 24, for a script that is parsed once. Both flags have to be off before the module is loaded.
 */
const NO_OPTIMIZING_COMPILER = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering'] as const;

/** Loaded only when there is a script: the parser is 1 MB of WebAssembly. */
export async function loadGrammar(): Promise<Grammar> {
  for (const flag of NO_OPTIMIZING_COMPILER) setFlagsFromString(flag);
  const library = await import('libpg-query');
  await library.loadModule();
  return {
    parse(sql) {
      // The parser refuses an empty text, though a script may well be empty.
      if (sql.trim() === '') return { kind: 'parsed', statements: [] };
      try {
        return { kind: 'parsed', statements: withOffsets(sql, library.parseSync(sql).stmts ?? []) };
      } catch (error) {
        if (error instanceof library.SqlError) {
          // 0-based, in characters; 0 also when there is no position.
          const offset = offsetOfCharacter(sql, error.sqlDetails?.cursorPosition ?? 0);
          return { kind: 'error', message: error.message, offset };
        }
        // The parser recurses; so does reading its tree.
        if (error instanceof RangeError || (error instanceof Error && error.name === 'RuntimeError')) {
          return { kind: 'error', message: 'the statement is nested too deeply to be read', offset: 0 };
        }
        throw error;
      }
    },
  };
}

interface RawStatement {
  readonly stmt?: Node;
  readonly stmt_location?: number;
  readonly stmt_len?: number;
}

/** The parser counts bytes of UTF-8; an absent length means up to the end. */
function withOffsets(sql: string, raw: readonly RawStatement[]): ParsedStatement[] {
  const bytes = Buffer.from(sql, 'utf8');
  const isAscii = bytes.length === sql.length;
  const statements: ParsedStatement[] = [];
  let byte = 0;
  let offset = 0;
  for (const { stmt, stmt_location: location = 0, stmt_len: length } of raw) {
    if (stmt === undefined) continue;
    const end = length === undefined ? bytes.length : location + length;
    offset = isAscii ? location : offset + bytes.toString('utf8', byte, location).length;
    const text = isAscii ? sql.slice(location, end) : bytes.toString('utf8', location, end);
    byte = location;
    const substance = substanceOf(text);
    if (substance === undefined) continue;
    statements.push({ node: stmt, start: offset + substance.start, end: offset + substance.end });
  }
  return statements;
}

/** Where the text begins and ends without comments and blanks around it. */
function substanceOf(text: string): { readonly start: number; readonly end: number } | undefined {
  if (!text.includes('--') && !text.includes('/*')) {
    let start = 0;
    let end = text.length;
    while (start < end && isBlank(text, start)) start += 1;
    while (end > start && isBlank(text, end - 1)) end -= 1;
    return start === end ? undefined : { start, end };
  }
  const tokens = tokenize(text).filter(isSubstance);
  const first = tokens[0];
  const last = tokens.at(-1);
  return first === undefined || last === undefined ? undefined : { start: first.start, end: last.end };
}

function isSubstance(token: Token): boolean {
  return token.kind !== 'comment';
}
