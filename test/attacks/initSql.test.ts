import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { markSession } from '../../src/initSql/marker.ts';
import { splitScript } from '../../src/initSql/splitScript.ts';
import { CITUS_AS_IT_COMES } from '../../src/postgres/citusSettings.ts';
import { firstValue, list } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import type { Document } from '../support/program.ts';
import { type Laboratory, MALLORY, PASSWORD, type Scene, startLaboratory } from './support/laboratory.ts';
import { overloads } from './support/names.ts';
import { BAITS } from './support/objects.ts';

/** What sessions of the superuser start with where others may create objects. */
const PINNED = Object.entries({ role: 'none', search_path: 'pg_catalog', ...CITUS_AS_IT_COMES })
  .map((setting) => setting.join('='))
  .toSorted();

/**
 * initSQL that is appended to a database in use meets what its owner has placed there. Statements run as superuser only
 * where that cannot run her code; in a new database she does not get in before they are through.
 */

let laboratory: Laboratory;
let scene: Scene;
let powers: unknown;
/** A database in which she may make objects in a schema of her own alone, and superusers were careless. */
let side: Scene;
const FIRST = 'CREATE TABLE public.ours (a int)';
const ALONE = 'SET citus.enable_ddl_propagation = off;';
const ON_THE_SIDE = `CREATE SCHEMA hers AUTHORIZATION ${MALLORY}; CREATE TABLE t (a int); CREATE TYPE row_type AS (a int)`;

beforeAll(async () => {
  laboratory = await startLaboratory();
  scene = await laboratory.scene('shop', { more: { initSQL: FIRST } });
  side = await laboratory.scene('side', { access: 'readWrite', more: { initSQL: ON_THE_SIDE } });
  powers = await laboratory.powers();
});

afterAll(async () => {
  await laboratory?.close();
});

interface Appended {
  readonly name: string;
  readonly plant: (trap: string) => string;
  readonly provoke: string;
  /** What the superuser did at some time, so that the trap can work. */
  readonly careless?: string;
  /** Major version from which PostgreSQL itself leaves the trap no superuser. */
  readonly closedIn?: number;
}

