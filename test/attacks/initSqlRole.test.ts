import { afterAll, beforeAll, expect, test } from 'vitest';
import { markSession } from '../../src/initSql/marker.ts';
import { splitScript } from '../../src/initSql/splitScript.ts';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import type { Document } from '../support/program.ts';
import { type Laboratory, MALLORY, PASSWORD, type Scene, startLaboratory } from './support/laboratory.ts';

/** With `initSQLRole: owner`, initSQL runs in a session that logged in as the owner: it meets her code with her rights. */

let laboratory: Laboratory;
let powers: unknown;
const FIRST_OF_OWNER = 'CREATE TABLE public.t (a int)';
const owned = (initSQL: string): Document => ({ initSQL, initSQLRole: 'owner' });
let own: Scene;

beforeAll(async () => {
  laboratory = await startLaboratory();
  own = await laboratory.scene('owned', { more: owned(FIRST_OF_OWNER) });
  powers = await laboratory.powers();
});

afterAll(async () => {
  await laboratory?.close();
});

test('what she plants runs as herself, and nothing leads back to the superuser', async () => {
  await own.asClient(`CREATE TABLE public.spoils (role text, outcome text);
    CREATE FUNCTION public.climb() RETURNS trigger LANGUAGE plpgsql AS $f$
    DECLARE attempt text;
    BEGIN
      PERFORM public.sprung('trigger');
      FOREACH attempt IN ARRAY ARRAY['RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION DEFAULT',
        'SET SESSION AUTHORIZATION postgres', 'SET ROLE postgres', 'SET ROLE none', 'ALTER ROLE ${MALLORY} SUPERUSER',
        'SET LOCAL SESSION AUTHORIZATION postgres', 'INSERT INTO citus_databases.init_sql (hash) VALUES (1)',
        'DO $d$ BEGIN EXECUTE ''RESET ROLE''; END $d$', 'SET citus.enable_ddl_propagation = off']
      LOOP
        BEGIN EXECUTE attempt; EXCEPTION WHEN OTHERS THEN NULL; END;
        IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
          INSERT INTO public.spoils VALUES (current_user, attempt);
        END IF;
      END LOOP;
      PERFORM public.sprung('trigger');
      RETURN NEW;
    END $f$;
    CREATE TRIGGER climb BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.climb()`);
  const appended = `${FIRST_OF_OWNER}; INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3); COMMIT;
    CREATE INDEX CONCURRENTLY t_a ON t (a); CREATE TABLE d (a int); SELECT create_distributed_table('d', 'a')`;
  const { code, stdout, stderr } = await own.run(['apply'], owned(appended));
  expect({ code, text: stdout + stderr }).toEqual({
    code: 0,
    text: expect.stringContaining(`Custom SQL executed successfully as ${MALLORY}!`),
  });
  expect(await own.sprung()).toEqual([]);
  const { cluster } = laboratory;
  expect(await firstValue(cluster, 0, 'owned', 'SELECT count(*)::text FROM public.spoils')).toBe('0');
  expect(await firstValue(cluster, 0, 'owned', "SELECT string_agg(a::text, ' ' ORDER BY a) FROM public.t")).toBe(
    '1 2 3',
  );
  expect(
    await firstValue(
      cluster,
      0,
      'owned',
      "SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relname IN ('t', 'd')",
    ),
  ).toBe(MALLORY);
  const again = await own.run(['apply'], owned(appended));
  expect({ code: again.code, text: again.stdout }).toEqual({
    code: 0,
    text: expect.stringContaining('Custom SQL was already executed'),
  });
});

test.each([
  ['committed', 'COMMIT', 'done'],
  ['rolled back', 'ROLLBACK', 'not done'],
  ['still running', '', 'not done'],
])('a run that was killed while its transaction was %s: the next one knows', async (_, end, expected) => {
  const { cluster } = laboratory;
  const statement = `INSERT INTO public.once VALUES ('${expected} ${end}')`;
  const script = `${FIRST_OF_OWNER}; CREATE TABLE IF NOT EXISTS public.once (a text); ${statement}`;
  const known = await own.run(['apply'], owned(script.replace(`; ${statement}`, '')));
  expect(known.code).toBe(0);
  // What a killed run leaves behind: the intent with the number of its transaction.
  const client = await connect(cluster, 0, 'owned', { name: MALLORY, password: PASSWORD });
  client.on('error', () => undefined);
  await client.query('BEGIN');
  const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  await client.query(statement);
  const { hash } = (await splitScript(script)).units.at(-1) as { readonly hash: string };
  await query(
    cluster,
    0,
    'owned',
    `INSERT INTO citus_databases.init_sql (hash, occurrence, line, statement, state) VALUES ('${hash}', 1, 1, 'x', 'running');
     INSERT INTO citus_databases.init_sql_transaction SELECT '${hash}', 1, '${rows[0]?.xid}', system_identifier::text FROM pg_control_system()`,
  );
  if (end !== '') await client.query(end);
  const { code, stdout, stderr } = await own.run(['apply'], owned(script));
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  expect(
    await firstValue(cluster, 0, 'owned', `SELECT count(*)::text FROM public.once WHERE a = '${expected} ${end}'`),
  ).toBe('1');
  await client.end().catch(() => undefined);
  await query(cluster, 0, 'owned', `DELETE FROM citus_databases.init_sql WHERE hash = '${hash}'`);
});

