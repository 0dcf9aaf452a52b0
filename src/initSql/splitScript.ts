import { assemble } from './blocks.ts';
import { classify } from './classify.ts';
import { type Grammar, loadGrammar } from './grammar.ts';
import { cutIntoPieces } from './pieces.ts';
import { type Place, placesOf } from './place.ts';
import { invalidScript, type Problem, syntaxMessage } from './problems.ts';
import type { Script } from './types.ts';
import type { ReadStatement } from './units.ts';

/**
 * Splits a script of initSQL into units. Throws one Failure that names all problems of the script; `database` is only
 * for its words.
 */
export async function splitScript(sql: string, database?: string): Promise<Script> {
  // A byte order mark is no part of the script; editors that write it do not count it as a column either.
  const script = sql.replace(/^\ufeff/, '');
  const unreadable = findUnreadable(script);
  if (unreadable.length > 0) throw invalidScript(script, unreadable, database);
  const { statements, problems } = read(script, await loadGrammar());
  const { units, problems: wrongOrder } = assemble(script, statements);
  const all = [...problems, ...wrongOrder];
  if (all.length > 0) throw invalidScript(script, all, database);
  return { units };
}

/** Characters that neither the parser nor the server can be given. */
function findUnreadable(script: string): Problem[] {
  return [...script.matchAll(/\0|\p{Surrogate}/gu)].map((match) => ({
    offset: match.index,
    message: match[0] === '\0' ? 'NUL characters are not possible in SQL' : 'half of a surrogate pair is no character',
  }));
}

interface Reading {
  readonly statements: ReadStatement[];
  readonly problems: Problem[];
}

function read(script: string, grammar: Grammar): Reading {
  const whole = grammar.parse(script);
  if (whole.kind === 'parsed')
    return { statements: locate(script, placesOf(script), whole.statements, 0), problems: [] };
  const piecewise = readPiecewise(script, grammar);
  if (piecewise.problems.length > 0) return piecewise;
  const message = syntaxMessage(whole.message, script, whole.offset);
  return { statements: [], problems: [{ offset: whole.offset, message }] };
}

/** Only to find all problems of a script that has one. */
function readPiecewise(script: string, grammar: Grammar): Reading {
  const { pieces, metaCommands, sql } = cutIntoPieces(script);
  const placeOf = placesOf(script);
  const statements: ReadStatement[] = [];
  const problems: Problem[] = metaCommands.map(({ offset, name }) => ({
    offset,
    message: `${name} is a command of psql, not SQL: initSQL goes to PostgreSQL as it is`,
  }));
  for (const piece of pieces) {
    const parsed = grammar.parse(sql.slice(piece.start, piece.end));
    if (parsed.kind === 'parsed') statements.push(...locate(script, placeOf, parsed.statements, piece.start));
    else {
      const offset = piece.start + parsed.offset;
      problems.push({ offset, message: syntaxMessage(parsed.message, script, offset) });
    }
  }
  return { statements, problems };
}

function locate(
  script: string,
  placeOf: (offset: number) => Place,
  statements: readonly { readonly node: ReadStatement['node']; readonly start: number; readonly end: number }[],
  shift: number,
): ReadStatement[] {
  return statements.map(({ node, ...range }) => {
    const start = range.start + shift;
    const end = range.end + shift;
    return { node, start, end, sql: script.slice(start, end), ...placeOf(start), meaning: classify(node) };
  });
}
