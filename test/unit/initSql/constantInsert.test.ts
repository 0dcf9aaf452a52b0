import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ConstantHashes } from '../../../src/initSql/constantHash.ts';
import { ConstantInserts, Shapes } from '../../../src/initSql/constantInsert.ts';
import { type Grammar, loadGrammar } from '../../../src/initSql/grammar.ts';
import { splitScript } from '../../../src/initSql/splitScript.ts';
import { hashOf } from '../../../src/initSql/units.ts';

let grammar: Grammar;
beforeAll(async () => {
  grammar = await loadGrammar();
});

describe('an INSERT of constants', () => {
  test.each<[string, string]>([
    ['one row', "INSERT INTO t VALUES (1, 'a')"],
    ['columns, a schema, and names in quotes', `insert into "S".t ("a b", c$1)values(1,'a'),(2,NULL)`],
    ['white space wherever it may be', 'INSERT\tINTO\r\nt  ( a ,b )\n VALUES\n ( 1 , -2.5e-3 ) ,\f(+1,\vDEFAULT)'],
    ['what a string may hold', "INSERT INTO t VALUES ('it''s; (b)', '\\', 'c\r\nd', '-- e', '/* f', 'é😀', '')"],
    ['a conflict to be passed over', 'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING'],
    ['a conflict of columns', 'INSERT INTO t VALUES (1), (2)\nON CONFLICT ( a, b ) do  nothing'],
  ])('%s', (_, sql) => {
    const insert = new ConstantInserts(`${sql} ;next`).at(0);
    expect(insert).toMatchObject({ start: 0, end: sql.length, next: sql.length + 2 });
    expect(sql.slice(0, insert?.rows.start)).toMatch(/values$/i);
    expect(sql.slice(insert?.rows.start, insert?.rows.end)).toMatch(/^\s*\([\s\S]*\)$/);
  });

  test.each<[string, string]>([
    ['a call', 'INSERT INTO t VALUES (now());'],
    ['a cast', "INSERT INTO t VALUES ('1'::int);"],
    ['an escape', "INSERT INTO t VALUES (E'\\'');"],
    ['a string that goes on', "INSERT INTO t VALUES ('a'\n'b');"],
    ['a comment', 'INSERT INTO t VALUES (1 /* , */);'],
    ['a comment before VALUES', 'INSERT INTO t -- a\nVALUES (1);'],
    ['RETURNING', 'INSERT INTO t VALUES (1) RETURNING a;'],
    ['an update of what is there', 'INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1;'],
    ['no semicolon', 'INSERT INTO t VALUES (1)'],
    ['no row', 'INSERT INTO t VALUES ;'],
    ['half a row', 'INSERT INTO t VALUES (1), (2;'],
    ['a query', 'INSERT INTO t SELECT * FROM u;'],
    ['an alias', 'INSERT INTO t AS u VALUES (1);'],
    ['a name that ends like it', 'INSERT INTO t_values (1);'],
    ['white space that PostgreSQL takes for a word', 'INSERT INTO\u00a0t VALUES (1);'],
    ['another statement', 'SELECT 1;'],
  ])('not with %s', (_, sql) => {
    expect(new ConstantInserts(sql).at(0)).toBeUndefined();
  });

  test('is found behind one that begins alike, and behind one that does not', () => {
    const inserts = ['INSERT INTO t VALUES (1);', 'INSERT INTO t VALUES (2),(3);', 'INSERT INTO u(a) VALUES (4);'];
    const found = new ConstantInserts(inserts.join(''));
    const ends: (number | undefined)[] = [];
    for (let at: number | undefined = 0; at !== undefined; at = found.at(at)?.next) ends.push(at);
    expect(ends).toEqual([0, 25, 54, 82]);
  });

  test('whose words the grammar does not take is none', () => {
    const script = 'INSERT INTO order VALUES (1);';
    const insert = new ConstantInserts(script).at(0);
    expect(insert && new Shapes(grammar).of(script, insert)).toBeUndefined();
  });
});

