import { classify, type StatementClass } from './classify.ts';
import { BLANK, endOfRows, type Rows } from './constantRows.ts';
import type { Grammar } from './grammar.ts';
import { tokenize } from './lexer.ts';
import { lookupOf } from './lookup.ts';
import type { Lookup } from './types.ts';

/**
 * `INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y');`: a long script consists of little else. The words around its rows say
 * what it is, so the parser reads them once, however many statements have the same.
 */
export interface ConstantInsert {
  readonly start: number;
  /** Up to VALUES; the same string as in the one before, where both begin alike. */
  readonly beginning: string;
  /** Before the semicolon, and before blanks in front of it. */
  readonly end: number;
  /** Behind the semicolon. */
  readonly next: number;
  /** From VALUES to the last parenthesis. */
  readonly rows: Rows;
}

const NAME = '(?:[a-z_][a-z_0-9$]*|"[^"]+")';
const COLUMNS = String.raw`\(${BLANK}*${NAME}(?:${BLANK}*,${BLANK}*${NAME})*${BLANK}*\)`;
const BEGINNING = new RegExp(
  String.raw`insert${BLANK}+into${BLANK}+${NAME}(?:\.${NAME})?(?:${BLANK}+|${BLANK}*${COLUMNS}${BLANK}*)values(?=${BLANK}|\()`,
  'iy',
);
const ENDING = new RegExp(`(on${BLANK}+conflict${BLANK}+(?:${COLUMNS}${BLANK}*)?do${BLANK}+nothing)${BLANK}*;`, 'iy');

/** Finds them in a script. */
export class ConstantInserts {
  readonly #script: string;
  /** Of the one before: the next one begins alike as a rule. */
  #beginning: string | undefined;

  constructor(script: string) {
    this.#script = script;
  }

  /** `start`: where a statement begins. undefined: it is another one, or has more in it than constants. */
  at(start: number): ConstantInsert | undefined {
    const script = this.#script;
    const beginning = this.#beginningAt(start);
    if (beginning === undefined) return undefined;
    const from = start + beginning.length;
    const behind = endOfRows(script, from);
    if (behind === undefined) return undefined;
    const to = script.lastIndexOf(')', behind - 1) + 1;
    const insert = { start, beginning, rows: { start: from, end: to } };
    if (script.charAt(behind) === ';') return { ...insert, end: to, next: behind + 1 };
    ENDING.lastIndex = behind;
    const [, words] = ENDING.exec(script) ?? [];
    return words === undefined ? undefined : { ...insert, end: behind + words.length, next: ENDING.lastIndex };
  }

  #beginningAt(start: number): string | undefined {
    if (this.#beginning !== undefined && this.#script.startsWith(this.#beginning, start)) return this.#beginning;
    BEGINNING.lastIndex = start;
    const [found] = BEGINNING.exec(this.#script) ?? [];
    if (found !== undefined) this.#beginning = found;
    return found;
  }
}

/** What statements with the same words around their rows have in common. */
export interface Shape {
  readonly meaning: StatementClass;
  readonly lookup: Lookup;
  /** The words as they count for the hash (constantHash.ts). */
  readonly before: Buffer;
  readonly behind: Buffer;
}

export class Shapes {
  readonly #grammar: Grammar;
  /** By what stands behind the rows, then by what stands before them. */
  readonly #known = new Map<string, Map<string, Shape | undefined>>();

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
  }

  /** undefined: the grammar does not take it. */
  of(script: string, { beginning, end, rows }: ConstantInsert): Shape | undefined {
    const behind = rows.end === end ? '' : script.slice(rows.end, end);
    const known = this.#known.get(behind) ?? new Map<string, Shape | undefined>();
    this.#known.set(behind, known);
    if (!known.has(beginning)) known.set(beginning, this.#read(beginning, behind));
    return known.get(beginning);
  }

  /** Where the grammar takes one constant, it takes any number of rows of any constants. */
  #read(before: string, behind: string): Shape | undefined {
    const parsed = this.#grammar.parse(`${before} (0)${behind}`);
    const [only, ...others] = parsed.kind === 'parsed' ? parsed.statements : [];
    if (only === undefined || others.length > 0 || !('InsertStmt' in only.node)) return undefined;
    return {
      meaning: classify(only.node),
      lookup: lookupOf(only.node),
      before: Buffer.from(substanceOf(before)),
      behind: Buffer.from(behind === '' ? '' : ` ${substanceOf(behind)}`),
    };
  }
}

function substanceOf(text: string): string {
  const unified = text.replaceAll('\r\n', '\n');
  return tokenize(unified)
    .map(({ start, end }) => unified.slice(start, end))
    .join(' ');
}
