import { describe, expect } from 'vitest';
import { catalogsOf, firstValue, list } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** initSQL against real nodes: each statement once, in order, and resumed where it stopped. */

const test = clusterTest({ workers: 2 })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      async (command: string, name: string, initSQL: string, more: Document = {}): Promise<Outcome> => {
        return await runProgram(cluster, [command], specOf(cluster, [{ name, initSQL, ...more }]));
      },
  )
  .extend(
    'apply',
    { scope: 'file' },
    ({ run }) =>
      async (name: string, initSQL: string, more: Document = {}): Promise<Outcome> => {
        return await run('apply', name, initSQL, more);
      },
  )
  .extend(
    'applied',
    { scope: 'file' },
    ({ apply }) =>
      async (name: string, initSQL: string, more: Document = {}): Promise<string> => {
        const { code, log } = await apply(name, initSQL, more);
        expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
        return log;
      },
  )
  .extend(
    'rejected',
    { scope: 'file' },
    ({ apply }) =>
      async (code: number, name: string, initSQL: string, more: Document = {}): Promise<string> => {
        const outcome = await apply(name, initSQL, more);
        expect({ code: outcome.code, log: outcome.log }).toEqual({
          code,
          log: expect.not.stringContaining(`Database '${name}' is ready!`),
        });
        return outcome.log.slice(outcome.log.indexOf('ERROR'));
      },
  )
  .extend(
    'one',
    { scope: 'file' },
    ({ cluster }) =>
      async (database: string, sql: string, group = 0): Promise<unknown> => {
        return await firstValue(cluster, group, database, sql);
      },
  );

/** A plan without its line about the databases of the other tests, which its spec does not declare. */
function withoutOthers(plan: string): string {
  return plan.replace(/^! Not in this spec.*\n\n/, '');
}

/** The statements that a run executed, by their lines. */
function lines(log: string): readonly number[] {
  return [...log.matchAll(/^ +Line (\d+): /gm)].map((match) => Number(match[1]));
}

const SEED = `-- Create schemas
CREATE SCHEMA IF NOT EXISTS analytics;
CREATE SCHEMA IF NOT EXISTS staging;

-- Create roles
CREATE ROLE app_user WITH LOGIN PASSWORD 'changeme';
GRANT CONNECT ON DATABASE mydb TO app_user;

-- Create distributed table
CREATE TABLE events (
  event_id BIGSERIAL,
  user_id BIGINT NOT NULL,
  event_data JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (event_id, user_id)
);
SELECT create_distributed_table('events', 'user_id');

-- Create reference table
CREATE TABLE users (
  user_id BIGINT PRIMARY KEY,
  username TEXT NOT NULL
);
SELECT create_reference_table('users');
`;

test("the seed's script runs once, and its tables are everywhere", async ({ cluster, applied, one }) => {
  expect(lines(await applied('mydb', SEED))).toEqual([2, 3, 6, 7, 10, 17, 20, 24]);
  await query(
    cluster,
    0,
    'mydb',
    "INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 5) i; INSERT INTO events (user_id) SELECT i % 5 + 1 FROM generate_series(1, 40) i",
  );
  for (const { group } of cluster.nodes) {
    expect(await one('mydb', 'SELECT count(*)::int FROM events JOIN users USING (user_id)', group)).toBe(40);
  }
  const again = await applied('mydb', SEED);
  expect(again).toContain('Custom SQL was already executed');
  expect(again).toContain('Nothing was changed');
});

test('appended statements run, removed ones are no concern, the ledger stays off the workers', async ({
  cluster,
  applied,
  one,
}) => {
  const log = await applied(
    'mydb',
    `${SEED.replace('CREATE SCHEMA IF NOT EXISTS staging;', '')}INSERT INTO users VALUES (99, 'late');`,
  );
  expect(lines(log)).toEqual([25]);
  expect(await one('mydb', 'SELECT count(*)::int FROM citus_databases.init_sql')).toBe(9);
  for (const group of [1, 2]) {
    expect(
      await list(
        cluster,
        group,
        'mydb',
        "SELECT relname FROM pg_class WHERE relnamespace = 'citus_databases'::regnamespace",
      ),
    ).toEqual([]);
  }
});

