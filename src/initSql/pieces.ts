import { type ConstantInsert, ConstantInserts } from './constantInsert.ts';
import { furtherRows, type Rows } from './constantRows.ts';
import { isBlank, nextToken } from './lexer.ts';

/**
 * Cuts a script that does not parse as a whole into pieces that can be parsed one by one, so that all its problems are
 * found at once. Follows psql (src/fe_utils/psqlscan.l), but lets a semicolon end a statement within parentheses too:
 * a forgotten parenthesis must not hide the rest of the script. Only CREATE RULE has semicolons there by right.
 */

export interface Piece {
  readonly start: number;
  /** After the semicolon, where there is one: the parser's words then are the server's. */
  readonly end: number;
  /** It is one, and has not been read any further. */
  readonly insert?: ConstantInsert;
}

export interface MetaCommand {
  readonly offset: number;
  /** `\gexec`, without its arguments, which may hold a password. */
  readonly name: string;
}

/** These send what stands before them, as a semicolon does. */
const SENDING = /^\\(?:g|gx|gexec|gset|gdesc|bind|watch|crosstabview|;)/;

/** The pieces of a script, one by one: of a long one there are many. */
export class Pieces implements Iterable<Piece> {
  /** Found so far, as are the rows. */
  readonly metaCommands: MetaCommand[] = [];
  /** Rows of constants in INSERTs that the parser need not read. */
  readonly rows: Rows[] = [];
  readonly #script: string;
  readonly #inserts: ConstantInserts;
  readonly #blanks: Piece[] = [];

  constructor(script: string) {
    this.#script = script;
    this.#inserts = new ConstantInserts(script);
  }

  /** The script with psql's commands and COPY's data replaced by blanks, once all pieces are found: all offsets stay. */
  get sql(): string {
    return blank(this.#script, this.#blanks);
  }

  *[Symbol.iterator](): Generator<Piece> {
    const script = this.#script;
    let words: string[] = [];
    let start: number | undefined;
    let token = nextToken(script, yield* this.#insertsFrom(0));
    while (token !== undefined) {
      const text = script.slice(token.start, token.end);
      let position = token.end;
      let ends = false;
      if (token.kind === 'metaCommand') {
        this.metaCommands.push({ offset: token.start, name: /^\\(?:[\w?!+]+|.)?/.exec(text)?.[0] ?? '\\' });
        this.#blanks.push({ start: token.start, end: token.end });
        ends = SENDING.test(text);
      } else if (token.kind !== 'comment') {
        start ??= token.start;
        if (token.kind === 'word' || token.kind === 'operator') words.push(text.toLowerCase());
        ends = text === ';' && !isWithinBody(words);
        if (words[0] === 'insert' && words.at(-1) === 'values' && token.kind === 'word') {
          const further = furtherRows(script, token.end);
          if (further !== undefined) {
            this.rows.push(further);
            position = further.end;
          }
        }
      }
      if (ends && start !== undefined) {
        yield { start, end: token.kind === 'metaCommand' ? token.start : token.end };
        if (startsData(words)) {
          const data = { start: token.end, end: endOfData(script, token.end) };
          this.#blanks.push(data);
          position = data.end;
        }
      }
      if (ends) {
        start = undefined;
        words = [];
      }
      if (start === undefined) position = yield* this.#insertsFrom(position);
      token = nextToken(script, position, position === token.end ? token : undefined);
    }
    if (start !== undefined) yield { start, end: script.trimEnd().length };
  }

  /** INSERTs of constants that begin here. Returns where something else does. */
  *#insertsFrom(from: number): Generator<Piece, number> {
    let at = from;
    for (;;) {
      while (isBlank(this.#script, at)) at += 1;
      const insert = this.#inserts.at(at);
      if (insert === undefined) return at;
      yield { start: at, end: insert.next, insert };
      at = insert.next;
    }
  }
}

/** Within CREATE FUNCTION … BEGIN ATOMIC … END, or between the parentheses of a rule's actions. */
function isWithinBody(words: readonly string[]): boolean {
  const [first, second, third, fourth] = words;
  if (first !== 'create') return false;
  const kind = second === 'or' && third === 'replace' ? fourth : second;
  if (kind === 'rule') return count(words, '(') > count(words, ')');
  if (kind !== 'function' && kind !== 'procedure') return false;
  const begin = words.findIndex((word, index) => word === 'begin' && words[index + 1] === 'atomic');
  if (begin === -1) return false;
  const body = words.slice(begin);
  return 1 + count(body, 'case') > count(body, 'end');
}

function count(words: readonly string[], wanted: string): number {
  return words.filter((word) => word === wanted).length;
}

function startsData(words: readonly string[]): boolean {
  return words[0] === 'copy' && words.some((word, index) => word === 'from' && words[index + 1] === 'stdin');
}

/** psql: data ends with a line that holds only `\.`, or with the script. */
function endOfData(script: string, from: number): number {
  const end = /^\\\.\r?$/m.exec(script.slice(from));
  return end === null ? script.length : from + end.index + end[0].length;
}

function blank(script: string, ranges: readonly Piece[]): string {
  let result = '';
  let at = 0;
  for (const range of ranges) {
    result += script.slice(at, range.start) + script.slice(range.start, range.end).replace(/[^\n]/g, ' ');
    at = range.end;
  }
  return result + script.slice(at);
}
