import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { list } from '../support/catalog.ts';
import { connect } from '../support/cluster.ts';
import { type Laboratory, MALLORY, PASSWORD, type Scene, startLaboratory } from './support/laboratory.ts';
import { overloads, trapName } from './support/names.ts';
import { PINNED } from './support/pinned.ts';

/** A database that the spec gives to nobody is opened by a superuser's GRANT, or by initSQL itself. */

let laboratory: Laboratory;
let powers: unknown;
const ALONE = 'SET citus.enable_ddl_propagation = off;';

beforeAll(async () => {
  laboratory = await startLaboratory();
  // The role, before what it may do is counted.
  await laboratory.scene('shop', { access: 'readWrite', more: { initSQL: 'SELECT 1' } });
  powers = await laboratory.powers();
});

afterAll(async () => {
  await laboratory?.close();
});

describe('a user to whom a superuser granted CREATE on a schema', () => {
  const GRANTED = `CREATE TABLE t (a int); GRANT CREATE ON SCHEMA public TO ${MALLORY}`;
  let granted: Scene;

  beforeAll(async () => {
    granted = await laboratory.scene('granted', { access: 'readWrite', more: { initSQL: GRANTED } });
  });

  test("her functions do not run in Citus' sessions between the nodes", async () => {
    for (const { group } of laboratory.cluster.nodes) {
      expect(
        await list(
          laboratory.cluster,
          group,
          'postgres',
          `SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
             WHERE datname = 'granted' AND setrole = 'postgres'::regrole ORDER BY 1`,
        ),
      ).toEqual(PINNED);
    }
    await granted.onAllNodes(overloads(granted.trap('overload')));
    for (const args of [['plan'], ['verify'], ['apply']]) {
      const { code, stdout, stderr } = await granted.run(args);
      expect({ args, code, text: stdout + stderr }).toEqual({ args, code: 0, text: expect.any(String) });
    }
    expect(await granted.sprung()).toEqual([]);
  });

  test('what is appended does not meet what she makes meanwhile', async () => {
    const { code, stdout, stderr } = await granted.run(['apply'], {
      initSQL: `${GRANTED}; SELECT count(*) FROM public.t`,
    });
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringContaining('it names schema public, in which others may create objects'),
    });
    const apart = `${GRANTED}; CREATE SCHEMA ours; CREATE TABLE ours.t (a int); INSERT INTO ours.t VALUES (1)`;
    const outcome = await granted.run(['apply'], { initSQL: apart });
    expect({ code: outcome.code, text: outcome.stdout + outcome.stderr }).toEqual({
      code: 0,
      text: expect.any(String),
    });
  });
});

