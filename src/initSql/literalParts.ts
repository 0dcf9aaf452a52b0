import type { Node } from 'libpg-query';
import type { Grammar } from './grammar.ts';
import { isTree, stringOf, textOf } from './tree.ts';

/** Why a statement with one is judged like any other. */
export const WITH_PARTS =
  'a literal of an array, a range or a composite, whose parts are read at once: a domain among their types evaluates its constraint';

/**
 * A literal becomes a value as soon as a statement is analysed, also in a view, a default or the body of an SQL function.
 * The constraint of a domain waits for the execution, except where the domain is the type of a part: then the input
 * function of the array, range or composite evaluates it (PostgreSQL: parse_coerce.c, coerce_type(); domains.c, domain_in()).
 */
export function readsParts(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(readsParts);
  if (!isTree(value)) return false;
  const { A_Const: constant, DefElem: option } = value;
  if (isTree(constant) && isTree(constant['sval']) && hasParts(textOf(constant['sval']['sval']) ?? '')) return true;
  // CREATE AGGREGATE reads it as the type of the state (PostgreSQL: pg_aggregate.c, AggregateCreate()).
  if (isTree(option) && /^m?initcond$/i.test(textOf(option['defname']) ?? '')) return true;
  return Object.values(value).some(readsParts);
}

/** `{a,b}`, `[0:1]={a,b}`, `[a,b)`, `(a,b)`. An empty array has no part. */
function hasParts(literal: string): boolean {
  return /^\s*[{[(]/.test(literal) && !/^\s*\{\s*\}\s*$/.test(literal);
}

/** The texts that PostgreSQL reads as SQL when the function is created. Of PL/pgSQL it reads the syntax alone. */
export function bodiesOf({
  CreateFunctionStmt: { options = [] },
}: Extract<Node, { CreateFunctionStmt: unknown }>): readonly string[] {
  const given = new Map(
    options.flatMap((option) => ('DefElem' in option ? [[option.DefElem.defname, option.DefElem.arg] as const] : [])),
  );
  if (stringOf(given.get('language'))?.toLowerCase() !== 'sql') return [];
  const body = given.get('as');
  if (body === undefined || !('List' in body)) return [];
  return (body.List.items ?? []).flatMap((item) => stringOf(item) ?? []);
}

export function holdsParts(body: string, grammar: Grammar): boolean {
  const parsed = grammar.parse(body);
  return parsed.kind === 'error' || readsParts(parsed.statements.map(({ node }) => node));
}
