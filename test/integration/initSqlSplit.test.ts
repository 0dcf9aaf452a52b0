import type pg from 'pg';
import { afterAll, describe, expect } from 'vitest';
import { locateError } from '../../src/initSql/locateError.ts';
import { splitScript } from '../../src/initSql/splitScript.ts';
import type { SqlPart, StatementUnit } from '../../src/initSql/types.ts';
import { connect } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';

const test = clusterTest({ workers: 0, citus: 'none' });
let client: pg.Client;

test.beforeAll(async ({ cluster }) => {
  client = await connect(cluster, 0, 'postgres');
});

afterAll(async () => {
  await client?.end();
});

async function statement(sql: string): Promise<StatementUnit> {
  const [unit] = (await splitScript(sql)).units;
  if (unit?.kind !== 'statement') throw new Error(`not a statement: ${sql}`);
  return unit;
}

async function lookUp(sql: string): Promise<unknown> {
  const { lookup } = await statement(sql);
  if (lookup.kind !== 'query') return lookup.kind;
  const { rows } = await client.query(lookup.text, [...lookup.values]);
  return rows.length === 1 ? rows[0].outcome : rows;
}

async function positionOf(part: SqlPart): Promise<number> {
  const error: unknown = await client.query(part.sql).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return Number(error instanceof Error ? Reflect.get(error, 'position') : Number.NaN);
}

test('each unit is one statement to the server, with the literals of the script', async () => {
  const script = `-- é😀; not a statement
SELECT 'é😀;' AS "a;b", E'it\\'s; '
'\\'x'
  AS c; /* ; /* ; */ */ SELECT $é$;$$;$é$ AS a;
CREATE FUNCTION one() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;;
SELECT U&"d\\0061t" FROM (SELECT one() AS dat) AS s; DROP FUNCTION one()`;
  const results = [];
  for (const unit of (await splitScript(script)).units) {
    // For several statements pg gives an array of results, which has no `command`.
    const { command, rows } = await client.query(unit.sql);
    results.push({ command, rows });
  }
  expect(results).toEqual([
    { command: 'SELECT', rows: [{ 'a;b': 'é😀;', c: "it's; 'x" }] },
    { command: 'SELECT', rows: [{ a: ';$$;' }] },
    { command: 'CREATE', rows: [] },
    { command: 'SELECT', rows: [{ dat: 2 }] },
    { command: 'DROP', rows: [] },
  ]);
});

test("the server's positions lead to the place in the script", async () => {
  const script = `SELECT 'é😀'; /* 😀 */ SELECT '😀é', nope;
SELECT 1,
\t'😀', nope`;
  const units = (await splitScript(script)).units;
  const places = [];
  for (const unit of units.slice(1)) places.push(locateError(unit, await positionOf(unit)));
  expect(places).toEqual([
    { line: 1, column: 35, excerpt: "SELECT '😀é', nope\n             ^" },
    { line: 3, column: 7, excerpt: " '😀', nope\n      ^" },
  ]);
});

describe('looking up what became of a statement', () => {
  test('CREATE INDEX CONCURRENTLY and DROP INDEX CONCURRENTLY', async () => {
    await client.query('CREATE SCHEMA "My s"; CREATE TABLE "My s"."T" (a int); INSERT INTO "My s"."T" VALUES (1), (1)');
    const create = 'CREATE UNIQUE INDEX CONCURRENTLY "My i" ON "My s"."T" (a)';
    const drop = 'DROP INDEX CONCURRENTLY "My s"."My i"';
    expect([await lookUp(create), await lookUp(drop)]).toEqual(['notDone', 'done']);
    await expect(client.query(create)).rejects.toThrow('could not create unique index');
    expect([await lookUp(create), await lookUp(drop)]).toEqual(['unclear', 'notDone']);
    await client.query(drop);
    await client.query('TRUNCATE "My s"."T"');
    await client.query(create);
    expect([await lookUp(create), await lookUp(drop)]).toEqual(['done', 'notDone']);
    await client.query('SET search_path = "My s"');
    expect(await lookUp('CREATE INDEX CONCURRENTLY "My i" ON "T" (a)')).toBe('done');
    await client.query('RESET search_path');
    expect(await lookUp('CREATE INDEX CONCURRENTLY "My i" ON "T" (a)')).toBe('notDone');
  });

  test('DETACH PARTITION CONCURRENTLY', async () => {
    const detach = 'ALTER TABLE p DETACH PARTITION c CONCURRENTLY';
    await client.query('CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE c PARTITION OF p FOR VALUES IN (1)');
    expect(await lookUp(detach)).toBe('notDone');
    await client.query(detach);
    expect(await lookUp(detach)).toBe('done');
  });

  test.each([
    ['CREATE DATABASE "Üñí"', 'DROP DATABASE "Üñí"'],
    [
      "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)",
      'DROP SUBSCRIPTION s',
      'ALTER SUBSCRIPTION s SET (slot_name = NONE)',
    ],
  ])('%s', async (create, drop, between = 'SELECT') => {
    expect([await lookUp(create), await lookUp(drop)]).toEqual(['notDone', 'done']);
    await client.query(create);
    expect([await lookUp(create), await lookUp(drop)]).toEqual(['done', 'notDone']);
    await client.query(between);
    await client.query(drop);
    expect([await lookUp(create), await lookUp(drop)]).toEqual(['notDone', 'done']);
  });

  test('tablespaces', async () => {
    expect(await lookUp("CREATE TABLESPACE pg_default LOCATION '/x'")).toBe('done');
    expect(await lookUp("CREATE TABLESPACE x LOCATION '/x'")).toBe('notDone');
    expect(await lookUp('DROP TABLESPACE x')).toBe('done');
  });
});

test('what is expected to run alone is refused in a transaction, the rest is not', async () => {
  await client.query(
    'CREATE TABLE t (a int); CREATE INDEX i ON t (a); CREATE TABLE q (a int) PARTITION BY LIST (a); CREATE TABLE r PARTITION OF q DEFAULT',
  );
  const statements = [
    'CREATE INDEX CONCURRENTLY ON t (a)',
    'CREATE INDEX ON t (a)',
    'DROP INDEX CONCURRENTLY i',
    'VACUUM t',
    'ANALYZE t',
    'REINDEX TABLE t',
    'REINDEX (CONCURRENTLY) TABLE t',
    'REINDEX SCHEMA public',
    'REINDEX DATABASE',
    'CLUSTER',
    'CLUSTER t USING i',
    "ALTER SYSTEM SET work_mem = '5MB'",
    'CREATE DATABASE d',
    'DROP DATABASE IF EXISTS d',
    'DROP TABLESPACE IF EXISTS x',
    'CHECKPOINT',
    'ALTER TABLE q DETACH PARTITION r',
    'ALTER DATABASE template0 SET TABLESPACE pg_default',
    'ALTER DATABASE postgres CONNECTION LIMIT 50',
  ];
  const wrong: string[] = [];
  for (const sql of statements) {
    const { expectation } = await statement(sql);
    await client.query('BEGIN');
    const code: unknown = await client.query(sql).then(
      () => undefined,
      (error: unknown) => Reflect.get(Object(error), 'code'),
    );
    await client.query('ROLLBACK');
    if ((code === '25001') !== (expectation === 'alone')) wrong.push(`${sql}: ${expectation}, ${code}`);
  }
  expect(wrong).toEqual([]);
});
