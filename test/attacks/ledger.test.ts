import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, type Scene } from './support/laboratory.ts';

/** What this program remembers in a database that others own is read only where nobody else could have written it. */

const test = laboratoryTest;

const VIEW_COLUMNS = "'h' AS hash, 0 AS occurrence, 1 AS ordinal, 1 AS line, 's' AS statement, 'done' AS state";

const READ =
  'SELECT jsonb_agg(to_jsonb(found)) FROM (SELECT hash, occurrence, ordinal, line, statement, state FROM citus_databases.init_sql) found';

/** What she puts under the ledger's name on a node, and what a careless superuser would do with it. */
type Forgery = readonly [
  name: string,
  access: 'owner' | 'all',
  group: number,
  sql: (scene: Scene) => string,
  provoke: string,
];

const FORGERIES: readonly Forgery[] = [
  [
    'a view on a worker',
    'owner',
    1,
    (scene) => `CREATE SCHEMA citus_databases;
      CREATE VIEW citus_databases.init_sql AS SELECT ${VIEW_COLUMNS} WHERE ${scene.trap('ledger')}`,
    READ,
  ],
  [
    'a view on the coordinator',
    'owner',
    0,
    (scene) => `CREATE SCHEMA citus_databases;
      CREATE VIEW citus_databases.init_sql AS SELECT ${VIEW_COLUMNS} WHERE ${scene.trap('ledger')}`,
    READ,
  ],
  [
    'a view of a user with access all',
    'all',
    1,
    (scene) => `CREATE SCHEMA citus_databases;
      CREATE VIEW citus_databases.init_sql AS SELECT ${VIEW_COLUMNS} WHERE ${scene.trap('ledger')}`,
    READ,
  ],
  [
    'a column of a type with a cast to json',
    'owner',
    0,
    (scene) => `CREATE SCHEMA citus_databases;
      CREATE TYPE public.odd AS ENUM ('h');
      CREATE FUNCTION public.odd_to_json(public.odd) RETURNS json LANGUAGE plpgsql AS
        $$ BEGIN PERFORM ${scene.trap('ledger')}; RETURN '1'; END $$;
      CREATE CAST (public.odd AS json) WITH FUNCTION public.odd_to_json(public.odd);
      CREATE TABLE citus_databases.init_sql (hash public.odd, occurrence int, ordinal int, line int, statement text, state text);
      INSERT INTO citus_databases.init_sql VALUES ('h', 0, 1, 1, 's', 'done')`,
    READ,
  ],
  [
    'a table like the real one with a trigger',
    'owner',
    0,
    (scene) => `CREATE SCHEMA citus_databases;
      CREATE TABLE citus_databases.init_sql (ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hash text NOT NULL,
        occurrence int NOT NULL, line int NOT NULL, statement text NOT NULL, state text NOT NULL,
        executed_at timestamptz NOT NULL DEFAULT now(), UNIQUE (hash, occurrence));
      CREATE FUNCTION public.on_row() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM ${scene.trap('ledger')}; RETURN NEW; END $$;
      CREATE TRIGGER on_row BEFORE INSERT ON citus_databases.init_sql FOR EACH ROW EXECUTE FUNCTION public.on_row()`,
    "INSERT INTO citus_databases.init_sql (hash, occurrence, line, statement, state) VALUES ('h', 0, 1, 's', 'done')",
  ],
  [
    'a table like the real one with a default of her own',
    'all',
    0,
    (scene) => `CREATE SCHEMA citus_databases;
      CREATE TABLE citus_databases.init_sql (ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hash text NOT NULL,
        occurrence int NOT NULL, line int NOT NULL, statement text NOT NULL, state text NOT NULL,
        executed_at timestamptz NOT NULL DEFAULT CASE WHEN ${scene.trap('ledger')} THEN now() END, UNIQUE (hash, occurrence))`,
    "INSERT INTO citus_databases.init_sql (hash, occurrence, line, statement, state) VALUES ('h', 0, 1, 's', 'done')",
  ],
];

test.for(FORGERIES)(
  '%s: no row of it is read, and it is refused by name',
  async ([name, access, group, sql, provoke], { laboratory }) => {
    const database = `forged_${FORGERIES.findIndex(([candidate]) => candidate === name)}`;
    const scene = await laboratory.scene(database, { access });
    const before = await laboratory.powers();
    // As an earlier version of this program left it, or a run that was killed before it took the name.
    await scene.provoke(group, 'DROP SCHEMA citus_databases');
    await scene.asMallory(group, sql(scene));
    await scene.provoke(group, provoke);
    expect(await scene.sprung()).toEqual(['ledger']);

    const plan = await scene.run(['plan'], { initSQL: 'CREATE TABLE t (a int)' });
    const apply = await scene.run(['apply'], { initSQL: 'CREATE TABLE t (a int)' });
    const verify = await scene.run(['verify']);
    expect(await scene.sprung()).toEqual([]);
    for (const { code, stderr, stdout } of [plan, apply]) {
      expect({ code, text: stdout + stderr }).toEqual({
        code: 3,
        text: expect.stringContaining(`schema citus_databases belongs to ${MALLORY}, who is no superuser`),
      });
    }
    expect([0, 3]).toContain(verify.code);
    expect(await laboratory.powers()).toEqual(before);
  },
);

test.for(['owner', 'all'] as const)(
  'access %s: the name of the schema is taken on every node',
  async (access, { laboratory }) => {
    const scene = await laboratory.scene(`taken_${access}`, { access });
    for (const { group } of laboratory.cluster.nodes) {
      await expect(scene.asMallory(group, 'CREATE SCHEMA citus_databases')).rejects.toMatchObject({ code: '42P06' });
      for (const attempt of [
        'CREATE VIEW citus_databases.init_sql AS SELECT 1',
        'DROP SCHEMA citus_databases',
        'ALTER SCHEMA citus_databases RENAME TO mine',
        'ALTER SCHEMA citus_databases OWNER TO CURRENT_USER',
      ]) {
        await expect(scene.asMallory(group, attempt)).rejects.toMatchObject({ code: '42501' });
      }
    }
  },
);

test('ALTER DATABASE … SET role does not give the ledger to the owner', async ({ laboratory }) => {
  const scene = await laboratory.scene('given_away');
  for (const { group } of laboratory.cluster.nodes) {
    await scene.asMallory(group, `ALTER DATABASE given_away SET role = ${MALLORY}`);
  }
  await scene.run(['apply'], { initSQL: 'SELECT 1' });
  const owner = (kind: string) =>
    firstValue(
      laboratory.cluster,
      0,
      'given_away',
      `SELECT ${kind}::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'citus_databases' AND relname = 'init_sql'`,
    );
  expect(await owner('relowner')).toBe('postgres');
  expect(await owner('nspowner')).toBe('postgres');
});
