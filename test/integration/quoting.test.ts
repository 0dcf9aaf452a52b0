import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, describe, expect } from 'vitest';
import { dollarQuote } from '../../src/objects/observe.ts';
import { diffParameters, isSameValue, splitList } from '../../src/objects/parameter.ts';
import { quoteConninfoValue, quoteIdentifier, quoteLiteral } from '../../src/postgres/quote.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { node, wanted } from '../unit/reconcile/situations.ts';

const test = clusterTest({ workers: 0, citus: 'none' });
let client: pg.Client;

test.beforeAll(async ({ cluster }) => {
  console.log(`PostgreSQL: ${cluster.description}`);
  await query(cluster, 0, 'postgres', 'CREATE DATABASE skymap');
  await query(cluster, 0, 'postgres', 'CREATE EXTENSION dblink');
  client = await connect(cluster, 0, 'postgres');
});

afterAll(async () => {
  await client?.end();
});

/** Any text that PostgreSQL can hold: no NUL, no half of a surrogate pair; quotes and backslashes more often. */
const text = fc.string({
  unit: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom("'", '"', '\\', '$', ' ', '\n', '=', ',', 'E', 'Ü', '%') },
    { weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter(isStorable) },
  ),
  maxLength: 30,
});

function isStorable(character: string): boolean {
  return character !== '\0';
}

/** Names of at most 63 bytes, reserved words and mixed case among them. */
const name = fc
  .oneof(
    text,
    fc.constantFrom('select', 'user', 'MyApp', 'my-db', 'Üñí', 'a"b', "a'b", 'json_table', 'between', '1a', '$user'),
  )
  .filter((value) => value !== '' && Buffer.byteLength(value) <= 63);

async function value(sql: string, values: readonly unknown[] = []): Promise<unknown> {
  const { rows } = await client.query<{ value: unknown }>(sql, [...values]);
  return rows[0]?.value;
}

describe('quoteLiteral', () => {
  test.each(['on', 'off'])('comes back as it went, standard_conforming_strings %s', async (setting) => {
    await client.query(`SET standard_conforming_strings = ${setting}; SET escape_string_warning = off`);
    await fc.assert(
      fc.asyncProperty(text, async (original) => {
        expect(await value(`SELECT ${quoteLiteral(original)} AS value`)).toBe(original);
      }),
      { numRuns: 300 },
    );
    await client.query('RESET standard_conforming_strings; RESET escape_string_warning');
  });

  test("is PostgreSQL's own quote_literal(), save for a blank before E", async () => {
    await fc.assert(
      fc.asyncProperty(text, async (original) => {
        const theirs = await value('SELECT quote_literal($1::text) AS value', [original]);
        expect(quoteLiteral(original).trim()).toBe(theirs);
      }),
      { numRuns: 300 },
    );
  });
});

describe('quoteIdentifier', () => {
  test('names the column that was meant', async () => {
    await fc.assert(
      fc.asyncProperty(name, async (original) => {
        const { fields } = await client.query(`SELECT 1 AS ${quoteIdentifier(original)}`);
        expect(fields.map((field) => field.name)).toEqual([original]);
      }),
      { numRuns: 300 },
    );
  });

  test("is PostgreSQL's own quote_ident(), but for names that need no quotes", async () => {
    await fc.assert(
      fc.asyncProperty(name, async (original) => {
        const theirs = await value('SELECT quote_ident($1::text) AS value', [original]);
        expect([original, quoteIdentifier(original)]).toContain(theirs);
        if (theirs === original) expect(original).toMatch(/^[a-z_][a-z0-9_]*$/);
      }),
      { numRuns: 300 },
    );
  });
});

test('dollarQuote comes back as it went', async () => {
  const observed = fc.oneof(text, fc.constantFrom('$observe$', '$observe', 'a$observe_$', '$', '$$'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(observed).map((parts) => parts.join('')),
      async (original) => {
        expect(await value(`SELECT ${dollarQuote(original)} AS value`)).toBe(original);
      },
    ),
    { numRuns: 300 },
  );
});

