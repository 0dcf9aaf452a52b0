import { Failure } from '../report/errors.ts';
import { passwordBlots, stringBlots } from './blotOut.ts';
import { excerptAt, placeAt } from './place.ts';
import type { Blot } from './secretPatterns.ts';
import type { ScriptSource } from './types.ts';

/** Why a script cannot run; found before anything is done. */
export interface ScriptProblem {
  /** UTF-16 offset in the script. */
  readonly offset: number;
  /** Without position; holds no secret. */
  readonly message: string;
}

/** More than a screen of problems helps nobody. */
const MOST = 20;

export function invalidScript(
  script: string,
  problems: readonly ScriptProblem[],
  database: string | undefined,
  source?: ScriptSource,
): Failure {
  const blots = source?.secret === true ? stringBlots(script) : passwordBlots(script);
  const ordered = problems.toSorted((a, b) => a.offset - b.offset);
  const shown = ordered.slice(0, MOST).map((problem) => describe(script, problem, blots));
  if (ordered.length > MOST) shown.push(`… and ${ordered.length - MOST} more`);
  return new Failure({
    kind: 'invalid',
    what: `${source === undefined ? 'initSQL' : `The file ${source.file} of initSQLFrom`} has ${ordered.length} ${ordered.length === 1 ? 'problem' : 'problems'}`,
    database,
    cause: shown.join('\n'),
    next: `Correct ${source === undefined ? 'initSQL' : 'the file'} and run again. None of its statements has been executed in this run.`,
  });
}

function describe(script: string, problem: ScriptProblem, blots: readonly Blot[]): string {
  const { line, column } = placeAt(script, problem.offset);
  const [text, caret] = excerptAt(script, problem.offset, blots).split('\n');
  return `line ${line}, column ${column}: ${problem.message}\n  ${text}\n  ${caret}`;
}

/**
 * PostgreSQL's words about a syntax error. They quote the script from the error on, all of it where a quote is left
 * open, and that may be a password: the excerpt shows the place, so the quotation can go where it could tell too much.
 */
export function syntaxMessage(message: string, script: string, offset: number): string {
  const blotted = passwordBlots(script).some((blot) => blot.start <= offset && offset < blot.end);
  const [, words, quotation] = /^([\s\S]*?) at or near "([\s\S]*)"$/.exec(message) ?? [];
  if (words === undefined || quotation === undefined) return message;
  if (words.startsWith('unterminated')) return words;
  if (blotted) return `${words} at or near a password`;
  const hint = quotation === ':' ? PSQL_VARIABLE : '';
  return `${words} at or near "${quotation}"${hint}`;
}

const PSQL_VARIABLE = ' (initSQL goes to PostgreSQL as it is: variables of psql such as :name are not replaced)';