const APPENDED: readonly Appended[] = [
  ...BAITS,
  {
    name: 'her table in the place of the superuser’s',
    plant: (trap) => `DROP TABLE public.ours; CREATE TABLE public.ours (a int DEFAULT CASE WHEN ${trap} THEN 1 END)`,
    provoke: 'INSERT INTO public.ours DEFAULT VALUES',
  },
  {
    name: 'a check that ALTER TABLE evaluates again',
    plant: (trap) =>
      `CREATE TABLE public.i_alter (a int CHECK (a < 9 AND ${trap})); INSERT INTO public.i_alter VALUES (1)`,
    provoke: 'ALTER TABLE public.i_alter ALTER COLUMN a TYPE int8',
  },
  {
    name: 'a DO block',
    plant: (trap) => `CREATE TABLE public.i_do (a int DEFAULT CASE WHEN ${trap} THEN 1 END)`,
    provoke: 'DO $$ BEGIN INSERT INTO public.i_do DEFAULT VALUES; END $$',
  },
  {
    name: 'a function with a name of PostgreSQL’s and closer arguments',
    plant: (trap) => `CREATE FUNCTION public.concat(int, int) RETURNS int LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN 1; END $f$`,
    provoke: 'SELECT public.concat(1, 2)',
  },
  {
    name: 'an operator',
    plant: (trap) => `CREATE FUNCTION public.i_plus(text, int) RETURNS text LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN 'x'; END $f$;
      CREATE OPERATOR public.+ (LEFTARG = text, RIGHTARG = int, FUNCTION = public.i_plus)`,
    provoke: "SELECT 'a'::text OPERATOR(public.+) 1",
  },
  {
    name: 'a domain of hers in an array, which a view compares with a literal',
    plant: (trap) =>
      `CREATE DOMAIN public.i_word AS text CHECK (${trap}); CREATE TABLE public.i_words (a public.i_word[])`,
    provoke: "CREATE VIEW public.i_shown AS SELECT * FROM public.i_words WHERE a = '{x}'",
  },
  {
    name: 'the same in the body of an SQL function',
    plant: (trap) =>
      `CREATE DOMAIN public.i_text AS text CHECK (${trap}); CREATE TABLE public.i_texts (a public.i_text[])`,
    provoke: `CREATE FUNCTION public.i_body() RETURNS bigint LANGUAGE sql AS
      $f$ SELECT count(*) FROM public.i_texts WHERE a = '{x}' $f$`,
  },
  {
    name: 'the same in a default',
    plant: (trap) => `CREATE DOMAIN public.i_default AS text CHECK (${trap})`,
    provoke: "CREATE TABLE public.i_defaults (a public.i_default[] DEFAULT '{x}')",
  },
  {
    name: 'a domain of hers as the state of an aggregate',
    plant: (trap) => `CREATE DOMAIN public.i_state AS text CHECK (${trap});
      CREATE FUNCTION public.i_step(public.i_state, int) RETURNS public.i_state LANGUAGE sql AS 'SELECT $1'`,
    provoke: "CREATE AGGREGATE public.i_last (int) (SFUNC = public.i_step, STYPE = public.i_state, INITCOND = 'x')",
  },
  {
    name: 'her table in a search_path that a block sets',
    plant: (trap) => `CREATE TABLE public.i_block (a int DEFAULT CASE WHEN ${trap} THEN 1 END)`,
    provoke: 'BEGIN; SET LOCAL search_path = public; INSERT INTO i_block DEFAULT VALUES; COMMIT',
  },
  {
    name: 'her view in what a block sets search_path to',
    plant: (trap) => `CREATE VIEW public.i_path AS SELECT CASE WHEN ${trap} THEN 'public' END AS a`,
    provoke:
      "BEGIN; SELECT set_config('search_path', (SELECT a FROM public.i_path), true); CREATE TABLE i_in_path (a int); COMMIT",
  },
  {
    name: 'her view in a setting of the session',
    plant: (trap) => `CREATE VIEW public.i_setting AS SELECT CASE WHEN ${trap} THEN 'x' END AS a`,
    provoke: "SELECT set_config('app.a', (SELECT a FROM public.i_setting), false); CREATE TABLE public.i_set (a int)",
  },
  {
    name: 'her function in a generated column',
    plant: (trap) => inlined('i_generated', trap),
    provoke: 'CREATE TABLE public.i_generates (a int, b int GENERATED ALWAYS AS (public.i_generated(a)) STORED)',
  },
  {
    name: 'her function in the key of a partitioned table',
    plant: (trap) => inlined('i_key', trap),
    provoke: 'CREATE TABLE public.i_keys (a int) PARTITION BY LIST ((public.i_key(a)))',
  },
  {
    name: 'her function in an exclusion constraint',
    plant: (trap) => inlined('i_excluded', trap),
    provoke: 'CREATE TABLE public.i_excludes (a int, EXCLUDE USING btree ((public.i_excluded(a)) WITH =))',
  },
  {
    name: 'the key of her partitioned table, of which a column is dropped',
    plant: (trap) => `CREATE TABLE public.i_dropped (a int, b int) PARTITION BY LIST ((a > 0 AND ${trap}))`,
    provoke: 'ALTER TABLE public.i_dropped DROP COLUMN b',
  },
];

/** Its text takes the place of the call when the call is planned, and then is evaluated as far as it is constant. */
function inlined(name: string, trap: string): string {
  return `CREATE FUNCTION public.${name}(int) RETURNS int IMMUTABLE LANGUAGE sql AS $f$ SELECT CASE WHEN ${trap} THEN $1 END $f$`;
}

