import { blotOutPasswords } from './blotOut.ts';
import type { ScriptProblem } from './problems.ts';
import type { BlockUnit, Unit } from './types.ts';
import { type KeyRing, partOf, type ReadStatement, shorten, shownText, statementUnit } from './units.ts';

interface OpenBlock {
  readonly begin: ReadStatement;
  readonly statements: ReadStatement[];
}

/**
 * Puts statements together to units and finds what is wrong with their order. `script` is the whole text; `keys` count
 * on through all scripts of a database.
 */
export function assemble(
  script: string,
  statements: Iterable<ReadStatement>,
  keys: KeyRing,
): { readonly units: Unit[]; readonly problems: ScriptProblem[] } {
  const units: Unit[] = [];
  const problems: ScriptProblem[] = [];
  let block: OpenBlock | undefined;
  for (const statement of statements) {
    const { meaning } = statement;
    const report = (message: string) => problems.push({ offset: statement.start, message });
    if (meaning.kind === 'refused') report(meaning.why);
    else if (meaning.kind === 'rollback') {
      report(meaning.why);
      block = undefined;
    } else if (meaning.kind === 'begin') {
      if (block === undefined) block = { begin: statement, statements: [] };
      else report(`BEGIN within the BEGIN of line ${block.begin.line}: transactions do not nest, use SAVEPOINT`);
    } else if (meaning.kind === 'commit') {
      if (block === undefined) report('COMMIT without BEGIN');
      else if (block.statements.length > 0) units.push(blockUnit(script, block, statement.end, keys));
      block = undefined;
    } else if (block !== undefined) {
      if (meaning.kind === 'plain' && meaning.expectation === 'alone') {
        report('this statement cannot run within a transaction: move it out of BEGIN … COMMIT');
      }
      block.statements.push(statement);
    } else if (meaning.kind === 'blockOnly') report(meaning.why);
    else if (meaning.kind === 'session')
      units.push({ kind: 'session', ...partOf(statement), display: display(statement) });
    else units.push(statementUnit(statement, meaning, keys));
  }
  if (block !== undefined) problems.push({ offset: block.begin.start, message: 'BEGIN without COMMIT' });
  return { units, problems };
}

function blockUnit(script: string, block: OpenBlock, end: number, keys: KeyRing): BlockUnit {
  const sql = script.slice(block.begin.start, end);
  const [first] = block.statements;
  const openings = block.statements.flatMap(({ opens }) => opens ?? []);
  const opens = openings.find((opening) => opening === 'database') ?? openings[0];
  const count = block.statements.length;
  const summary = first === undefined ? '' : display(first);
  return {
    kind: 'block',
    ...partOf({ ...block.begin, sql }),
    ...(opens === undefined ? {} : { opens }),
    ...keys.keyOf(blotOutPasswords(sql)),
    begin: partOf(block.begin),
    statements: block.statements.map(partOf),
    replay: block.statements.filter((statement) => statement.meaning.kind === 'session').map(partOf),
    text: shownText({ ...block.begin, sql }),
    display: `BEGIN … COMMIT (${count} ${count === 1 ? 'statement' : 'statements'}): ${summary}`,
  };
}

function display(statement: ReadStatement): string {
  return shorten(shownText(statement));
}
