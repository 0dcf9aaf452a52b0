import { afterAll, expect } from 'vitest';
import { benchSpec } from '../../bench/program.ts';
import { type CountingProxy, startProxy } from '../../bench/proxy.ts';
import { ledgerDigest } from '../../src/initSql/ledger.ts';
import { observeLedger } from '../../src/initSql/ledgerTable.ts';
import { splitScript } from '../../src/initSql/splitScript.ts';
import { observationScript } from '../../src/objects/observe.ts';
import { firstValue, list } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/**
 * Statements of initSQL are sent before the ones in front of them are answered. What a user sees stays what psql shows:
 * one transaction each, and nothing takes effect behind the first error.
 */

const test = clusterTest({ workers: 1 })
  .extend(
    'apply',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, lines: readonly string[]): Promise<Outcome> => {
        return await runProgram(cluster, ['apply'], specOf(cluster, [{ name, initSQL: lines.join('\n') }]));
      },
  )
  /** The program's messages are counted; the nodes keep their own addresses among themselves. */
  .extend(
    'applyCounted',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, lines: readonly string[]): Promise<Outcome> => {
        const spec = benchSpec(cluster, name, proxy.nodes) as Document;
        return await runProgram(cluster, ['apply'], { ...spec, databases: [{ name, initSQL: lines.join('\n') }] });
      },
  )
  .extend('ids', { scope: 'file' }, ({ cluster }) => async (database: string): Promise<unknown> => {
    return await firstValue(cluster, 0, database, 'SELECT array_agg(id ORDER BY id) FROM public.t');
  })
  .extend('recordedLines', { scope: 'file' }, ({ cluster }) => async (database: string): Promise<unknown> => {
    return await firstValue(
      cluster,
      0,
      database,
      'SELECT array_agg(line ORDER BY ordinal) FROM citus_databases.init_sql',
    );
  });
let proxy: CountingProxy;

test.beforeAll(async ({ cluster }) => {
  proxy = await startProxy(cluster.nodes);
});

afterAll(async () => {
  await proxy?.close();
});

const TABLE = 'CREATE TABLE t (id int);';

test('of a statement of megabytes the ledger keeps the beginning', async ({ cluster, apply }) => {
  const rows = Array.from({ length: 40_000 }, (_, id) => `(${id})`).join(', ');
  const lines = [TABLE, `INSERT INTO t VALUES ${rows}, (40000);`, 'INSERT INTO t VALUES (40001);'];
  await apply('megabytes', lines);
  const one = (sql: string) => firstValue(cluster, 0, 'megabytes', sql);
  expect(await one('SELECT count(*)::int FROM public.t')).toBe(40_002);
  const kept = 'SELECT statement FROM citus_databases.init_sql WHERE line = 2';
  expect(await one(kept)).toMatch(/^INSERT INTO t VALUES \(0\), .{9900,10000}… \(\d{6} characters\)$/);
  const again = await apply('megabytes', [...lines, 'INSERT INTO t VALUES (40002);']);
  expect(again.code).toBe(0);
  expect(await one('SELECT count(*)::int FROM public.t')).toBe(40_003);
});

function inserts(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `INSERT INTO t VALUES (${from + index});`);
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test('300 statements take hardly more round trips than 30, each in a transaction of its own', async ({
  cluster,
  applyCounted,
  recordedLines,
}) => {
  const counts: number[] = [];
  for (const [name, count] of [
    ['few', 29],
    ['many', 299],
  ] as const) {
    const { code, log } = await applyCounted(name, [TABLE, ...inserts(1, count)]);
    expect({ code, log }).toMatchObject({ code: 0 });
    counts.push(proxy.take().reduce((sum, { messages }) => sum + messages, 0));
    expect([...log.matchAll(/^ +Line (\d+): /gm)].map((match) => Number(match[1]))).toEqual(numbers(1, count + 1));
    expect(await recordedLines(name)).toEqual(numbers(1, count + 1));
    expect(await firstValue(cluster, 0, name, 'SELECT count(DISTINCT xmin::text)::int FROM t')).toBe(count);
    // The row of a statement is of its transaction.
    const together = `SELECT count(*)::int FROM t JOIN citus_databases.init_sql i ON i.xmin::text = t.xmin::text AND i.line = t.id + 1`;
    expect(await firstValue(cluster, 0, name, together)).toBe(count);
  }
  // One by one they would take four each. While they are under way, the lock is looked at once a second.
  const [few = 0, many = Number.NaN] = counts;
  expect(many).toBeLessThan(few + 60);
});