describe('initSQL that gives something away itself', () => {
  interface Given {
    readonly name: string;
    readonly opens: string;
    /** What she does as soon as she can, in a session that stays open. */
    readonly plant: (trap: string) => string;
    readonly provoke: string;
  }

  /** Her function is nowhere but in her own session. */
  const inTemp = (table: string) => (trap: string) =>
    `CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN NEW; END $f$;
    CREATE TRIGGER t BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION pg_temp.f()`;
  const closer = (trap: string) => `CREATE FUNCTION public.concat(int, int) RETURNS int LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN 1; END $f$`;

  const GIVEN: readonly Given[] = [
    {
      name: 'CREATE on a schema',
      opens: `GRANT USAGE, CREATE ON SCHEMA public TO ${MALLORY}`,
      plant: closer,
      provoke: 'SELECT public.concat(1, 2)',
    },
    {
      name: 'the same in a block',
      opens: `BEGIN; CREATE TABLE public.u (a int); GRANT ALL ON SCHEMA public TO ${MALLORY}; COMMIT`,
      plant: closer,
      provoke: 'SELECT public.concat(1, 2)',
    },
    {
      name: 'the same by a DO block',
      opens: `DO $do$ BEGIN EXECUTE 'GRANT CREATE ON SCHEMA public TO ${MALLORY}'; END $do$`,
      plant: closer,
      provoke: 'SELECT public.concat(1, 2)',
    },
    {
      name: 'a schema of hers',
      opens: `CREATE SCHEMA hers AUTHORIZATION ${MALLORY}`,
      plant: (trap) => `CREATE VIEW hers.v AS SELECT ${trap} AS a`,
      provoke: 'CREATE TABLE ours.copy AS SELECT * FROM hers.v',
    },
    {
      name: 'a table',
      opens: `ALTER TABLE public.t OWNER TO ${MALLORY}`,
      plant: inTemp('public.t'),
      provoke: 'INSERT INTO public.t VALUES (1)',
    },
    {
      name: 'TRIGGER on a table',
      opens: `GRANT ALL ON TABLE public.t TO ${MALLORY}`,
      plant: inTemp('public.t'),
      provoke: 'INSERT INTO public.t VALUES (1)',
    },
    {
      name: 'TRIGGER on tables that come later',
      opens: `ALTER DEFAULT PRIVILEGES GRANT TRIGGER ON TABLES TO ${MALLORY}; CREATE TABLE public.u (a int)`,
      plant: inTemp('public.u'),
      provoke: 'INSERT INTO public.u VALUES (1)',
    },
  ];

  /** Waits until she has planted something, so that the next statement would meet it. */
  const FIRST_OF_GIVEN = `CREATE TABLE public.t (a int); CREATE SCHEMA ours; CREATE TABLE ours.planted (a int);
    CREATE FUNCTION ours.until_planted() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
      FOR attempt IN 1..600 LOOP
        EXIT WHEN EXISTS (SELECT FROM ours.planted);
        PERFORM pg_sleep(0.1);
      END LOOP;
    END $f$`;

  test.each(GIVEN.map((given, index) => [given.name, given, `given_${index}`] as const))(
    '%s: what stands behind it does not meet what she makes at once',
    async (name, { opens, plant, provoke }, database) => {
      const { cluster } = laboratory;
      const giving = await laboratory.scene(database, { access: 'readWrite', more: { initSQL: FIRST_OF_GIVEN } });
      const trap = trapName(name);
      const client = await connect(cluster, 0, database, { name: MALLORY, password: PASSWORD });
      try {
        const initSQL = `${FIRST_OF_GIVEN}; ${opens}; SELECT ours.until_planted(); ${provoke}`;
        const running = giving.run(['apply'], { initSQL });
        await expect
          .poll(
            async () =>
              await client
                .query(
                  `SET citus.enable_ddl_propagation = off; ${plant(giving.trap(trap))}; INSERT INTO ours.planted VALUES (1)`,
                )
                .then(() => 'planted')
                .catch(String),
            { timeout: 60_000, interval: 50 },
          )
          .toBe('planted');
        const { code, stdout, stderr } = await running;
        expect(await giving.sprung()).toEqual([]);
        expect({ code, text: stdout + stderr }).toEqual({
          code: 3,
          text: expect.stringContaining('this statement could run code of others as superuser, and was not executed'),
        });
        // The trap works.
        await giving.provoke(0, provoke);
        expect(await giving.sprung()).toEqual([trap]);
        // The next run says the same at its beginning.
        const again = await giving.run(['apply'], { initSQL });
        expect({ code: again.code, sprung: await giving.sprung() }).toEqual({ code: 3, sprung: [] });
      } finally {
        await client.end();
      }
    },
  );

  test('what gives her nothing of that changes nothing for what stands behind it', async () => {
    const kept = await laboratory.scene('kept', { access: 'readWrite', more: { initSQL: 'CREATE TABLE t (a int)' } });
    const { code, stdout, stderr } = await kept.run(['apply'], {
      initSQL: `CREATE TABLE t (a int); GRANT SELECT, UPDATE ON t TO ${MALLORY}; GRANT USAGE ON SCHEMA public TO ${MALLORY};
        DO $$ BEGIN NULL; END $$; INSERT INTO t VALUES (1)`,
    });
    expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.not.stringContaining('search_path is') });
  });
});

describe('a user whose right to create was taken back', () => {
  const FIRST_OF_GONE = 'CREATE TABLE t (a int)';
  let gone: Scene;

  beforeAll(async () => {
    gone = await laboratory.scene('gone', { access: 'readWrite', more: { initSQL: FIRST_OF_GONE } });
    for (const { group } of laboratory.cluster.nodes) {
      await gone.provoke(group, `${ALONE} GRANT CREATE ON SCHEMA public TO ${MALLORY}`);
      await gone.asMallory(group, overloads(gone.trap('overload')));
      await gone.asMallory(
        group,
        `CREATE FUNCTION public.i_minus(text, int) RETURNS text LANGUAGE plpgsql AS
           $f$ BEGIN PERFORM ${gone.trap('operator')}; RETURN 'x'; END $f$;
         CREATE OPERATOR public.- (LEFTARG = text, RIGHTARG = int, FUNCTION = public.i_minus)`,
      );
      await gone.provoke(group, `${ALONE} REVOKE CREATE ON SCHEMA public FROM ${MALLORY}`);
    }
  });

  test("her functions do not run in Citus' sessions between the nodes", async () => {
    const pinned = await gone.run(['apply'], { initSQL: FIRST_OF_GONE });
    expect({ code: pinned.code, text: pinned.stdout + pinned.stderr }).toEqual({ code: 0, text: expect.any(String) });
    // Until then Citus' own daemon may have called them.
    await gone.sprung();
    for (const args of [['plan'], ['verify'], ['apply']]) {
      const { code, stdout, stderr } = await gone.run(args, { initSQL: FIRST_OF_GONE });
      expect({ args, code, text: stdout + stderr }).toEqual({ args, code: 0, text: expect.any(String) });
    }
    expect(await gone.sprung()).toEqual([]);
  });

  test('what is appended does not meet her operators', async () => {
    const appended = `${FIRST_OF_GONE}; SELECT 'a'::text - 1`;
    const { code, stdout, stderr } = await gone.run(['apply'], { initSQL: appended });
    expect({ code, text: stdout + stderr }).toEqual({
      code: 2,
      text: expect.stringContaining('operator does not exist: text - integer'),
    });
    expect(await gone.sprung()).toEqual([]);
    await gone.provoke(0, "SET search_path = public; SELECT 'a'::text - 1");
    expect(await gone.sprung()).toEqual(['operator']);
  });
});

test('nobody gained anything', async () => {
  expect(await laboratory.powers()).toEqual(powers);
});
