import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { type Grammar, loadGrammar } from '../../src/initSql/grammar.ts';

/** The corpus of the differential suite holds every kind of statement that PostgreSQL's grammar has. */

const CORPUS = fileURLToPath(new URL('../differential/corpus', import.meta.url));

/** Kinds of statements that are not in the corpus, and why. */
const NOT_STATEMENTS: Readonly<Record<string, string>> = {
  RawStmt: 'stands around every statement',
  SetOperationStmt: 'made by the analysis of a query (PostgreSQL: parser/analyze.c)',
  PLAssignStmt: 'an assignment of PL/pgSQL',
};

/** Commands of ALTER TABLE that no text of a statement gives: PostgreSQL makes them of others (commands/tablecmds.c). */
const INTERNAL = [
  ...['AddColumnToView', 'CookedColumnDefault', 'AddIndex', 'ReAddIndex', 'ReAddConstraint', 'ReAddDomainConstraint'],
  ...['AddIndexConstraint', 'ReAddComment', 'ReplaceRelOptions', 'ReAddStatistics'],
].map((name) => `AT_${name}`);

const statements = new Set<string>();
const commands = new Set<string>();
let declared: { readonly nodes: string; readonly enums: string };

beforeAll(async () => {
  const types = path.dirname(
    createRequire(createRequire(import.meta.url).resolve('libpg-query')).resolve('@pgsql/types'),
  );
  declared = {
    nodes: readFileSync(path.join(types, 'types.d.ts'), 'utf8'),
    enums: readFileSync(path.join(types, 'enums.d.ts'), 'utf8'),
  };
  const grammar = await loadGrammar();
  for (const file of readdirSync(CORPUS)) collect(grammar, readFileSync(path.join(CORPUS, file), 'utf8'));
});

function collect(grammar: Grammar, corpus: string): void {
  const values: Readonly<Record<string, string>> = { db: 'db', t: 's.tab', n: 'tab', s: 's.' };
  const text = corpus.replaceAll(/\{(db|t|n|s)\}/g, (_, name: string) => values[name] ?? '');
  for (const chunk of text.trim().split(/\n\n+/)) {
    // Some are there to be refused.
    const result = grammar.parse(chunk);
    if (result.kind === 'parsed') for (const { node } of result.statements) visit(node);
  }
}

function visit(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    if (key.endsWith('Stmt')) statements.add(key);
    if (key === 'subtype' && typeof child === 'string') commands.add(child);
    visit(child);
  }
}

test('every kind of statement', () => {
  const kinds = [...declared.nodes.matchAll(/^export interface (\w+Stmt)\b/gm)].map(([, name]) => name ?? '');
  expect(kinds.length).toBeGreaterThan(100);
  const missing = kinds.filter((kind) => !statements.has(kind));
  expect(missing.toSorted()).toEqual(Object.keys(NOT_STATEMENTS).toSorted());
});

test('every command of ALTER TABLE', () => {
  const [, union = ''] = /^export type AlterTableType = (.*);/m.exec(declared.enums) ?? [];
  const kinds = [...union.matchAll(/AT_\w+/g)].map(([name]) => name);
  expect(kinds.length).toBeGreaterThan(50);
  expect(kinds.filter((kind) => !commands.has(kind)).toSorted()).toEqual(INTERNAL.toSorted());
});