describe('a statement that fails', () => {
  const broken = `CREATE TABLE a (x int);
INSERT INTO a VALUES (1);
INSERT INTO a
  SELECT 'é😀', nope
  FROM a;
INSERT INTO a VALUES (3);`;

  test("ends the run with its line, the statement, the place and PostgreSQL's words", async ({
    run,
    rejected,
    one,
  }) => {
    expect(await rejected(2, 'halfway', broken)).toMatchInlineSnapshot(`
      "ERROR: initSQL failed at line 4: INSERT INTO a SELECT 'é😀', nope FROM a (node node0, database halfway)
        Cause: column "nope" does not exist (SQLSTATE 42703)
          At line 4, column 16:
            SELECT 'é😀', nope
                         ^
        Next: Correct the statement and run again: statements before it are done and are not repeated, and this one left nothing behind
      "
    `);
    expect(await one('halfway', 'SELECT array_agg(x) FROM a')).toEqual([1]);
    const plan = await run('plan', 'halfway', broken);
    expect(plan.code).toBe(10);
    expect(withoutOthers(plan.log)).toMatchInlineSnapshot(`
      "Database 'halfway'

      Step 7: Run custom initialization SQL
        + node0: execute line 3: INSERT INTO a SELECT 'é😀', nope FROM a
        + node0: execute line 6: INSERT INTO a VALUES (3)

      2 to change on 1 node. Nothing has been changed yet.
      "
    `);
  });

  test('fails again unless it is corrected', async ({ apply }) => {
    expect(lines((await apply('halfway', broken)).log)).toEqual([3]);
  });

  test('corrected, the next run resumes with it', async ({ applied, one }) => {
    expect(lines(await applied('halfway', broken.replace("'é😀', nope", '2')))).toEqual([3, 6]);
    expect(await one('halfway', 'SELECT array_agg(x ORDER BY x) FROM a')).toEqual([1, 2, 3]);
  });

  test('an edited statement that was executed is refused, with both lines', async ({ run, rejected, one }) => {
    const edited = broken.replace("'é😀', nope", '2').replace('VALUES (1)', 'VALUES (7)');
    expect(await rejected(3, 'halfway', edited)).toMatchInlineSnapshot(`
      "ERROR: Line 2 of initSQL is new or was edited, but line 3 has been executed already (database halfway)
        Cause: line 2, new or edited: INSERT INTO a VALUES (7)
          line 3, executed already: INSERT INTO a SELECT 2 FROM a
          executed as line 2 of an earlier script, and no longer there: INSERT INTO a VALUES (1)
        Next: Each statement is executed once, in the script's order. Move a new statement to the end of initSQL; undo an edit, and append a statement that makes the change (ALTER …). If the database is as the script says already, run once with initSQLPolicy: baseline.
      "
    `);
    expect((await run('plan', 'halfway', edited)).code).toBe(3);
    expect(await one('halfway', 'SELECT array_agg(x ORDER BY x) FROM a')).toEqual([1, 2, 3]);
  });

  test('within an own BEGIN … COMMIT undoes all of the block', async ({ applied, rejected, one }) => {
    const block = `CREATE TABLE b (x int);
BEGIN;
INSERT INTO b VALUES (1);
INSERT INTO b VALUES ('no number');
COMMIT;
INSERT INTO b VALUES (3);`;
    expect(await rejected(2, 'blocks', block)).toMatchInlineSnapshot(`
      "ERROR: initSQL failed at line 4 (node node0, database blocks)
        Cause: invalid input syntax for type integer: "no number" (SQLSTATE 22P02)
          At line 4, column 23:
          INSERT INTO b VALUES ('no number')
                                ^
        Next: Correct the statement and run again: statements before it are done and are not repeated, and this one left nothing behind
      "
    `);
    expect(await one('blocks', 'SELECT count(*)::int FROM b')).toBe(0);
    await applied('blocks', block.replace("'no number'", '2'));
    expect(await one('blocks', 'SELECT array_agg(x ORDER BY x) FROM b')).toEqual([1, 2, 3]);
  });

  test('a deferred constraint fails at the end of its statement, and is not recorded', async ({
    cluster,
    applied,
    rejected,
  }) => {
    const script = `CREATE TABLE p (x int PRIMARY KEY);
CREATE TABLE c (x int REFERENCES p DEFERRABLE INITIALLY DEFERRED);
INSERT INTO c VALUES (1);`;
    expect(await rejected(2, 'deferred', script)).toContain('initSQL failed at line 3: INSERT INTO c VALUES (1)');
    await query(cluster, 0, 'deferred', 'INSERT INTO p VALUES (1)');
    expect(lines(await applied('deferred', script))).toEqual([3]);
  });
});

