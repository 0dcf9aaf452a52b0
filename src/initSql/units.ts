import { hash as digest } from 'node:crypto';
import { blotOutPasswords, blotOutStrings } from './blotOut.ts';
import type { StatementClass } from './classify.ts';
import { type Token, tokenize } from './lexer.ts';
import type { Lookup, SqlPart, StatementUnit, UnitKey } from './types.ts';

/** A statement of the script, read and classified. */
export interface ReadStatement extends SqlPart {
  readonly start: number;
  readonly end: number;
  readonly meaning: StatementClass;
  readonly lookup: Lookup;
}

type PlainClass = Extract<StatementClass, { kind: 'plain' }>;

/** Gives each unit its key: counts how often the same hash has come before. */
export class KeyRing {
  private readonly seen = new Map<string, number>();

  keyOf(text: string, tokens?: readonly Token[]): UnitKey {
    const hash = hashOf(text, tokens);
    const occurrence = (this.seen.get(hash) ?? 0) + 1;
    this.seen.set(hash, occurrence);
    return { hash, occurrence };
  }
}

/**
 * The hash of a statement without passwords. Comments, and white space between tokens, do not count: reformatting an
 * executed statement is no edit. Literals count exactly, but for the kind of line ends.
 */
export function hashOf(blottedOut: string, read?: readonly Token[]): string {
  const hasOtherLineEnds = blottedOut.includes('\r\n');
  const text = hasOtherLineEnds ? blottedOut.replaceAll('\r\n', '\n') : blottedOut;
  const tokens = read === undefined || hasOtherLineEnds ? tokenize(text) : read;
  let substance = '';
  for (const { kind, start, end } of tokens) {
    if (kind !== 'comment') substance += `${substance === '' ? '' : ' '}${text.slice(start, end)}`;
  }
  return digest('sha256', substance, 'hex');
}

export function statementUnit(statement: ReadStatement, meaning: PlainClass, keys: KeyRing): StatementUnit {
  const text = shownText(statement);
  const tokens = tokenize(text);
  const isWhole = statement.source?.secret !== true;
  return {
    kind: 'statement',
    ...partOf(statement),
    ...(isWhole ? keys.keyOf(text, tokens) : keys.keyOf(blotOutPasswords(statement.sql))),
    text,
    display: shorten(text, tokens),
    expectation: meaning.expectation,
    lookup: statement.lookup,
  };
}

export function partOf(part: SqlPart): SqlPart {
  const { sql, line, column, source } = part;
  return source === undefined ? { sql, line, column } : { sql, line, column, source };
}

/** Without what log, errors and ledger must not have. */
export function shownText({ sql, source }: Pick<SqlPart, 'sql' | 'source'>): string {
  return source?.secret === true ? blotOutStrings(sql) : blotOutPasswords(sql);
}

const LONGEST_DISPLAY = 100;
/** Of a statement of megabytes, the beginning is enough to fill a line. */
const FAR_ENOUGH = 10_000;

/** On one line, without comments, at most 100 characters. `text` holds no password. */
export function shorten(text: string, read?: readonly Token[]): string {
  const isShort = text.length <= LONGEST_DISPLAY && !/[^\S ]|\s\s|--|\/\*/.test(text);
  if (isShort) return text.trim();
  let shown = '';
  let at = 0;
  for (const { kind, start, end } of read ?? tokenize(text)) {
    if (kind !== 'comment') continue;
    shown += `${text.slice(at, start)} `;
    at = end;
  }
  shown += text.slice(at, at + FAR_ENOUGH);
  const characters = [...shown.replace(/\s+/g, ' ').trim()];
  return characters.length > LONGEST_DISPLAY
    ? `${characters.slice(0, LONGEST_DISPLAY - 1).join('')}…`
    : characters.join('');
}
