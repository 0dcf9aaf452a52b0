import { afterAll, beforeAll, expect, test } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { type Laboratory, MALLORY, type Scene, startLaboratory } from './support/laboratory.ts';
import { trapName } from './support/names.ts';
import { BAITS } from './support/objects.ts';

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

test('nobody gained anything', async () => {
  expect(await laboratory.powers()).toEqual(powers);
});
