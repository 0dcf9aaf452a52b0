import { describe, expect, test } from 'vitest';
import { furtherRows } from '../../../src/initSql/constantRows.ts';
import { splitScript } from '../../../src/initSql/splitScript.ts';

describe('rows that the parser need not read', () => {
  test.each<[string, string, string | undefined]>([
    ['the first row and the last one stay', '(1), (2), (3), (4)', ' (2), (3),'],
    ['three rows', '(1),(2),(3)', '(2),'],
    ['two rows', '(1), (2)', undefined],
    [
      'every kind of constant',
      `(1),(-2.5, 'a', NULL, true, False, DEFAULT, 1e5),(3)`,
      `(-2.5, 'a', NULL, true, False, DEFAULT, 1e5),`,
    ],
    ['quotes, semicolons and parentheses in strings', `('a'),('it''s; (b), ''),('),('c')`, `('it''s; (b), ''),('),`],
    ['a backslash is a character', String.raw`('a'),('\'),('c')`, String.raw`('\'),`],
    ['a call ends them', '(1),(2),(3),(f(4)),(5),(6)', '(2),(3),'],
    ['an expression ends them', '(1),(2),(1 + 2),(4)', '(2),'],
    ['a cast ends them', "(1),(2),('a'::text),(4)", '(2),'],
    ['escapes end them', String.raw`('a'),('b'),(E'\''),('d')`, "('b'),"],
    ['a string that goes on ends them', "('a'),('b'),('c'\n'd'),('e')", "('b'),"],
    ['a comment ends them', '(1),(2),/* , */(3),(4)', '(2),'],
    ['a missing comma ends them', '(1),(2),(3) (4),(5)', '(2),'],
    ['an empty row ends them', '(1),(2),(),(4)', '(2),'],
    ['other words are no constants', '(1),(2),(current_user),(4)', '(2),'],
    ['a string without end', "(1),(2),('a),(4)", '(2),'],
    ['white space that PostgreSQL takes for a word', '(1),(2),(\u00a03),(4)', '(2),'],
  ])('%s', (_, sql, expected) => {
    const rows = furtherRows(sql, 0);
    expect(rows === undefined ? undefined : sql.slice(rows.start, rows.end)).toBe(expected);
  });

  test('a string of megabytes', () => {
    const long = `('${"it''s ".repeat(1_000_000)}'),`;
    expect(furtherRows(`(1),${long}(3)`, 0)).toEqual({ start: 4, end: 4 + long.length });
  });
});

/** Long enough that it is read in parts, as short scripts are not. */
const MANY = Array.from({ length: 4000 }, (_, id) => `(${id}, 'ünïcode; (${id})'),`).join('\n');

describe('a long script with rows of constants', () => {
  test('has the same statements, places and keys as each of them alone', async () => {
    const statements = [
      'CREATE TABLE t (id int, name text);',
      `INSERT INTO t VALUES\n${MANY}\n(-1, NULL);`,
      `INSERT INTO t (id, name) VALUES ${MANY} (-2, 'last') ON CONFLICT DO NOTHING RETURNING id;`,
      `INSERT INTO t VALUES ${MANY} (random(), 'a call'), (1, '2'), (3, '4');`,
      `INSERT INTO t SELECT * FROM (VALUES ${MANY} (-3, 'in a query')) v;`,
      'CREATE INDEX CONCURRENTLY i ON t (id);',
    ];
    const together = (await splitScript(statements.join('\n'))).units;
    const alone = await Promise.all(statements.map(async (statement) => (await splitScript(statement)).units));
    const withoutPlace = ({ line: _, column: __, ...unit }: (typeof together)[number]) => unit;
    expect(together.map(withoutPlace)).toEqual(alone.flat().map(withoutPlace));
    expect(together.map((unit) => unit.kind !== 'block' && `${unit.sql};`)).toEqual(statements);
    const lengths = statements.map((statement) => statement.split('\n').length);
    expect(together.map(({ line }) => line)).toEqual(
      lengths.map((_, index) => 1 + lengths.slice(0, index).reduce((sum, lines) => sum + lines, 0)),
    );
  });

  test.each<[string, string, string]>([
    ['behind the rows', `${MANY} (1, 'a') RETURN id`, 'syntax error at or near "RETURN"'],
    ['between rows', `${MANY} (1 'a'), ${MANY} (2, 'b')`, `syntax error at or near "'a'"`],
    ['at the end', `${MANY}`, 'syntax error at end of input'],
  ])('an error %s is found where it is', async (_, values, message) => {
    const sql = `INSERT INTO t VALUES ${values}`;
    const problem = await splitScript(sql).then(
      () => 'no problem',
      (error: unknown) => String(error),
    );
    expect(problem).toContain(message);
    const place = /line (\d+), column \d+/.exec(problem)?.[1];
    expect(Number(place)).toBeGreaterThanOrEqual(4000);
  });
});
