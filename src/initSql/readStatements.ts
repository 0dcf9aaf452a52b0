import { classify } from './classify.ts';
import { classifyByWords } from './classifyByWords.ts';
import { type ConstantInsert, Shapes } from './constantInsert.ts';
import { condense } from './constantRows.ts';
import type { Grammar, ParsedStatement } from './grammar.ts';
import { tokenize } from './lexer.ts';
import { lookupOf } from './lookup.ts';
import { openingOf } from './opening.ts';
import { type Piece, Pieces } from './pieces.ts';
import { type Place, placesOf } from './place.ts';
import { type ScriptProblem, syntaxMessage } from './problems.ts';
import type { ScriptSource } from './types.ts';
import type { ReadStatement } from './units.ts';

/** The statements of a script, as far as they can be read without a server. */
export interface Statements {
  readonly statements: readonly ReadStatement[];
  readonly problems: readonly ScriptProblem[];
  /** Some of the statements, which the grammar does not take: the server may be of another version. */
  readonly doubts: readonly Doubt[];
}

export interface Doubt {
  readonly statement: ReadStatement;
  /** What the grammar says of it. */
  readonly problem: ScriptProblem;
}

/** What it takes to read a script. */
export interface Reading {
  readonly script: string;
  readonly source: ScriptSource | undefined;
  readonly grammar: Grammar;
  readonly shapes: Shapes;
  readonly placeOf: (offset: number) => Place;
}

export function readingOf(script: string, grammar: Grammar, source: ScriptSource | undefined): Reading {
  return { script, source, grammar, shapes: new Shapes(grammar), placeOf: placesOf(script) };
}

/** The parser's tree takes some hundred times the memory of its text, so a long script is parsed in parts. */
const PARSED_AT_ONCE = 4_096;

export function isLong(script: string): boolean {
  return script.length > PARSED_AT_ONCE;
}

/** `inParts: false`: for a script that was refused in parts, or is not long. */
export function readStatements(reading: Reading, { inParts }: { readonly inParts: boolean }): Statements {
  const parts = new StatementsInParts(reading);
  const statements = inParts ? [...parts] : [];
  if (inParts && !parts.refused) return { statements, problems: [], doubts: [] };
  const whole = reading.grammar.parse(reading.script);
  if (whole.kind === 'error') return readPiecewise(reading);
  return { statements: locate(reading, whole.statements, (offset) => offset), problems: [], doubts: [] };
}

/**
 * The statements of a long script, one by one, cut where semicolons end statements by a rule that needs no grammar. Parts
 * that parse are the whole's statements, as a semicolon is between them.
 */
