import { type StatementClass, TEMPORARY } from './classify.ts';

/**
 * What a statement means by its words alone, for those that the grammar of libpg-query does not take: what a server of
 * another version has as syntax, or has not as a keyword. `words` are in lower case, quoted identifiers left out.
 * undefined: what ends or begins a transaction has to be read properly, or its order would be wrong.
 */
export function classifyByWords(words: readonly string[]): StatementClass | undefined {
  const [first = '', second = ''] = words;
  if (TRANSACTION.has(first) || (first === 'prepare' && second === 'transaction')) return undefined;
  if (first === 'set' && (second === 'local' || second === 'transaction' || second === 'constraints')) {
    return { kind: 'blockOnly', why: `SET ${second.toUpperCase()} has no effect outside BEGIN … COMMIT` };
  }
  if (SESSION.has(first)) return { kind: 'session' };
  if (first === 'copy' && words.some((word) => word === 'stdin' || word === 'stdout')) return undefined;
  if (first === 'declare') return { kind: 'blockOnly', why: 'a cursor lives only between BEGIN and COMMIT' };
  if (first === 'lock') return { kind: 'blockOnly', why: 'LOCK TABLE has no effect outside BEGIN … COMMIT' };
  if (first === 'create' && words.slice(1, 5).some((word) => word === 'temp' || word === 'temporary')) {
    return { kind: 'blockOnly', why: TEMPORARY };
  }
  // Whatever else cannot run in a transaction tells so itself (SQLSTATE 25001).
  return { kind: 'plain', expectation: first === 'vacuum' || words.includes('concurrently') ? 'alone' : 'transaction' };
}

const TRANSACTION: ReadonlySet<string> = new Set([
  'begin',
  'start',
  'commit',
  'end',
  'rollback',
  'abort',
  'savepoint',
  'release',
]);

const SESSION: ReadonlySet<string> = new Set([
  'set',
  'reset',
  'prepare',
  'deallocate',
  'listen',
  'unlisten',
  'load',
  'discard',
]);