test('a statement that fails leaves nothing behind and is executed when it was corrected', async () => {
  const script = (end: string) =>
    `${FIRST_OF_OWNER}; CREATE TABLE IF NOT EXISTS public.f (a int); INSERT INTO f ${end}`;
  const failed = await own.run(['apply'], owned(script('VALUES (1), (1/0)')));
  expect({ code: failed.code, text: failed.stderr + failed.stdout }).toEqual({
    code: 2,
    text: expect.stringContaining('division by zero'),
  });
  const mended = await own.run(['apply'], owned(script('VALUES (1)')));
  expect(mended.code).toBe(0);
  expect(await firstValue(laboratory.cluster, 0, 'owned', 'SELECT count(*)::text FROM public.f')).toBe('1');
});

test('what fails before ROLLBACK TO ends the run, and nothing of its block stays', async () => {
  const block = 'BEGIN; CREATE TABLE public.half (a int); SAVEPOINT s; SELECT 1 / 0; ROLLBACK TO s; COMMIT';
  const failed = await own.run(
    ['apply'],
    owned(`${FIRST_OF_OWNER}; CREATE TABLE IF NOT EXISTS public.f (a int); INSERT INTO f VALUES (1); ${block}`),
  );
  expect({ code: failed.code, text: failed.stderr + failed.stdout }).toEqual({
    code: 2,
    text: expect.stringContaining('division by zero'),
  });
  expect(await firstValue(laboratory.cluster, 0, 'owned', "SELECT to_regclass('public.half')")).toBeNull();
});

test('a procedure that committed something before it failed is not called again', async () => {
  const { cluster } = laboratory;
  const procedure = `CREATE PROCEDURE public.halfway() LANGUAGE plpgsql AS $p$
    BEGIN INSERT INTO public.halves VALUES (1); COMMIT; PERFORM 1 / 0; END $p$`;
  const script = `${FIRST_OF_OWNER}; CREATE TABLE public.halves (a int); ${procedure}; CALL public.halfway()`;
  const failed = await own.run(['apply'], owned(script));
  expect({ code: failed.code, text: failed.stderr + failed.stdout }).toEqual({
    code: 2,
    text: expect.stringContaining('division by zero'),
  });
  const again = await own.run(['apply'], owned(script));
  expect({ code: again.code, text: again.stderr + again.stdout }).toEqual({
    code: 3,
    text: expect.stringContaining('It is unknown whether line'),
  });
  expect(await firstValue(cluster, 0, 'owned', 'SELECT count(*)::text FROM public.halves')).toBe('1');
  await query(cluster, 0, 'owned', "DELETE FROM citus_databases.init_sql WHERE state = 'running'");
});

test('a loop of hers on the lock that marks the session: it is called what it is', async () => {
  const stop = new AbortController();
  const loop = async () => {
    while (!stop.signal.aborted) {
      const client = await connect(laboratory.cluster, 0, 'owned', { name: MALLORY, password: PASSWORD });
      client.on('error', () => undefined);
      await client.query(markSession(7)).catch(() => undefined);
      await client.query('SELECT pg_sleep(60)').catch(() => undefined);
      await client.end().catch(() => undefined);
    }
  };
  const loops = [loop(), loop()];
  try {
    const { code, stdout, stderr } = await own.run(['apply'], {
      // Both may be executed again: a run that her loop lets pass goes on to its end.
      ...owned('CREATE TABLE IF NOT EXISTS public.t (a int); CREATE TABLE IF NOT EXISTS looped (a int)'),
      initSQLPolicy: 'always',
      maxAttempts: 1,
    });
    const text = stdout + stderr;
    expect(text).toContain(`A session of ${MALLORY} says that it executes initSQL: it is ended`);
    expect(text).not.toContain('An earlier run was killed');
    if (code !== 0) expect(text).toContain(`Sessions of ${MALLORY} keep coming that say they execute initSQL`);
  } finally {
    stop.abort();
    await query(
      laboratory.cluster,
      0,
      'postgres',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${MALLORY}'`,
    );
    await Promise.all(loops);
  }
});

test('nobody gained anything', async () => {
  expect(await laboratory.powers()).toEqual(powers);
});
