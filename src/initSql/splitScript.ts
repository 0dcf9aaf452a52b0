import { assemble } from './blocks.ts';
import { classify } from './classify.ts';
import { classifyByWords } from './classifyByWords.ts';
import { condense } from './constantRows.ts';
import { type Grammar, loadGrammar } from './grammar.ts';
import { tokenize } from './lexer.ts';
import { lookupOf } from './lookup.ts';
import { cutIntoPieces, type Piece } from './pieces.ts';
import { offsetOfCharacter, type Place, placesOf } from './place.ts';
import { invalidScript, type ScriptProblem, syntaxMessage } from './problems.ts';
import type { Script, ScriptSource } from './types.ts';
import { KeyRing, type ReadStatement } from './units.ts';

/** A script as far as it can be read without a server. */
export interface Draft {
  readonly script: string;
  /** undefined: initSQL itself. */
  readonly source?: ScriptSource | undefined;
  readonly statements: readonly ReadStatement[];
  readonly problems: readonly ScriptProblem[];
  /** Its units, where no server has to judge. Their keys are right if none has to judge the scripts before it either. */
  readonly whole?: Script;
  /** Some of the statements, which the grammar does not take: the server may be of another version. */
  readonly doubts: readonly Doubt[];
}

export interface Doubt {
  readonly statement: ReadStatement;
  /** What the grammar says of it. */
  readonly problem: ScriptProblem;
}

/** What a server says of a doubtful statement. */
export type Verdict =
  | { readonly kind: 'taken' }
  /** `position` counts characters of the statement from 1. */
  | { readonly kind: 'refused'; readonly message: string; readonly position: number | undefined };

/**
 * Reads a script of initSQL. What is wrong with it for any server is thrown at once. `keys`: those of the database, which
 * its scripts share in their order.
 */
export async function readScript(
  sql: string,
  database?: string,
  source?: ScriptSource,
  keys: KeyRing = new KeyRing(),
): Promise<Draft> {
  // A byte order mark is no part of the script; editors that write it do not count it as a column either.
  const script = sql.replace(/^\ufeff/, '');
  const unreadable = findUnreadable(script);
  if (unreadable.length > 0) throw invalidScript(script, unreadable, database, source);
  const draft = withSource(read(script, await loadGrammar()), source);
  return draft.doubts.length === 0 ? { ...draft, whole: finish(draft, database, keys) } : draft;
}

/** The units of a script. Throws one Failure that names all its problems; `database` is only for its words. */
export function finishScript(
  draft: Draft,
  verdicts: readonly Verdict[],
  database?: string,
  keys: KeyRing = new KeyRing(),
): Script {
  const refused = draft.doubts.flatMap(({ statement }, index) => {
    const verdict = verdicts[index];
    return verdict?.kind === 'refused'
      ? [{ statement, problem: refusedByServer(draft.script, statement, verdict) }]
      : [];
  });
  return finish(withoutRefused(draft, refused), database, keys);
}

function withSource(draft: Draft, source: ScriptSource | undefined): Draft {
  if (source === undefined) return draft;
  const statements = new Map(draft.statements.map((statement) => [statement, { ...statement, source }]));
  const of = (statement: ReadStatement) => statements.get(statement) ?? statement;
  return {
    ...draft,
    source,
    statements: draft.statements.map(of),
    doubts: draft.doubts.map((doubt) => ({ ...doubt, statement: of(doubt.statement) })),
  };
}

/** The same for whoever has no server to ask: the grammar's word counts. */
export async function splitScript(sql: string, database?: string): Promise<Script> {
  const draft = await readScript(sql, database);
  return finish(withoutRefused(draft, draft.doubts), database, new KeyRing());
}

function withoutRefused(draft: Draft, refused: readonly Doubt[]): Draft {
  if (refused.length === 0) return draft;
  const gone = new Set(refused.map(({ statement }) => statement));
  return {
    ...draft,
    statements: draft.statements.filter((statement) => !gone.has(statement)),
    problems: [...draft.problems, ...refused.map(({ problem }) => problem)],
  };
}

function finish({ script, source, statements, problems }: Draft, database: string | undefined, keys: KeyRing): Script {
  const { units, problems: wrongOrder } = assemble(script, statements, keys);
  const all = [...problems, ...wrongOrder];
  if (all.length > 0) throw invalidScript(script, all, database, source);
  return { units };
}