const CARELESS: readonly Appended[] = [
  {
    name: 'a view of the superuser’s over hers',
    plant: (trap) => `CREATE VIEW hers.i_view AS SELECT ${trap} AS a`,
    careless: 'CREATE VIEW public.s_view AS SELECT * FROM hers.i_view',
    provoke: 'CREATE TABLE public.s_copy AS SELECT * FROM public.s_view',
  },
  {
    name: 'a materialized view of the superuser’s over hers',
    plant: (trap) => `CREATE VIEW hers.i_matview AS SELECT ${trap} AS a`,
    careless: 'CREATE MATERIALIZED VIEW public.s_matview AS SELECT * FROM hers.i_matview WITH NO DATA',
    provoke: 'REFRESH MATERIALIZED VIEW public.s_matview',
  },
  {
    name: 'a trigger of the superuser’s with her function',
    plant: (trap) => `CREATE FUNCTION hers.i_trigger() RETURNS trigger LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN NEW; END $f$`,
    careless: `CREATE TABLE public.s_trigger (a int);
      CREATE TRIGGER t BEFORE INSERT ON public.s_trigger FOR EACH ROW EXECUTE FUNCTION hers.i_trigger()`,
    provoke: 'INSERT INTO public.s_trigger VALUES (1)',
  },
  {
    name: 'an index of the superuser’s with her function',
    plant: (trap) => `CREATE FUNCTION hers.i_index(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN 1; END $f$`,
    careless: 'CREATE TABLE public.s_index (a int); CREATE INDEX ON public.s_index (hers.i_index(a))',
    provoke: 'INSERT INTO public.s_index VALUES (1)',
  },
  {
    name: 'a partition of hers',
    plant: (trap) => `CREATE TABLE hers.i_partition (a int CHECK (${trap}))`,
    careless: `CREATE TABLE public.s_parent (a int) PARTITION BY LIST (a);
      ALTER TABLE public.s_parent ATTACH PARTITION hers.i_partition DEFAULT`,
    provoke: 'INSERT INTO public.s_parent VALUES (1)',
  },
  {
    name: 'a foreign key of hers that cascades to a deferred trigger',
    plant: (trap) => `CREATE TABLE hers.i_child (a int);
      CREATE FUNCTION hers.i_child() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM ${trap}; RETURN NULL; END $f$;
      CREATE CONSTRAINT TRIGGER t AFTER DELETE ON hers.i_child DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION hers.i_child()`,
    careless: `CREATE TABLE public.s_key (a int PRIMARY KEY); INSERT INTO public.s_key VALUES (1);
      INSERT INTO hers.i_child VALUES (1);
      ALTER TABLE hers.i_child ADD FOREIGN KEY (a) REFERENCES public.s_key ON DELETE CASCADE`,
    provoke: 'DELETE FROM public.s_key',
    // AFTER triggers run as the role that was active when they were queued (PostgreSQL 18, release notes).
    closedIn: 18,
  },
  {
    name: 'a partition of the superuser’s under her table',
    plant: (trap) => `CREATE TABLE hers.i_above (a int) PARTITION BY LIST ((a > 0 AND ${trap}))`,
    careless: 'CREATE TABLE public.s_below PARTITION OF hers.i_above FOR VALUES IN (true)',
    provoke: 'INSERT INTO public.s_below VALUES (1)',
  },
  {
    name: 'a table of hers that follows a type of the superuser’s',
    plant: (trap) =>
      `CREATE TABLE hers.i_typed OF public.row_type (CHECK (a < 9 AND ${trap})); INSERT INTO hers.i_typed VALUES (1)`,
    provoke: 'ALTER TYPE public.row_type ALTER ATTRIBUTE a TYPE bigint CASCADE',
  },
  {
    name: 'a domain of hers within a type of the superuser’s',
    plant: (trap) => `CREATE DOMAIN hers.i_inner AS text CHECK (${trap})`,
    careless: 'CREATE TYPE public.s_pair AS (a hers.i_inner); CREATE TABLE public.s_pairs (a public.s_pair)',
    provoke: "INSERT INTO public.s_pairs VALUES (ROW('x'))",
  },
  {
    name: 'an operator of the superuser’s with her function',
    plant: (trap) => `CREATE FUNCTION hers.i_operator(text, int) RETURNS text LANGUAGE plpgsql AS
      $f$ BEGIN PERFORM ${trap}; RETURN 'x'; END $f$`,
    careless: `CREATE OPERATOR public.# (LEFTARG = text, RIGHTARG = int, FUNCTION = hers.i_operator);
      CREATE TABLE public.s_operator (a text, CHECK (a OPERATOR(public.#) 1 = 'x'))`,
    provoke: "INSERT INTO public.s_operator VALUES ('x')",
  },
  {
    name: 'an event trigger whose function was given to her',
    plant: () => 'SELECT 1',
    careless: `CREATE FUNCTION hers.i_event() RETURNS event_trigger LANGUAGE plpgsql AS
        $f$ BEGIN PERFORM public.sprung('an_event_trigger_whose_function_was_given_to_her'); END $f$;
      CREATE EVENT TRIGGER i_event ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION hers.i_event();
      ALTER FUNCTION hers.i_event() OWNER TO ${MALLORY}`,
    provoke: 'CREATE TABLE public.s_event (a int)',
  },
];

function trapName(name: string): string {
  return name.replaceAll(/\W+/g, '_');
}

async function append(place: Scene, first: string, appended: Appended): Promise<void> {
  const { name, plant, careless, provoke, closedIn = Number.POSITIVE_INFINITY } = appended;
  const trap = trapName(name);
  await place.asMallory(0, plant(place.trap(trap)));
  if (careless !== undefined) await place.provoke(0, careless);
  await place.sprung();
  const initSQL = `${first};\n${provoke}`;
  try {
    const { code, stdout, stderr } = await place.run(['apply'], { initSQL });
    expect(await place.sprung()).toEqual([]);
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringMatching(/could run code of others as superuser|which each change would run as superuser/),
    });
    // The trap works: with the field that accepts the risk, or by a careless superuser's hand.
    await place.run(['apply'], { initSQL, initSQLRunsCodeOfOthers: true });
    const sprung = await place.sprung();
    if (sprung.length === 0) {
      await place.provoke(0, provoke);
      sprung.push(...(await place.sprung()));
    }
    const version = await firstValue(
      laboratory.cluster,
      0,
      'postgres',
      "SELECT current_setting('server_version_num')::int",
    );
    expect(sprung).toEqual(Number(version) >= closedIn * 10_000 ? [] : [trap]);
  } finally {
    await place.provoke(0, 'DROP EVENT TRIGGER IF EXISTS i_event');
    await place.provoke(0, 'DELETE FROM citus_databases.init_sql WHERE line > 1');
  }
}