test('under SET ROLE statements are sent ahead as well', async ({ applyCounted, ids }) => {
  const role = `DO $$ BEGIN CREATE ROLE ahead_role; EXCEPTION WHEN duplicate_object THEN NULL; END $$;`;
  const counts: number[] = [];
  for (const [name, count] of [
    ['few_of_role', 10],
    ['many_of_role', 150],
  ] as const) {
    const script = [TABLE, role, 'GRANT ALL ON t TO ahead_role;', 'SET ROLE ahead_role;', ...inserts(5, count)];
    const { code, log } = await applyCounted(name, script);
    expect({ code, log }).toMatchObject({ code: 0 });
    counts.push(proxy.take().reduce((sum, { messages }) => sum + messages, 0));
    expect(await ids(name)).toEqual(numbers(5, count));
  }
  const [few = 0, many = Number.NaN] = counts;
  expect(many).toBeLessThan(few + 60);
});

/** What stands in line 21 fails; nothing behind it may take effect, whatever of its transaction fails. */
test.for([
  ['the statement', 'INSERT INTO t VALUES (1 / 0);', '22012'],
  ['its name', 'INSERT INTO missing VALUES (1);', '42P01'],
  ['a parameter', 'INSERT INTO t VALUES ($1);', '42P02'],
  ['a block', 'BEGIN; INSERT INTO t VALUES (100); INSERT INTO missing VALUES (1); COMMIT;', '42P01'],
  ['a deferred constraint', 'INSERT INTO once VALUES (1), (1);', '23505'],
  ['a deferred constraint of a block', 'BEGIN; INSERT INTO once VALUES (2), (2); COMMIT;', '23505'],
] as const)(
  'nothing takes effect behind an error of %s',
  async ([title, wrong, sqlState], { apply, ids, recordedLines }) => {
    const name = `wrong_${title.replaceAll(' ', '_')}`;
    const once = 'CREATE TABLE once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);';
    const head = [TABLE, once, ...inserts(3, 20)];
    const { code, log } = await apply(name, [...head, wrong, ...inserts(22, 90)]);
    expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining('initSQL failed at line 21') });
    expect(log).toContain(`SQLSTATE ${sqlState}`);
    expect(await ids(name)).toEqual(numbers(3, 20));
    expect(await recordedLines(name)).toEqual(numbers(1, 20));
    expect(await apply(name, [...head, ...inserts(22, 90)])).toMatchObject({ code: 0 });
    expect(await ids(name)).toEqual([...numbers(3, 20), ...numbers(22, 90)]);
  },
);

test('what cannot be sent ahead takes its turn, and the session is what it should be for each statement', async ({
  cluster,
  apply,
  ids,
}) => {
  const script = [
    TABLE, // 1
    'CREATE ROLE ahead_app; GRANT ALL ON SCHEMA public TO ahead_app; GRANT ALL ON t TO ahead_app;', // 2
    ...inserts(3, 6),
    'VACUUM t;', // 7
    'CREATE INDEX CONCURRENTLY t_id ON t (id);', // 8
    "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$;", // 9
    ...inserts(10, 12),
    'SET ROLE ahead_app;', // 13
    'CREATE TABLE of_app (id int);', // 14
    ...inserts(15, 17),
    'RESET ROLE;', // 18
    "DO $$ BEGIN PERFORM set_config('role', 'ahead_app', false); END $$;", // 19
    'CREATE TABLE of_app_too (id int);', // 20
    'DISCARD ALL;', // 21
    'CREATE TABLE of_superuser (id int);', // 22
    'BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO t VALUES (23); COMMIT;', // 23
    'CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (24); COMMIT; END $$;', // 24
    'CALL commits();', // 25
    ...inserts(26, 30),
  ];
  const { code, log } = await apply('turns', script);
  expect({ code, log }).toMatchObject({ code: 0 });
  expect(await ids('turns')).toEqual([
    ...numbers(3, 6),
    ...numbers(10, 12),
    ...numbers(15, 17),
    23,
    24,
    ...numbers(26, 30),
  ]);
  const owners = `SELECT relname || ' ' || relowner::regrole FROM pg_class WHERE relname LIKE 'of_%' ORDER BY 1`;
  expect(await list(cluster, 0, 'turns', owners)).toEqual([
    'of_app ahead_app',
    'of_app_too ahead_app',
    'of_superuser postgres',
  ]);
  expect(await apply('turns', script)).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
});

test('the mark by which the next run finds the session of a killed one outlives DISCARD ALL', async ({
  cluster,
  apply,
}) => {
  const marks = `INSERT INTO marks SELECT count(*) FROM pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid = 2;`;
  const head = ['CREATE TABLE marks (marks int);', 'DISCARD ALL;', marks, 'SELECT pg_advisory_unlock_all();', marks];
  const { code, log } = await apply('marked', [...head, 'SELECT 1 / 0;']);
  expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining('division by zero') });
  // DISCARD ALL is replayed.
  expect(await apply('marked', [...head, marks])).toMatchObject({ code: 0 });
  expect(await list(cluster, 0, 'marked', 'SELECT marks FROM marks')).toEqual(['1', '1', '1']);
});