function refusedByServer(
  script: string,
  statement: ReadStatement,
  { message, position }: Extract<Verdict, { kind: 'refused' }>,
): ScriptProblem {
  const offset = statement.start + (position === undefined ? 0 : offsetOfCharacter(statement.sql, position - 1));
  return { offset, message: syntaxMessage(message, script, offset) };
}

/** Characters that neither the parser nor the server can be given. */
function findUnreadable(script: string): ScriptProblem[] {
  return [...script.matchAll(/\0|\p{Surrogate}/gu)].map((match) => ({
    offset: match.index,
    message: match[0] === '\0' ? 'NUL characters are not possible in SQL' : 'half of a surrogate pair is no character',
  }));
}

/** The parser's tree takes some hundred times the memory of its text, so a long script is parsed in parts. */
const PARSED_AT_ONCE = 4_096;

function read(script: string, grammar: Grammar): Draft {
  const placeOf = placesOf(script);
  const inParts = script.length <= PARSED_AT_ONCE ? undefined : readInParts(script, grammar, placeOf);
  if (inParts !== undefined) return { script, statements: inParts, problems: [], doubts: [] };
  const whole = grammar.parse(script);
  if (whole.kind === 'error') return readPiecewise(script, grammar, placeOf);
  return {
    script,
    statements: locate(script, placeOf, whole.statements, (offset) => offset),
    problems: [],
    doubts: [],
  };
}

/**
 * Cuts where semicolons end statements by a rule that needs no grammar. undefined: a part does not parse, so the script
 * has an error, or the rule is wrong about it. Parts that parse are the whole's statements, as a semicolon is between them.
 */
function readInParts(
  script: string,
  grammar: Grammar,
  placeOf: (offset: number) => Place,
): readonly ReadStatement[] | undefined {
  const { pieces, metaCommands, rows } = cutIntoPieces(script);
  if (metaCommands.length > 0) return undefined;
  const statements: ReadStatement[] = [];
  let start = 0;
  let row = 0;
  for (const [index, piece] of pieces.entries()) {
    const isLast = index === pieces.length - 1;
    if (piece.end - start < PARSED_AT_ONCE && !isLast) continue;
    const end = isLast ? script.length : piece.end;
    const firstRow = row;
    while ((rows[row]?.start ?? end) < end) row += 1;
    const { sql, offsetInScript } = condense(script, { start, end }, rows.slice(firstRow, row));
    const parsed = grammar.parse(sql);
    if (parsed.kind === 'error') return undefined;
    statements.push(...locate(script, placeOf, parsed.statements, offsetInScript));
    start = end;
  }
  return statements;
}

/**
 * By a rule that needs no grammar: each piece that the grammar takes is read as ever, and of the others the server
 * judges.
 */
function readPiecewise(script: string, grammar: Grammar, placeOf: (offset: number) => Place): Draft {
  const { pieces, metaCommands, sql } = cutIntoPieces(script);
  const statements: ReadStatement[] = [];
  const doubts: Doubt[] = [];
  const problems: ScriptProblem[] = metaCommands.map(({ offset, name }) => ({
    offset,
    message: `${name} is a command of psql, not SQL: initSQL goes to PostgreSQL as it is`,
  }));
  for (const piece of pieces) {
    const parsed = grammar.parse(sql.slice(piece.start, piece.end));
    if (parsed.kind === 'parsed') {
      statements.push(...locate(script, placeOf, parsed.statements, (offset) => piece.start + offset));
      continue;
    }
    const offset = piece.start + parsed.offset;
    const problem = { offset, message: syntaxMessage(parsed.message, script, offset) };
    const statement = unparsed(script, placeOf, piece);
    if (statement === undefined) problems.push(problem);
    else {
      statements.push(statement);
      doubts.push({ statement, problem });
    }
  }
  return { script, statements, problems, doubts };
}

/** undefined: not even its words say what it is. */
function unparsed(script: string, placeOf: (offset: number) => Place, piece: Piece): ReadStatement | undefined {
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
  return { start: piece.start, end, sql, ...placeOf(piece.start), meaning, lookup: { kind: 'none' } };
}

function locate(
  script: string,
  placeOf: (offset: number) => Place,
  statements: readonly {
    readonly node: Parameters<typeof classify>[0];
    readonly start: number;
    readonly end: number;
  }[],
  offsetInScript: (offset: number) => number,
): ReadStatement[] {
  return statements.map(({ node, ...range }) => {
    const start = offsetInScript(range.start);
    const end = offsetInScript(range.end);
    const sql = script.slice(start, end);
    return { start, end, sql, ...placeOf(start), meaning: classify(node), lookup: lookupOf(node) };
  });
}