test.each(APPENDED)('$name', async (appended) => {
  await append(scene, FIRST, appended);
});

test.each(CARELESS)('$name', async (appended) => {
  await append(side, ON_THE_SIDE, appended);
});

test('what touches nothing of hers runs', async () => {
  const appended = [
    'INSERT INTO t VALUES (1)',
    'CREATE TABLE u AS SELECT * FROM t',
    'INSERT INTO public.t SELECT count(*) FROM u',
    'CREATE TABLE hers.made (a int)',
    `ALTER TABLE hers.made OWNER TO ${MALLORY}`,
    "SELECT create_distributed_table('u', 'a')",
    'DROP TABLE hers.made',
  ];
  const { code, stdout, stderr } = await side.run(['apply'], { initSQL: [ON_THE_SIDE, ...appended].join(';\n') });
  expect({ code, text: stdout + stderr }).toEqual({
    code: 0,
    text: expect.stringMatching(/Others (?:own|may create) objects in this database: search_path is public/),
  });
  expect(await firstValue(laboratory.cluster, 0, 'side', 'SELECT sum(a)::text FROM public.t')).toBe('2');
});

test('an extension that comes later: who may use its tables, its author decides', async ({ skip }) => {
  const { cluster } = laboratory;
  const count = (sql: string) => firstValue(cluster, 0, 'side', sql);
  const names = "('pg_partman', 'postgis', 'address_standardizer_data_us')";
  const available = await count(`SELECT count(*)::text FROM pg_available_extensions WHERE name IN ${names}`);
  skip(available !== '3', 'no extensions with tables are installed');
  const hers = `SELECT count(*)::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid, aclexplode(c.relacl) a
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND a.grantee = '${MALLORY}'::regrole`;
  const { code, stdout, stderr } = await side.run(['apply'], {
    initSQL: `${ON_THE_SIDE}; CREATE SCHEMA maps; CREATE EXTENSION postgis SCHEMA maps`,
    extensions: [{ name: 'pg_partman', schema: 'partman' }],
  });
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  expect(await count("SELECT count(*)::text FROM pg_extension WHERE extname IN ('pg_partman', 'postgis')")).toBe('2');
  expect(await count(hers)).toBe('0');
  // By hand, default privileges give her a part.
  await side.provoke(0, 'CREATE EXTENSION address_standardizer_data_us SCHEMA public');
  expect(await count(hers)).not.toBe('0');
});

test.each([
  ['CREATE EXTENSION IF NOT EXISTS pg_buffercache', 'alone'],
  ['BEGIN; CREATE EXTENSION IF NOT EXISTS pg_buffercache; COMMIT', 'in_a_block'],
])('the same with initSQLPolicy: always: %s', async (initSQL, place) => {
  const database = `always_${place}`;
  const always = await laboratory.scene(database, { access: 'readWrite', more: { initSQL: 'SELECT 1' } });
  const hers = () =>
    firstValue(
      laboratory.cluster,
      0,
      database,
      `SELECT count(*)::text FROM pg_class c, aclexplode(c.relacl) a WHERE c.relname = 'pg_buffercache' AND a.grantee = '${MALLORY}'::regrole`,
    );
  const { code, stdout, stderr } = await always.run(['apply'], { initSQL, initSQLPolicy: 'always' });
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
  expect(await hers()).toBe('0');
  // By hand, default privileges give her a part.
  await always.provoke(0, 'DROP EXTENSION pg_buffercache; CREATE EXTENSION pg_buffercache');
  expect(await hers()).not.toBe('0');
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

describe('initSQLRole', () => {
  const FIRST_OF_OWNER = 'CREATE TABLE public.t (a int)';
  const owned = (initSQL: string): Document => ({ initSQL, initSQLRole: 'owner' });
  let own: Scene;

  beforeAll(async () => {
    own = await laboratory.scene('owned', { more: owned(FIRST_OF_OWNER) });
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
});

test('nobody gained anything', async () => {
  expect(await laboratory.powers()).toEqual(powers);
});