test('statements that cannot run in a transaction run alone', async ({ cluster, applied, one }) => {
  const script = `CREATE TABLE t (x int);
CREATE INDEX CONCURRENTLY t_x ON t (x);
VACUUM t;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); END $$;
CALL commits();
ALTER SYSTEM SET log_min_duration_statement = -1;
INSERT INTO t VALUES (3);`;
  expect(lines(await applied('alone', script))).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(await one('alone', 'SELECT array_agg(x ORDER BY x) FROM t')).toEqual([1, 2, 3]);
  expect(await one('alone', "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_x'::regclass")).toBe(true);
  expect(await list(cluster, 0, 'alone', 'SELECT state FROM citus_databases.init_sql')).toEqual(Array(7).fill('done'));
  expect(await applied('alone', script)).toContain('Nothing was changed');
});

test('an index that could not be built concurrently: the run says what is left behind', async ({
  cluster,
  applied,
  rejected,
}) => {
  const script = `CREATE TABLE d (x int);
INSERT INTO d VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY d_x ON d (x);`;
  expect(await rejected(2, 'invalid_index', script)).toMatchInlineSnapshot(`
    "ERROR: initSQL failed at line 3: CREATE UNIQUE INDEX CONCURRENTLY d_x ON d (x) (node node0, database invalid_index)
      Cause: could not create unique index "d_x" (SQLSTATE 23505)
        DETAIL: Key (x)=(1) is duplicated.
      Next: Index "d_x" exists but is invalid: drop it (DROP INDEX CONCURRENTLY "d_x"). Then run again.
    "
  `);
  expect(await rejected(3, 'invalid_index', script)).toMatchInlineSnapshot(`
    "ERROR: It is unknown whether line 3 of initSQL took effect (database invalid_index)
      Cause: An earlier run ended while this statement was being executed, which cannot run in a transaction: CREATE UNIQUE INDEX CONCURRENTLY d_x ON d (x)
      Next: Index "d_x" exists but is invalid: drop it (DROP INDEX CONCURRENTLY "d_x"). Then run again.
    "
  `);
  await query(cluster, 0, 'invalid_index', 'DROP INDEX d_x; DELETE FROM d');
  expect(lines(await applied('invalid_index', script))).toEqual([3]);
});

test('SET is replayed when a run resumes', async ({ cluster, applied, rejected }) => {
  const script = `CREATE SCHEMA s;
SET search_path = s;
CREATE TABLE inside (x int);
SELECT 1 / 0;
CREATE TABLE later (x int);`;
  await rejected(2, 'replay', script);
  await applied('replay', script.replace('1 / 0', '1'));
  expect(
    await list(cluster, 0, 'replay', "SELECT relname FROM pg_class WHERE relnamespace = 's'::regnamespace"),
  ).toEqual(['inside', 'later']);
});

