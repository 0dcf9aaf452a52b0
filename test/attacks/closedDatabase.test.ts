import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { type Laboratory, MALLORY, PASSWORD, type Scene, startLaboratory } from './support/laboratory.ts';
import { PINNED } from './support/pinned.ts';

/** A new database is closed to everybody but superusers until its extensions and its first initSQL are through. */

let laboratory: Laboratory;
let powers: unknown;
let scene: Scene;
const ALONE = 'SET citus.enable_ddl_propagation = off;';

beforeAll(async () => {
  laboratory = await startLaboratory();
  scene = await laboratory.scene('shop', { more: { initSQL: 'CREATE TABLE public.ours (a int)' } });
  powers = await laboratory.powers();
});

afterAll(async () => {
  await laboratory?.close();
});

test('nobody but superusers gets in before initSQL is through, also when a run dies in it', async () => {
  const { cluster } = laboratory;
  const { passwordFile } = laboratory;
  const entry = (initSQL: string) => ({
    users: [{ name: MALLORY, passwordFile, access: 'owner' }],
    initSQL,
  });
  const login = async () => {
    const client = await connect(cluster, 0, 'newborn', { name: MALLORY, password: PASSWORD });
    await client.end();
  };
  const broken = await scene.runOn('newborn', ['apply'], entry('CREATE TABLE t (a int); SELECT 1/0'));
  expect(broken.code).toBe(2);
  await expect(login()).rejects.toThrow(/too many connections for|permission denied for/);
  const elsewhere = await connect(cluster, 0, 'postgres', { name: MALLORY, password: PASSWORD });
  await expect(elsewhere.query('ALTER DATABASE newborn CONNECTION LIMIT 10')).rejects.toThrow(/must be owner/);
  await elsewhere.end();

  const mended = await scene.runOn('newborn', ['apply'], entry('CREATE TABLE t (a int); CREATE TABLE u (a int)'));
  expect({ code: mended.code, text: mended.stdout }).toEqual({
    code: 0,
    text: expect.stringContaining('Opening database "newborn" to its owner "mallory" and its users on '),
  });
  await login();
  for (const { group } of cluster.nodes) {
    expect(
      await firstValue(
        cluster,
        group,
        'postgres',
        "SELECT datdba::regrole || ' ' || datconnlimit FROM pg_database WHERE datname = 'newborn'",
      ),
    ).toBe(`${MALLORY} -1`);
  }
  const again = await scene.runOn('newborn', ['plan'], entry('CREATE TABLE t (a int); CREATE TABLE u (a int)'));
  expect({ code: again.code, text: again.stdout }).toEqual({ code: 0, text: expect.any(String) });
});