describe('quoteConninfoValue', () => {
  test('libpq reads it as it was written', async ({ cluster }) => {
    // dblink hands the string to PQconninfoParse(); application_name comes back from the server that it reaches.
    const { host, port } = cluster.nodes[0] ?? { host: '', port: 0 };
    const printable = fc.string({ unit: 'grapheme-ascii', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(printable, async (original) => {
        const conninfo = [
          `host=${quoteConninfoValue(host)} port=${port} dbname=postgres user=${quoteConninfoValue(cluster.superuser)}`,
          `application_name=${quoteConninfoValue(original)} password=${quoteConninfoValue(cluster.password)}`,
        ].join(' ');
        const read = await value(
          `SELECT t.name AS value FROM dblink($1, 'SELECT current_setting(''application_name'')') AS t(name text)`,
          [conninfo],
        );
        expect(read).toBe(original);
      }),
      { numRuns: 60 },
    );
  });

  test('a password with everything in it logs in, and another does not', async ({ cluster }) => {
    const password = ` a'b"c\\d=e%f#Ü;--\t`;
    await client.query(`CREATE ROLE quoting LOGIN PASSWORD ${quoteLiteral(password)}`);
    const { host, port } = cluster.nodes[0] ?? { host: '', port: 0 };
    const logIn = (attempt: string) =>
      value(`SELECT t.name AS value FROM dblink($1, 'SELECT current_user::text') AS t(name text)`, [
        `host=${host} port=${port} dbname=postgres user=quoting password=${quoteConninfoValue(attempt)}`,
      ]);
    expect(await logIn(password)).toBe('quoting');
    await expect(logIn(`${password}x`)).rejects.toThrow('could not establish connection');
  });
});

describe('parameters', () => {
  /** What pg_db_role_setting holds after the change that diffParameters() wants. */
  async function stored(parameter: string, declared: string): Promise<string> {
    const database = { ...wanted('{ name: skymap }'), parameters: { [parameter]: declared } };
    await client.query('ALTER DATABASE skymap RESET ALL');
    const changes = diffParameters(database, {}, node(0, 'c'));
    expect(changes).toHaveLength(1);
    for (const change of changes) for (const { text } of change.statements) await client.query(text);
    const entry = await value(`SELECT s.setconfig[1] AS value FROM pg_db_role_setting s
      JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = 'skymap'`);
    const held = String(entry).slice(String(entry).indexOf('=') + 1);
    expect(diffParameters(database, { [parameter]: held }, node(0, 'c'))).toEqual([]);
    return held;
  }

  test('search_path: what is stored is what was declared', async () => {
    const quoted = name.map((item) => quoteIdentifier(item));
    const bare = fc.constantFrom('public', 'Analytics', 'ÜX', 'select', 'json_table', '$user', 'pg_catalog', 'a_1');
    const list = fc
      .tuple(fc.array(fc.oneof(quoted, bare), { maxLength: 5 }), fc.constantFrom(',', ', ', ' , '))
      .map(([items, separator]) => items.join(separator));
    await fc.assert(
      fc.asyncProperty(list, async (declared) => {
        const held = await stored('search_path', declared);
        const items = splitList(declared, 'identifiers');
        expect(splitList(held, 'identifiers')).toEqual(items);
        expect(isSameValue('search_path', held, declared)).toBe(true);
        const quotedByServer = await value(
          `SELECT coalesce(string_agg(quote_ident(item), ', ' ORDER BY place), '""') AS value
           FROM unnest($1::text[]) WITH ORDINALITY AS list(item, place)`,
          [items],
        );
        expect(held).toBe(quotedByServer);
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    ['search_path', '', '""'],
    ['search_path', 'Analytics, "My Schema",public', 'analytics, "My Schema", public'],
    ['session_preload_libraries', 'auto_explain,Pg_Stat', 'auto_explain, "Pg_Stat"'],
    ['datestyle', 'ISO, MDY', 'ISO, MDY'],
    ['TimeZone', 'Europe/Zurich', 'Europe/Zurich'],
    ['app.greeting', `it's "a" \\ b`, `it's "a" \\ b`],
  ])('%s: %s', async (parameter, declared, expected) => {
    expect(await stored(parameter, declared)).toBe(expected);
  });

  test('a role that logs in finds the declared search_path', async ({ cluster }) => {
    await stored('search_path', 'Analytics, "My Schema",ÜX');
    const inside = await connect(cluster, 0, 'skymap');
    try {
      const { rows } = await inside.query<{ path: string }>(
        `SELECT string_agg(item, '|') AS path FROM unnest(parse_ident(replace(current_setting('search_path'), ', ', '.'))) item`,
      );
      expect(rows[0]?.path).toBe('analytics|My Schema|Üx');
    } finally {
      await inside.end();
      await client.query('ALTER DATABASE skymap RESET ALL');
    }
  });
});