test('SET ROLE before a statement: it runs as that role, the ledger is still written', async ({ cluster, applied }) => {
  const script = `CREATE ROLE maker;
GRANT CREATE ON SCHEMA public TO maker;
SET ROLE maker;
CREATE TABLE made (x int);
RESET ROLE;
CREATE TABLE ours (x int);`;
  await applied('roles', script);
  expect(
    await list(
      cluster,
      0,
      'roles',
      "SELECT tablename || ' ' || tableowner FROM pg_tables WHERE schemaname = 'public' AND tablename IN ('made', 'ours')",
    ),
  ).toEqual(['made maker', 'ours postgres']);
  expect(await applied('roles', script)).toContain('Nothing was changed');
});

test.for([
  ['a meta-command of psql', 'CREATE TABLE a (x int);\n\\connect other\nSELECT 1;'],
  ['COPY FROM STDIN', 'CREATE TABLE a (x int);\nCOPY a FROM STDIN;'],
  ['a syntax error', 'CREATE TABLE a (x int);\nCREATE TABEL b (x int);'],
] as const)('%s is refused with its line before anything is done', async ([_, script], { cluster, run, rejected }) => {
  expect(await rejected(2, 'never', script)).toMatchSnapshot();
  expect(await catalogsOf(cluster, 'never')).toEqual([undefined, undefined, undefined]);
  expect((await run('plan', 'never', script)).code).toBe(2);
});

describe('a database that was there before', () => {
  const script = 'CREATE TABLE made_by_init_sql (x int);';
  const exists = "SELECT to_regclass('made_by_init_sql') IS NOT NULL";

  test('once: managed but for initSQL, with a warning each time', async ({ cluster, run, applied, one }) => {
    await query(cluster, 0, 'postgres', 'CREATE DATABASE older');
    for (const _ of [1, 2]) {
      const log = await applied('older', script);
      expect(log).toContain(
        'WARNING: The database existed before and was not made by this program: initSQL is not executed.',
      );
    }
    expect(await one('older', exists)).toBe(false);
    const plan = await run('plan', 'older', script);
    expect(plan.code).toBe(0);
    expect(withoutOthers(plan.log)).toMatchInlineSnapshot(`
      "Database 'older'
        WARNING: The database existed before and was not made by this program: initSQL is not executed. To execute it once anyway, set initSQLPolicy: adopt; to record it as executed, initSQLPolicy: baseline.
        Nothing to do
      "
    `);
  });

  test('adopt: once all the same', async ({ applied, one }) => {
    expect(lines(await applied('older', script, { initSQLPolicy: 'adopt' }))).toEqual([1]);
    expect(await one('older', exists)).toBe(true);
    expect(await applied('older', script, { initSQLPolicy: 'adopt' })).toContain('Nothing was changed');
    expect(await applied('older', `${script}\nSELECT 2;`)).toContain('Line 2: SELECT 2');
  });

  test('baseline: recorded without being executed', async ({ cluster, applied, one }) => {
    await query(cluster, 0, 'postgres', 'CREATE DATABASE oldest');
    const log = await applied('oldest', script, { initSQLPolicy: 'baseline' });
    expect(log).toContain(
      'WARNING: initSQLPolicy is baseline: 1 statement of initSQL was recorded as executed without being executed',
    );
    expect(await one('oldest', exists)).toBe(false);
    expect(await applied('oldest', script, { initSQLPolicy: 'baseline' })).toContain('Nothing was changed');
    expect(lines(await applied('oldest', `${script}\nCREATE TABLE next (x int);`))).toEqual([2]);
  });

  test('always: all of it, every time', async ({ cluster, run, applied, one }) => {
    const counting = 'CREATE TABLE IF NOT EXISTS runs (at timestamptz);\nINSERT INTO runs VALUES (now());';
    await query(cluster, 0, 'postgres', 'CREATE DATABASE counted');
    for (const _ of [1, 2])
      expect(lines(await applied('counted', counting, { initSQLPolicy: 'always' }))).toEqual([1, 2]);
    expect(await one('counted', 'SELECT count(*)::int FROM runs')).toBe(2);
    expect(await run('plan', 'counted', counting, { initSQLPolicy: 'always' })).toMatchObject({ code: 0 });
  });
});