describe('scripts of extensions in a new database', () => {
  const stopping = new AbortController();
  const STATE = "SELECT datdba::regrole || ' ' || datconnlimit FROM pg_database WHERE datname = 'infant'";

  /** Comes in again and again, and says whether the extension was there. */
  async function comeIn(group: number, met: (extension: boolean) => void): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const client = await connect(laboratory.cluster, group, 'infant', { name: MALLORY, password: PASSWORD });
        const { rows } = await client.query("SELECT FROM pg_extension WHERE extname = 'fuzzystrmatch'");
        met(rows.length === 1);
        await client.end();
      } catch {
        // It is not there yet, or closed.
      }
      await sleep(10);
    }
  }

  test('nobody but superusers gets in before they are through, also when a run dies in one', async () => {
    const { cluster } = laboratory;
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', 'CREATE DATABASE mold');
      await query(
        cluster,
        group,
        'mold',
        "CREATE FUNCTION public.soundex(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
      );
    }
    const met: { readonly group: number; readonly extension: boolean }[] = [];
    const groups = () => new Set(met.map(({ group }) => group)).size;
    const loops = cluster.nodes.map(({ group }) => comeIn(group, (extension) => met.push({ group, extension })));
    try {
      const entry = { users: [scene.user], template: 'mold', extensions: ['fuzzystrmatch'] };
      const broken = await scene.runOn('infant', ['apply'], entry);
      expect({ code: broken.code, text: broken.stdout + broken.stderr }).toEqual({
        code: 1,
        text: expect.stringContaining('(SQLSTATE 42723)'),
      });
      for (const { group } of cluster.nodes) {
        expect(await firstValue(cluster, group, 'postgres', STATE)).toBe('postgres 0');
        await query(cluster, group, 'infant', `${ALONE} DROP FUNCTION public.soundex(text)`);
      }
      const mended = await scene.runOn('infant', ['apply'], entry);
      expect({ code: mended.code, text: mended.stdout + mended.stderr }).toEqual({
        code: 0,
        text: expect.stringContaining('Opening database "infant" to its owner "mallory" and its users on '),
      });
      await expect.poll(groups, { timeout: 30_000 }).toBe(cluster.nodes.length);
    } finally {
      stopping.abort();
      await Promise.all(loops);
    }
    expect(met.filter(({ extension }) => !extension)).toEqual([]);
    for (const { group } of cluster.nodes) {
      expect(await firstValue(cluster, group, 'postgres', STATE)).toBe(`${MALLORY} -1`);
    }
  });

  test('where the owner logs in for initSQL, it is opened in front of that', async () => {
    const entry = {
      ...{ users: [scene.user], extensions: ['hstore'], initSQLRole: 'owner' },
      initSQL: "CREATE TABLE public.pairs (a hstore); INSERT INTO public.pairs VALUES ('a=>1')",
    };
    const { code, stdout, stderr } = await scene.runOn('toddler', ['apply'], entry);
    expect({ code, text: stdout + stderr }).toEqual({
      code: 0,
      text: expect.stringMatching(/Opening database "toddler" [\s\S]*Custom SQL executed successfully as mallory!/),
    });
    const again = await scene.runOn('toddler', ['plan'], entry);
    expect({ code: again.code, text: again.stdout + again.stderr }).toMatchObject({ code: 0 });
  });
});

describe('initSQL that gives something away itself', () => {
  test('in a new database she does not get in before initSQL is through', async () => {
    const { cluster, passwordFile } = laboratory;
    const entry = (initSQL: string) => ({ users: [{ name: MALLORY, passwordFile, access: 'readWrite' }], initSQL });
    const login = async () => {
      const client = await connect(cluster, 0, 'giving', { name: MALLORY, password: PASSWORD });
      await client.end();
    };
    const gives = `CREATE SCHEMA hers AUTHORIZATION ${MALLORY}; GRANT CREATE ON SCHEMA public TO ${MALLORY}`;
    const broken = await scene.runOn('giving', ['apply'], entry(`${gives}; SELECT 1/0`));
    expect({ code: broken.code, text: broken.stdout + broken.stderr }).toMatchObject({ code: 2 });
    await expect(login()).rejects.toThrow(/too many connections for|permission denied for/);
    const rest =
      "CREATE TABLE hers.t (a int); INSERT INTO hers.t VALUES (1); DO $$ BEGIN NULL; END $$; SELECT create_distributed_table('hers.t', 'a')";
    const mended = await scene.runOn('giving', ['apply'], entry(`${gives}; ${rest}`));
    expect({ code: mended.code, text: mended.stdout + mended.stderr }).toEqual({
      code: 0,
      text: expect.stringContaining('Opening database "giving" to its owner "postgres" and its users on '),
    });
    await login();
    for (const { group } of cluster.nodes) {
      expect(
        await list(
          cluster,
          group,
          'postgres',
          `SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
             WHERE datname = 'giving' AND datconnlimit = -1 AND setrole = 'postgres'::regrole ORDER BY 1`,
        ),
      ).toEqual(PINNED);
    }
    const again = await scene.runOn('giving', ['plan'], entry(`${gives}; ${rest}`));
    expect({ code: again.code, text: again.stdout + again.stderr }).toEqual({ code: 0, text: expect.any(String) });
  });

  test('the new database itself: what stands behind that is judged', async () => {
    const { passwordFile } = laboratory;
    const { code, stdout, stderr } = await scene.runOn('given_away', ['apply'], {
      users: [{ name: MALLORY, passwordFile, access: 'readWrite' }],
      initSQL: `ALTER DATABASE given_away OWNER TO ${MALLORY}; CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1)`,
    });
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringContaining('it names schema public, in which others may create objects'),
    });
  });
});

