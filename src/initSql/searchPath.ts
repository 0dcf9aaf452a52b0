import type { Node } from 'libpg-query';
import { splitList } from '../objects/parameter.ts';
import type { Grammar } from './grammar.ts';
import { isTree, stringOf, textOf } from './tree.ts';

/** Schemas that a statement puts into search_path; `unknown`: its text does not tell which. */
export function pathSetBy(sql: string, grammar: Grammar): readonly string[] | 'unknown' {
  const parsed = grammar.parse(sql);
  if (parsed.kind === 'error') return 'unknown';
  const schemas = parsed.statements.map(({ node }) => ('VariableSetStmt' in node ? ofSet(node) : ofCalls(node)));
  if (schemas.includes('unknown')) return 'unknown';
  const names = schemas.flat();
  // The role of that moment decides what it stands for.
  return names.includes('$user') ? 'unknown' : names;
}

/** RESET leads back to what the session began with. */
function ofSet({ VariableSetStmt }: Extract<Node, { VariableSetStmt: unknown }>): readonly string[] | 'unknown' {
  const { kind, name = '', args = [] } = VariableSetStmt;
  if (kind === 'VAR_RESET_ALL') return 'unknown';
  if (name.toLowerCase() !== SEARCH_PATH) return [];
  return kind === 'VAR_SET_VALUE' ? allOrUnknown(args.map(constant)) : 'unknown';
}

const SEARCH_PATH = 'search_path';

/** set_config(), wherever it stands. */
function ofCalls(value: unknown): readonly string[] | 'unknown' {
  if (Array.isArray(value)) return together(value.map(ofCalls));
  if (!isTree(value)) return [];
  const { FuncCall: call } = value;
  const within = Object.values(value).map(ofCalls);
  return together(isTree(call) ? [ofCall(call['funcname'], call['args']), ...within] : within);
}

function ofCall(names: unknown, args: unknown): readonly string[] | 'unknown' {
  if (!Array.isArray(names) || stringOf(names.at(-1)) !== 'set_config') return [];
  const [setting, path] = Array.isArray(args) ? args.map(constant) : [];
  if (setting !== undefined && setting.toLowerCase() !== SEARCH_PATH) return [];
  return setting === undefined || path === undefined ? 'unknown' : splitList(path, 'identifiers');
}

/** `''` has no text in the parser's tree. */
function constant(node: unknown): string | undefined {
  const constantNode = isTree(node) ? node['A_Const'] : undefined;
  const text = isTree(constantNode) ? constantNode['sval'] : undefined;
  return isTree(text) ? (textOf(text['sval']) ?? '') : undefined;
}

function allOrUnknown(names: readonly (string | undefined)[]): readonly string[] | 'unknown' {
  const known = names.filter((name) => name !== undefined);
  return known.length === names.length ? known : 'unknown';
}

function together(found: readonly (readonly string[] | 'unknown')[]): readonly string[] | 'unknown' {
  return found.includes('unknown') ? 'unknown' : found.flat();
}
