/**
 * PostgreSQL's tokens, read from any text without ever failing. The grammar of libpg-query decides what a statement is;
 * this reader serves where that one cannot: text that does not parse, psql's commands, strings within strings.
 * It follows src/backend/parser/scan.l with standard_conforming_strings on.
 */

export type TokenKind =
  | 'word'
  | 'quotedIdentifier'
  | 'string'
  | 'dollarString'
  | 'number'
  | 'operator'
  | 'comment'
  /** psql's backslash command: from the backslash to the end of the line. */
  | 'metaCommand';

export interface Token {
  readonly kind: TokenKind;
  /** Offsets in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** What lies between the delimiters of strings, quoted identifiers and comments; else the token itself. */
  readonly innerStart: number;
  readonly innerEnd: number;
  /** A string in which backslashes escape: E'…'. */
  readonly escapes: boolean;
}

const WORD = /[\p{L}_\u0080-\u{10ffff}][\p{L}\d_$\u0080-\u{10ffff}]*/uy;
const NUMBER = /\d[\w.]*|\.\d\w*|\$\d+/y;
const DOLLAR_TAG = /\$(?:[\p{L}_\u0080-\u{10ffff}][\p{L}\d_\u0080-\u{10ffff}]*)?\$/uy;
const OPERATOR = /[-+*/<>=~!@#%^&|`?]+/y;
const STRING_PREFIX = /(?:[eEbBxXnN]|[uU]&)?'/y;
const IDENTIFIER_START = /(?:[uU]&)?"/y;
const LINE_END = /[\r\n]|$/g;

/** All tokens of `sql`, comments included, from the first to the last. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  for (;;) {
    const token = nextToken(sql, position, tokens.at(-1));
    if (token === undefined) return tokens;
    tokens.push(token);
    position = token.end;
  }
}

/** The token at or after `position`; `previous` matters because a string may go on after a line end. */
export function nextToken(sql: string, position: number, previous?: Token): Token | undefined {
  let start = position;
  while (start < sql.length && isBlank(sql, start)) start += 1;
  if (start >= sql.length) return undefined;
  const common = commonToken(sql, start);
  if (common !== undefined) return common;
  const here = sql.slice(start, start + 2);
  if (here === '--') return plain('comment', start, endOfLine(sql, start), 2);
  if (here === '/*') return blockComment(sql, start);
  if (here.startsWith('\\')) return plain('metaCommand', start, endOfLine(sql, start), 0);
  const quote = match(STRING_PREFIX, sql, start);
  if (quote !== undefined) return string(sql, start, quote, previous);
  const identifier = match(IDENTIFIER_START, sql, start);
  if (identifier !== undefined) {
    return quoted('quotedIdentifier', start, start + identifier.length, sql, '"', false);
  }
  const tag = match(DOLLAR_TAG, sql, start);
  if (tag !== undefined) return dollarString(sql, start, tag);
  const word = match(WORD, sql, start);
  if (word !== undefined) return plain('word', start, start + word.length, 0);
  const number = match(NUMBER, sql, start);
  if (number !== undefined) return plain('number', start, start + number.length, 0);
  const operator = match(OPERATOR, sql, start);
  return plain('operator', start, start + (operator === undefined ? 1 : operatorLength(operator)), 0);
}

/** \u0080 and above are identifier characters to PostgreSQL, so only ASCII blanks separate. */
export function isBlank(sql: string, at: number): boolean {
  const code = sql.charCodeAt(at);
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

/** What most tokens are, told by their first characters: words, numbers, parentheses, commas and semicolons. */
function commonToken(sql: string, start: number): Token | undefined {
  const code = sql.charCodeAt(start);
  if (code === 0x28 || code === 0x29 || code === 0x2c || code === 0x3b) return plain('operator', start, start + 1, 0);
  if (code >= 0x30 && code <= 0x39) return plain('number', start, start + (match(NUMBER, sql, start)?.length ?? 1), 0);
  if (!isLetter(code)) return undefined;
  const next = sql.charCodeAt(start + 1);
  // What begins like a prefix: E'…', U&"…"
  if (next === 0x27 || next === 0x26) return undefined;
  return plain('word', start, start + (match(WORD, sql, start)?.length ?? 1), 0);
}

function isLetter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f;
}

/** scan.l: an operator ends before a comment, and before a trailing + or - unless it holds one of ~ ! @ # % ^ & | ` ?. */
function operatorLength(run: string): number {
  const comment = run.search(/--|\/\*/);
  let operator = comment > 0 ? run.slice(0, comment) : run;
  while (operator.length > 1 && /[-+]$/.test(operator) && !/[~!@#%^&|`?]/.test(operator)) {
    operator = operator.slice(0, -1);
  }
  return operator.length;
}

function plain(kind: TokenKind, start: number, end: number, skip: number): Token {
  return { kind, start, end, innerStart: start + skip, innerEnd: end, escapes: false };
}

function string(sql: string, start: number, opening: string, previous: Token | undefined): Token {
  // scan.l, <quotestop>: 'a' newline 'b' is one constant, and the second part keeps the rules of the first.
  const goesOn =
    opening === "'" && previous?.kind === 'string' && previous.escapes && sql.slice(previous.end, start).includes('\n');
  const escapes = goesOn || /^e/i.test(opening);
  return quoted('string', start, start + opening.length, sql, "'", escapes);
}

function quoted(kind: TokenKind, start: number, inner: number, sql: string, quote: string, escapes: boolean): Token {
  let at = inner;
  while (at < sql.length) {
    const character = sql.charAt(at);
    if (escapes && character === '\\') at += 2;
    else if (character !== quote) at += 1;
    else if (sql.charAt(at + 1) === quote) at += 2;
    else return { kind, start, end: at + 1, innerStart: inner, innerEnd: at, escapes };
  }
  return { kind, start, end: sql.length, innerStart: inner, innerEnd: sql.length, escapes };
}

function dollarString(sql: string, start: number, tag: string): Token {
  const innerStart = start + tag.length;
  const close = sql.indexOf(tag, innerStart);
  const innerEnd = close === -1 ? sql.length : close;
  const end = close === -1 ? sql.length : close + tag.length;
  return { kind: 'dollarString', start, end, innerStart, innerEnd, escapes: false };
}

function blockComment(sql: string, start: number): Token {
  let depth = 0;
  let at = start;
  while (at < sql.length) {
    const pair = sql.slice(at, at + 2);
    if (pair === '/*') depth += 1;
    if (pair === '*/') depth -= 1;
    at += pair === '/*' || pair === '*/' ? 2 : 1;
    if (depth === 0) {
      return { kind: 'comment', start, end: at, innerStart: start + 2, innerEnd: at - 2, escapes: false };
    }
  }
  return plain('comment', start, sql.length, 2);
}

function endOfLine(sql: string, from: number): number {
  LINE_END.lastIndex = from;
  return LINE_END.exec(sql)?.index ?? sql.length;
}

function match(pattern: RegExp, sql: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0];
}
