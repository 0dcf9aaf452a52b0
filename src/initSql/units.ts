import { hash as digest } from 'node:crypto';
import { blotOutPasswords, blotOutStrings } from './blotOut.ts';
import type { StatementClass } from './classify.ts';
import { ConstantHashes } from './constantHash.ts';
import type { Shape } from './constantInsert.ts';
import type { Rows } from './constantRows.ts';
import { type Token, tokenize } from './lexer.ts';
import type { Lookup, Opening, SqlPart, StatementUnit, Unit, UnitKey } from './types.ts';

/** A statement of the script, read and classified. */
export interface ReadStatement extends SqlPart {
  readonly start: number;
  readonly end: number;
  readonly meaning: StatementClass;
  readonly lookup: Lookup;
  readonly opens?: Opening | undefined;
  /** It is an INSERT of constants; `rows` are in `sql`. */
  readonly constants?: { readonly shape: Shape; readonly rows: Rows };
}

type PlainClass = Extract<StatementClass, { kind: 'plain' }>;

/** Gives each unit its key: counts how often the same hash has come before. */
export class KeyRing {
  #seen = new Map<string, number>();
  readonly #before: KeyRing | undefined;
  #constants: ConstantHashes | undefined;

  /** `before`: goes on behind that one, and leaves it as it is until they join. */
  constructor(before?: KeyRing) {
    this.#before = before;
  }

  keyOf(text: string, tokens?: readonly Token[]): UnitKey {
    return this.#next(hashOf(text, tokens));
  }

  /** The same, of an INSERT of constants. */
  keyOfConstants(sql: string, { shape, rows }: NonNullable<ReadStatement['constants']>): UnitKey {
    this.#constants ??= new ConstantHashes();
    return this.#next(this.#constants.of(sql, rows, shape));
  }

  /** Goes on behind units that have their keys already. */
  goOnBehind(units: readonly Unit[]): void {
    for (const unit of units) if (unit.kind !== 'session') this.#seen.set(unit.hash, unit.occurrence);
  }

  join(): void {
    const before = this.#before;
    if (before === undefined) return;
    if (before.#seen.size === 0) before.#seen = this.#seen;
    else for (const [hash, occurrence] of this.#seen) before.#seen.set(hash, occurrence);
  }

  #next(hash: string): UnitKey {
    const occurrence = this.#count(hash) + 1;
    this.#seen.set(hash, occurrence);
    return { hash, occurrence };
  }

  #count(hash: string): number {
    const before = this.#before;
    return this.#seen.get(hash) ?? (before === undefined ? 0 : before.#count(hash));
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
  const { sql, line, column, source, lookup, opens } = statement;
  const { hash, occurrence, display } = named(statement, text, keys);
  const { expectation } = meaning;
  // Not by way of a copy, which V8 gives a hidden class of its own: half a kilobyte each.
  const kind = 'statement';
  const unit: StatementUnit =
    source === undefined
      ? { kind, sql, line, column, hash, occurrence, text, display, expectation, lookup }
      : { kind, sql, line, column, hash, occurrence, text, display, expectation, lookup, source };
  return opens === undefined ? unit : { ...unit, opens };
}

function named(
  { sql, source, constants }: ReadStatement,
  text: string,
  keys: KeyRing,
): UnitKey & Pick<StatementUnit, 'display'> {
  const isSecret = source?.secret === true;
  // As it is: without a password.
  if (constants !== undefined && text === sql && !isSecret) {
    const { hash, occurrence } = keys.keyOfConstants(sql, constants);
    return { hash, occurrence, display: shorten(text, []) };
  }
  const tokens = tokenize(text);
  const { hash, occurrence } = isSecret ? keys.keyOf(blotOutPasswords(sql)) : keys.keyOf(text, tokens);
  return { hash, occurrence, display: shorten(text, tokens) };
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
/** Nearly always so much of a statement fills a line; of one of megabytes, the second is enough. */
const [ENOUGH, FAR_ENOUGH] = [500, 10_000] as const;

/** On one line, without comments, at most 100 characters. `text` holds no password. */
export function shorten(text: string, read?: readonly Token[]): string {
  const isShort = text.length <= LONGEST_DISPLAY && !/[^\S ]|\s\s|--|\/\*/.test(text);
  if (isShort) return text.trim();
  const tokens = read ?? tokenize(text);
  const characters = onOneLine(text, tokens, ENOUGH);
  const enough = characters.length > LONGEST_DISPLAY ? characters : onOneLine(text, tokens, FAR_ENOUGH);
  return enough.length > LONGEST_DISPLAY ? `${enough.slice(0, LONGEST_DISPLAY - 1).join('')}…` : enough.join('');
}

/** `enough`: so much is read of what stands behind the last comment. */
function onOneLine(text: string, tokens: readonly Token[], enough: number): readonly string[] {
  let shown = '';
  let at = 0;
  for (const { kind, start, end } of tokens) {
    if (kind !== 'comment') continue;
    shown += `${text.slice(at, start)} `;
    at = end;
  }
  shown += text.slice(at, at + enough);
  return [...shown.replace(/\s+/g, ' ').trim()];
}