test.for([
  ['owner', 1, '55000', 'ALTER TABLE citus_databases.init_sql OWNER TO ahead_thief;'],
  ['schema', 1, '55000', 'ALTER SCHEMA citus_databases OWNER TO ahead_thief;'],
  ['column', 1, '55000', 'GRANT INSERT (hash) ON citus_databases.init_sql TO ahead_thief;'],
  ['rights', 1, '55000', 'GRANT INSERT ON citus_databases.init_sql TO ahead_thief;'],
  [
    'trigger',
    1,
    '55000',
    'CREATE TRIGGER x BEFORE INSERT ON citus_databases.init_sql EXECUTE FUNCTION suppress_redundant_updates_trigger();',
  ],
  ['rule', 1, '55000', 'CREATE RULE x AS ON INSERT TO citus_databases.init_sql DO ALSO SELECT 1;'],
  [
    'swap',
    2,
    '42P10',
    'ALTER TABLE citus_databases.init_sql RENAME TO other; CREATE TABLE citus_databases.init_sql (LIKE citus_databases.other);',
  ],
])(
  'a ledger that a statement spoils is not written: %s',
  async ([title, exitCode, sqlState, spoils], { apply, ids, recordedLines }) => {
    const name = `spoilt_${title}`;
    const role = 'DO $$ BEGIN CREATE ROLE ahead_thief; EXCEPTION WHEN duplicate_object THEN NULL; END $$;';
    const block = `BEGIN; ${spoils} COMMIT;`;
    const { code, log } = await apply(name, [TABLE, role, ...inserts(3, 10), block, ...inserts(12, 20)]);
    expect({ code, log }).toEqual({ code: exitCode, log: expect.stringContaining('initSQL failed at line 11') });
    expect(log).toContain(`SQLSTATE ${sqlState}`);
    expect(await ids(name)).toEqual(numbers(3, 10));
    expect(await recordedLines(name)).toEqual(numbers(1, 10));
  },
);

test('a statement that somebody else has executed meanwhile is rolled back', async ({ cluster, apply, ids }) => {
  const script = [TABLE, ...inserts(2, 5), 'SELECT pg_advisory_xact_lock(4711);', ...inserts(7, 9)];
  expect(await apply('meanwhile', [TABLE])).toMatchObject({ code: 0 });
  const inside = await connect(cluster, 0, 'meanwhile');
  try {
    await inside.query('SELECT pg_advisory_lock(4711)');
    const running = apply('meanwhile', script);
    const waiting = "SELECT count(*)::int FROM pg_locks WHERE NOT granted AND locktype = 'advisory'";
    while ((await firstValue(cluster, 0, 'meanwhile', waiting)) === 0)
      await new Promise((done) => setTimeout(done, 20));
    // What another run would have written for line 7.
    await query(
      cluster,
      0,
      'meanwhile',
      `INSERT INTO citus_databases.init_sql (hash, occurrence, line, statement, state)
      VALUES (encode(sha256('INSERT INTO t VALUES ( 7 )'), 'hex'), 1, 7, 'INSERT INTO t VALUES (7)', 'done')`,
    );
    await inside.query('SELECT pg_advisory_unlock(4711)');
    const { code, log } = await running;
    expect({ code, log }).toEqual({
      code: 1,
      log: expect.stringContaining('Line 7 of initSQL was executed by another run'),
    });
    expect(await ids('meanwhile')).toEqual(numbers(2, 5));
  } finally {
    await inside.end();
  }
});

test('rows of the ledger are sent where they are not those of the script, and only there', async ({
  cluster,
  apply,
}) => {
  const script = ['SET work_mem = 4096;', TABLE, 'INSERT INTO t VALUES (2);', 'INSERT INTO t VALUES (2);'];
  expect(await apply('digested', script)).toMatchObject({ code: 0 });
  const { units } = await splitScript(script.join('\n'));
  const rowsSeen = async (unless: string): Promise<unknown> => {
    const observed = await firstValue(cluster, 0, 'digested', observationScript(observeLedger(true, { unless })));
    return JSON.parse(String(observed)).ledger.rows;
  };
  expect(await rowsSeen(ledgerDigest(units))).toBe('asScript');
  expect(await rowsSeen(ledgerDigest(units.slice(0, -1)))).toHaveLength(3);
  await query(cluster, 0, 'digested', "UPDATE citus_databases.init_sql SET state = 'running' WHERE occurrence = 2");
  expect(await rowsSeen(ledgerDigest(units))).toEqual([
    expect.objectContaining({ state: 'done' }),
    expect.objectContaining({ state: 'done' }),
    expect.objectContaining({ state: 'running' }),
  ]);
});
