import { createHash } from 'node:crypto';
import { blotOutPasswords, blotOutStrings } from './blotOut.ts';
import type { StatementClass } from './classify.ts';
import { tokenize } from './lexer.ts';
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

  keyOf(text: string): UnitKey {
    const hash = hashOf(text);
    const occurrence = (this.seen.get(hash) ?? 0) + 1;
    this.seen.set(hash, occurrence);
    return { hash, occurrence };
  }
}

/**
 * The hash of a statement without passwords. Comments, and white space between tokens, do not count: reformatting an
 * executed statement is no edit. Literals count exactly, but for the kind of line ends.
 */
export function hashOf(blottedOut: string): string {
  const text = blottedOut.replaceAll('\r\n', '\n');
  const tokens = tokenize(text)
    .filter((token) => token.kind !== 'comment')
    .map((token) => text.slice(token.start, token.end));
  return createHash('sha256').update(tokens.join(' '), 'utf8').digest('hex');
}

export function statementUnit(statement: ReadStatement, meaning: PlainClass, keys: KeyRing): StatementUnit {
  const text = shownText(statement);
  return {
    kind: 'statement',
    ...partOf(statement),
    ...keys.keyOf(blotOutPasswords(statement.sql)),
    text,
    display: shorten(text),
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

/** On one line, without comments, at most 100 characters. `text` holds no password. */
export function shorten(text: string): string {
  const withoutComments = tokenize(text)
    .filter((token) => token.kind === 'comment')
    .reduceRight((rest, comment) => `${rest.slice(0, comment.start)} ${rest.slice(comment.end)}`, text);
  const characters = [...withoutComments.replace(/\s+/g, ' ').trim()];
  return characters.length > 100 ? `${characters.slice(0, 99).join('')}…` : characters.join('');
}
