import { assemble } from './blocks.ts';
import { loadGrammar } from './grammar.ts';
import { offsetOfCharacter } from './place.ts';
import { invalidScript, type ScriptProblem, syntaxMessage } from './problems.ts';
import {
  type Doubt,
  isLong,
  type Reading,
  readingOf,
  readStatements,
  type Statements,
  StatementsInParts,
} from './readStatements.ts';
import type { Script, ScriptSource, Unit } from './types.ts';
import { KeyRing, type ReadStatement } from './units.ts';

/** A script as far as it can be read without a server. */
export type Draft =
  /** No server has to judge. */
  { readonly kind: 'read'; readonly units: readonly Unit[] } | Unfinished;

/** A server has to judge some of its statements, or of those of a script before it. */
export interface Unfinished extends Statements {
  readonly kind: 'unfinished';
  readonly script: string;
  /** undefined: initSQL itself. */
  readonly source?: ScriptSource | undefined;
}

/** What a server says of a doubtful statement. */
export type Verdict =
  | { readonly kind: 'taken' }
  /** `position` counts characters of the statement from 1. */
  | { readonly kind: 'refused'; readonly message: string; readonly position: number | undefined };

/**
 * Reads a script of initSQL. What is wrong with it for any server is thrown at once. `keys`: those of the database, which
 * its scripts share in their order; 'unknown': a script before this one is unfinished.
 */
export async function readScript(
  sql: string,
  database?: string,
  source?: ScriptSource,
  keys: KeyRing | 'unknown' = new KeyRing(),
): Promise<Draft> {
  // A byte order mark is no part of the script; editors that write it do not count it as a column either.
  const script = sql.replace(/^\ufeff/, '');
  const unreadable = findUnreadable(script);
  if (unreadable.length > 0) throw invalidScript(script, unreadable, database, source);
  const reading = readingOf(script, await loadGrammar(), source);
  const oneByOne = isLong(script) && keys !== 'unknown' ? inParts(reading, database, keys) : undefined;
  if (oneByOne !== undefined) return oneByOne;
  const statements = readStatements(reading, { inParts: isLong(script) && keys === 'unknown' });
  const draft: Unfinished = { kind: 'unfinished', script, source, ...statements };
  if (draft.doubts.length > 0) return draft;
  const { units } = finish(draft, database, keys === 'unknown' ? new KeyRing() : keys);
  return keys === 'unknown' ? draft : { kind: 'read', units };
}

/** No statement is kept longer than its unit takes. undefined: it is to be read as a whole. */
function inParts(reading: Reading, database: string | undefined, keys: KeyRing): Draft | undefined {
  const { script, source } = reading;
  const statements = new StatementsInParts(reading);
  const own = new KeyRing(keys);
  const { units, problems } = assemble(script, statements, own);
  if (statements.refused) return undefined;
  if (problems.length > 0) throw invalidScript(script, problems, database, source);
  own.join();
  return { kind: 'read', units };
}

/** The units of a script. Throws one Failure that names all its problems; `database` is only for its words. */
export function finishScript(
  draft: Draft,
  verdicts: readonly Verdict[],
  database?: string,
  keys: KeyRing = new KeyRing(),
): Script {
  if (draft.kind === 'read') {
    keys.goOnBehind(draft.units);
    return { units: draft.units };
  }
  const refused = draft.doubts.flatMap(({ statement }, index) => {
    const verdict = verdicts[index];
    return verdict?.kind === 'refused'
      ? [{ statement, problem: refusedByServer(draft.script, statement, verdict) }]
      : [];
  });
  return finish(withoutRefused(draft, refused), database, keys);
}

/** The same for whoever has no server to ask: the grammar's word counts. */
export async function splitScript(sql: string, database?: string): Promise<Script> {
  const draft = await readScript(sql, database);
  if (draft.kind === 'read') return { units: draft.units };
  return finish(withoutRefused(draft, draft.doubts), database, new KeyRing());
}

function withoutRefused(draft: Unfinished, refused: readonly Doubt[]): Unfinished {
  if (refused.length === 0) return draft;
  const gone = new Set(refused.map(({ statement }) => statement));
  return {
    ...draft,
    statements: draft.statements.filter((statement) => !gone.has(statement)),
    problems: [...draft.problems, ...refused.map(({ problem }) => problem)],
  };
}

function finish(
  { script, source, statements, problems }: Unfinished,
  database: string | undefined,
  keys: KeyRing,
): Script {
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