describe('its hash', () => {
  const blank = fc.stringMatching(/^[ \t\n\r\f\v]{0,3}$/);
  const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', '').replaceAll("'", "''"));
  const constant = fc.oneof(
    fc.oneof(text, fc.constantFrom('\r\n', '\r', 'a -- b', '/*', "''", '(),;+-', ' ')).map((value) => `'${value}'`),
    fc.stringMatching(/^[-+]?[0-9]{1,3}(\.[0-9]{1,2})?(e[-+]?[0-9])?$/),
    fc.constantFrom('NULL', 'true', 'False', 'default'),
  );
  const row = fc
    .tuple(fc.array(fc.tuple(blank, constant, blank), { minLength: 1, maxLength: 4 }), blank, blank)
    .map(([values, before, behind]) => `${before}(${values.map((value) => value.join('')).join(',')})${behind}`);
  const words = fc.constantFrom('INSERT INTO t VALUES', 'insert  into "a\r\nb".t\t( c, d )\r\nvalues');
  const ending = fc.constantFrom('', 'ON  CONFLICT DO NOTHING', 'on conflict ("a")do\nnothing');

  test('is that of its tokens', () => {
    const hashes = new ConstantHashes();
    const property = fc.property(
      words,
      fc.array(row, { minLength: 1, maxLength: 5 }),
      ending,
      (before, rows, behind) => {
        const script = `${before}${rows.join(',')}${behind};`;
        const insert = new ConstantInserts(script).at(0);
        if (insert === undefined) throw new Error('not found');
        const shape = new Shapes(grammar).of(script, insert);
        if (shape === undefined) throw new Error('not taken');
        const sql = script.slice(0, insert.end);
        expect(hashes.of(sql, insert.rows, shape)).toBe(hashOf(sql));
      },
    );
    fc.assert(property, { numRuns: 500 });
  });

  test.each([
    ['of strings', `'${"it''s é ".repeat(60_000)}'`],
    ['of quotes alone', `'${"''".repeat(100_001)}'`],
    ['of columns', Array.from({ length: 70_000 }, (_, index) => index).join(', ')],
  ])('so are megabytes %s', (_, values) => {
    const sql = `INSERT INTO t VALUES (${values}), (1)`;
    const insert = new ConstantInserts(`${sql};`).at(0);
    const shape = insert && new Shapes(grammar).of(sql, insert);
    expect(insert && shape && new ConstantHashes().of(sql, insert.rows, shape)).toBe(hashOf(sql));
  });

  test('so are words of more than is hashed at once', () => {
    const columns = Array.from({ length: 20_000 }, (_, index) => `column_${index}`).join(', ');
    const sql = `INSERT INTO t (${columns}) VALUES (1)`;
    const insert = new ConstantInserts(`${sql};`).at(0);
    const shape = insert && new Shapes(grammar).of(sql, insert);
    expect(insert && shape && new ConstantHashes().of(sql, insert.rows, shape)).toBe(hashOf(sql));
  });
});

describe('a long script of them', () => {
  const statements = [
    '\nCREATE TABLE t (id int, name text)',
    ...Array.from({ length: 100 }, (_, id) => `INSERT INTO t (id, name) VALUES (${id}, 'number ${id}')`),
    '-- a comment; with a semicolon\nINSERT INTO t VALUES (1)',
    "/* and another */ SET client_encoding = 'UTF8'",
    "INSERT INTO t VALUES (2, 'PASSWORD ''secret''')",
    "INSERT INTO t VALUES (2, 'password=secret'),\n\n(3, 'b')",
    'BEGIN',
    'INSERT INTO t VALUES (4)',
    'INSERT INTO t VALUES (5)',
    'COMMIT',
    '',
    'INSERT INTO t VALUES (6), (7)',
    'CREATE FUNCTION f() RETURNS void BEGIN ATOMIC INSERT INTO t VALUES (8); INSERT INTO t VALUES (9); END',
    'CREATE RULE r AS ON UPDATE TO t DO (INSERT INTO t VALUES (10); INSERT INTO t VALUES (11))',
    'INSERT INTO t VALUES (12)',
    '-- the end',
  ];
  const script = statements.join(';\n');

  test('becomes what it becomes when the parser reads all of it', async () => {
    expect(script.length).toBeGreaterThan(4_096);
    // Without a row of constants alone nothing is recognised.
    const inFull = script.replaceAll(/\bVALUES \(/g, 'VALUES /**/ (');
    const { units } = await splitScript(script);
    const { units: expected } = await splitScript(inFull);
    const comparable = (unit: unknown) => JSON.parse(JSON.stringify(unit).replaceAll('VALUES /**/ (', 'VALUES ('));
    expect(units.map(comparable)).toEqual(expected.map(comparable));
    expect(units).toHaveLength(100 + 10);
    expect(JSON.stringify(units.map((unit) => unit.kind !== 'session' && unit.text))).not.toContain('secret');
  });

  test('has its problems where they are', async () => {
    const wrong = `${script};\nINSERT INTO t VALUES (1 2);\nINSERT INTO order VALUES (1);\nINSERT INTO t VALUES (1);`;
    const lines = wrong.split('\n').length;
    const failure = await splitScript(wrong).then(
      () => 'none',
      (error: unknown) => String(error),
    );
    expect(failure).toContain(`line ${lines - 2}, column 25: syntax error at or near "2"`);
    expect(failure).toContain(`line ${lines - 1}, column 13: syntax error at or near "order"`);
    expect(failure).toContain('2 problems');
  });

  test('may end with a comment that does not end, which psql does not send either', async () => {
    expect(await splitScript(`${script};\n/* no end`)).toEqual(await splitScript(script));
  });
});