export class StatementsInParts implements Iterable<ReadStatement> {
  /** A part does not parse, so the script has an error, or the rule is wrong about it. There are no more statements. */
  refused = false;
  readonly #reading: Reading;
  /** From where on nothing has been parsed. */
  #start = 0;
  #row = 0;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  *[Symbol.iterator](): Generator<ReadStatement> {
    const { script } = this.#reading;
    const pieces = new Pieces(script);
    let end = 0;
    for (const piece of pieces) {
      const isInsert = piece.insert !== undefined;
      if (isInsert && end > this.#start) yield* this.#parse(end, pieces);
      if (!isInsert && piece.end - this.#start >= PARSED_AT_ONCE) yield* this.#parse(piece.end, pieces);
      const insert = isInsert ? readInsert(this.#reading, piece.insert) : undefined;
      if (pieces.metaCommands.length > 0 || (isInsert && insert === undefined)) this.refused = true;
      if (this.refused) return;
      if (insert !== undefined) {
        yield insert;
        this.#start = piece.end;
      }
      end = piece.end;
    }
    if (pieces.metaCommands.length > 0) this.refused = true;
    else yield* this.#parse(script.length, pieces);
  }

  #parse(end: number, { rows }: Pieces): readonly ReadStatement[] {
    const { script, grammar } = this.#reading;
    const firstRow = this.#row;
    while ((rows[this.#row]?.start ?? end) < end) this.#row += 1;
    const range = { start: this.#start, end };
    const { sql, offsetInScript } = condense(script, range, rows.slice(firstRow, this.#row));
    const parsed = grammar.parse(sql);
    this.#start = end;
    if (parsed.kind === 'parsed') return locate(this.#reading, parsed.statements, offsetInScript);
    this.refused = true;
    return [];
  }
}

/**
 * By a rule that needs no grammar: each piece that the grammar takes is read as ever, and of the others the server
 * judges.
 */
function readPiecewise(reading: Reading): Statements {
  const { script, grammar } = reading;
  const found = new Pieces(script);
  const pieces = [...found];
  const { sql } = found;
  const statements: ReadStatement[] = [];
  const doubts: Doubt[] = [];
  const problems: ScriptProblem[] = found.metaCommands.map(({ offset, name }) => ({
    offset,
    message: `${name} is a command of psql, not SQL: initSQL goes to PostgreSQL as it is`,
  }));
  for (const piece of pieces) {
    const insert = piece.insert === undefined ? undefined : readInsert(reading, piece.insert);
    if (insert !== undefined) {
      statements.push(insert);
      continue;
    }
    const parsed = grammar.parse(sql.slice(piece.start, piece.end));
    if (parsed.kind === 'parsed') {
      statements.push(...locate(reading, parsed.statements, (offset) => piece.start + offset));
      continue;
    }
    const offset = piece.start + parsed.offset;
    const problem = { offset, message: syntaxMessage(parsed.message, script, offset) };
    const statement = unparsed(reading, piece);
    if (statement === undefined) problems.push(problem);
    else {
      statements.push(statement);
      doubts.push({ statement, problem });
    }
  }
  return { statements, problems, doubts };
}

/** undefined: not even its words say what it is. */
function unparsed({ script, source, placeOf }: Reading, piece: Piece): ReadStatement | undefined {
  const text = script.slice(piece.start, piece.end);
  const tokens = tokenize(text).filter((token) => token.kind !== 'comment');
  const last = tokens.at(-1);
  const isEnd = last !== undefined && text.slice(last.start, last.end) === ';';
  const substance = isEnd ? tokens.slice(0, -1) : tokens;
  const meaning = classifyByWords(
    substance.filter(({ kind }) => kind === 'word').map(({ start, end }) => text.slice(start, end).toLowerCase()),
  );
  const lastOfSubstance = substance.at(-1);
  if (meaning === undefined || lastOfSubstance === undefined) return undefined;
  const end = piece.start + lastOfSubstance.end;
  const sql = script.slice(piece.start, end);
  const place = placeOf(piece.start);
  return { start: piece.start, end, sql, ...place, source, meaning, lookup: { kind: 'none' }, opens: 'database' };
}

/** undefined: the grammar does not take it. */
function readInsert({ script, source, shapes, placeOf }: Reading, insert: ConstantInsert): ReadStatement | undefined {
  const shape = shapes.of(script, insert);
  if (shape === undefined) return undefined;
  const { start, end } = insert;
  const { line, column } = placeOf(start);
  const constants = { shape, rows: { start: insert.rows.start - start, end: insert.rows.end - start } };
  const { meaning, lookup } = shape;
  return { start, end, sql: script.slice(start, end), line, column, source, meaning, lookup, constants };
}

function locate(
  { script, source, placeOf }: Reading,
  statements: readonly ParsedStatement[],
  offsetInScript: (offset: number) => number,
): ReadStatement[] {
  return statements.map(({ node, ...range }) => {
    const start = offsetInScript(range.start);
    const end = offsetInScript(range.end);
    const { line, column } = placeOf(start);
    const sql = script.slice(start, end);
    const [meaning, lookup, opens] = [classify(node), lookupOf(node), openingOf(node)];
    return { start, end, sql, line, column, source, meaning, lookup, opens };
  });
}