test('a new database: what its template has of others', async () => {
  const { cluster } = laboratory;
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', `CREATE DATABASE mould OWNER ${MALLORY}`);
  }
  const client = await connect(cluster, 0, 'mould', { name: MALLORY, password: PASSWORD });
  await client.query(`CREATE TABLE public.hers (a int);
    CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS
      $f$ BEGIN EXECUTE 'ALTER ROLE ${MALLORY} CREATEROLE'; RETURN NEW; END $f$;
    CREATE TRIGGER t BEFORE INSERT ON public.hers FOR EACH ROW EXECUTE FUNCTION public.f()`);
  await client.end();
  const entry = { template: 'mould', users: [scene.user], initSQL: 'INSERT INTO public.hers VALUES (1)' };
  const { code, stdout, stderr } = await scene.runOn('cast', ['apply'], entry);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringContaining('this statement could run code of others as superuser'),
  });
});

test('whoever has CREATEDB takes the name while the database is being created', async () => {
  const { cluster } = laboratory;
  const maker = { name: 'maker', password: PASSWORD };
  await query(cluster, 0, 'postgres', `CREATE ROLE maker LOGIN CREATEDB PASSWORD '${PASSWORD}'`);
  const entry = {
    users: [scene.user],
    initSQL: 'CREATE TABLE IF NOT EXISTS public.t (a int); INSERT INTO public.t VALUES (1)',
  };
  const mayCreateRoles = () =>
    firstValue(cluster, 0, 'postgres', "SELECT rolcreaterole::text FROM pg_roles WHERE rolname = 'maker'");
  try {
    // CREATE DATABASE waits for her session in its template.
    const inTemplate = await connect(cluster, 0, 'template1', maker);
    const running = scene.runOn('taken', ['apply'], entry);
    const isCreated =
      "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%taken%' AND state = 'active'";
    await expect.poll(() => firstValue(cluster, 0, 'postgres', isCreated), { timeout: 60_000 }).toBe('1');
    const elsewhere = await connect(cluster, 0, 'postgres', maker);
    await elsewhere.query('CREATE DATABASE taken TEMPLATE template0');
    await elsewhere.end();
    await inTemplate.end();
    const { code, stdout, stderr } = await running;
    expect({ code, text: stdout + stderr }).toEqual({
      code: 1,
      text: expect.stringContaining('role maker has created a database of that name meanwhile'),
    });

    const own = await connect(cluster, 0, 'taken', maker);
    await own.query(`CREATE TABLE public.t (a int);
      CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS
        $f$ BEGIN EXECUTE 'ALTER ROLE maker CREATEROLE'; RETURN NEW; END $f$;
      CREATE TRIGGER t BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.f()`);
    await own.end();
    // What the run has begun does not make it this program's.
    const again = await scene.runOn('taken', ['apply'], entry);
    expect(again.stdout + again.stderr).toContain('The database existed before and was not made by this program');
    expect(await mayCreateRoles()).toBe('false');
    await query(cluster, 0, 'taken', 'INSERT INTO public.t VALUES (1)');
    expect(await mayCreateRoles()).toBe('true');
  } finally {
    await scene.runOn('taken', ['drop', 'taken', '--confirm', 'taken', '--unmanaged'], entry);
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', 'DROP ROLE IF EXISTS maker');
  }
});

test('nobody gained anything', async () => {
  expect(await laboratory.powers()).toEqual(powers);
});
