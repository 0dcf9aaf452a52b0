import { describe, expect } from 'vitest';
import { observeMetadata } from '../../src/objects/citusMetadata.ts';
import { observeDistributedTypes } from '../../src/objects/distributedType.ts';
import { observeHeld } from '../../src/objects/held.ts';
import { observeMetadataParts } from '../../src/objects/metadataParts.ts';
import { type Fragment, observationScript } from '../../src/objects/observe.ts';
import type { OwnTable } from '../../src/objects/ownTable.ts';
import { type OwnTableQuestion, observeOwnTables } from '../../src/objects/ownTableObserved.ts';
import { firstValue } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf } from '../support/program.ts';

/** What a server is not asked because another answer implies it. */

const test = clusterTest({ workers: 1 })
  .extend('sql', { scope: 'file' }, ({ cluster }) => (database: string, text: string) => {
    return query(cluster, 0, database, text);
  })
  .extend('observed', { scope: 'file' }, ({ cluster }) => async (database: string, script: string) => {
    return JSON.parse(String(await firstValue(cluster, 0, database, script)));
  });

const COLUMNS = [
  ['id', 'integer'],
  ['name', 'text'],
] as const;
const FIRST: OwnTable = { name: 'first', columns: COLUMNS };
const SECOND: OwnTable = { name: 'second', columns: COLUMNS };

function ask(table: OwnTable): OwnTableQuestion {
  return {
    key: table.name,
    table,
    value: `(SELECT pg_catalog.to_jsonb(pg_catalog.count(*)) FROM citus_databases.${table.name})`,
    otherwise: (distrust) => `pg_catalog.to_jsonb(coalesce(${distrust}, 'not there'))`,
  };
}

const BOTH = observationScript(observeOwnTables([ask(FIRST), ask(SECOND)]));
const MADE = `CREATE SCHEMA citus_databases;
  CREATE TABLE citus_databases.first (id int4 PRIMARY KEY, name text DEFAULT 'a' CHECK (name <> 'b'));
  CREATE TABLE citus_databases.second (id int4, name text)`;

describe('tables of its own are judged together', () => {
  test.beforeAll(async ({ sql }) => {
    await sql(
      'postgres',
      `CREATE ROLE thief; CREATE ROLE mate SUPERUSER;
       CREATE FUNCTION public.own(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'`,
    );
  });

  test.for<readonly [what: string, sql: string, first: unknown, second: unknown]>([
    ['no schema', 'SELECT 1', 'not there', 'not there'],
    ['a schema without tables', 'CREATE SCHEMA citus_databases', 'not there', 'not there'],
    ['both', MADE, 0, 0],
    ['one of them', `${MADE}; DROP TABLE citus_databases.first`, 'not there', 0],
    ['rows', `${MADE}; INSERT INTO citus_databases.second VALUES (1), (2)`, 0, 2],
    [
      'an empty schema of somebody else',
      'CREATE SCHEMA citus_databases AUTHORIZATION thief',
      'schema citus_databases belongs to thief, who is no superuser',
      'schema citus_databases belongs to thief, who is no superuser',
    ],
    [
      'a schema of somebody else',
      `${MADE}; ALTER SCHEMA citus_databases OWNER TO thief`,
      'schema citus_databases belongs to thief, who is no superuser',
      'schema citus_databases belongs to thief, who is no superuser',
    ],
    ['a schema of another superuser', `${MADE}; ALTER SCHEMA citus_databases OWNER TO mate`, 0, 0],
    [
      'an empty schema in which others may create',
      'CREATE SCHEMA citus_databases; GRANT CREATE ON SCHEMA citus_databases TO thief',
      'others than its owner may create objects in schema citus_databases',
      'others than its owner may create objects in schema citus_databases',
    ],
    ['a schema that others may use', `${MADE}; GRANT USAGE ON SCHEMA citus_databases TO thief`, 0, 0],
    [
      'a view',
      `${MADE}; DROP TABLE citus_databases.first; CREATE VIEW citus_databases.first AS SELECT 1 / 0 AS id`,
      'citus_databases.first is no ordinary table',
      0,
    ],
    [
      'a table without WAL',
      `${MADE}; ALTER TABLE citus_databases.second SET UNLOGGED`,
      0,
      'citus_databases.second is no ordinary table',
    ],
    [
      'a table of somebody else',
      `${MADE}; ALTER TABLE citus_databases.second OWNER TO thief`,
      0,
      'table citus_databases.second belongs to thief, who is no superuser',
    ],
    ['a table of another superuser', `${MADE}; ALTER TABLE citus_databases.second OWNER TO mate`, 0, 0],
    [
      'rights of others',
      `${MADE}; GRANT UPDATE ON citus_databases.first TO thief`,
      'others than its owner may write to table citus_databases.first',
      0,
    ],
    [
      'rights of others on a column',
      `${MADE}; GRANT UPDATE (name) ON citus_databases.first TO PUBLIC`,
      'others than its owner may write to table citus_databases.first',
      0,
    ],
    ['others who may read', `${MADE}; GRANT SELECT ON citus_databases.first TO thief`, 0, 0],
    [
      'a rule',
      `${MADE}; CREATE RULE x AS ON INSERT TO citus_databases.first DO ALSO SELECT 1`,
      'table citus_databases.first has rules',
      0,
    ],
    [
      'a trigger',
      `${MADE}; CREATE TRIGGER x BEFORE UPDATE ON citus_databases.first FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
      'table citus_databases.first has triggers',
      0,
    ],
    [
      'row security',
      `${MADE}; ALTER TABLE citus_databases.first ENABLE ROW LEVEL SECURITY`,
      'table citus_databases.first has row security',
      0,
    ],
    [
      'a parent and its child',
      `${MADE}; DROP TABLE citus_databases.second; CREATE TABLE citus_databases.second () INHERITS (citus_databases.first)`,
      'table citus_databases.first has parents or children',
      'table citus_databases.second has parents or children',
    ],
    [
      'another column',
      `${MADE}; ALTER TABLE citus_databases.second ADD more text`,
      0,
      'table citus_databases.second has other columns than this program gave it',
    ],
    [
      'another type',
      `${MADE}; ALTER TABLE citus_databases.second ALTER name TYPE varchar(3)`,
      0,
      'table citus_databases.second has other columns than this program gave it',
    ],
    ...(
      [
        ['default', 'ALTER name SET DEFAULT public.own($$x$$)'],
        ['check', 'ADD CHECK (public.own(name) <> $$x$$)'],
        ['index', 'ADD EXCLUDE USING btree (public.own(name) WITH =)'],
      ] as const
    ).map(
      ([what, change]) =>
        [
          `a function of others in its ${what}`,
          `${MADE}; ALTER TABLE citus_databases.second ${change}`,
          0,
          'a default, constraint or index of table citus_databases.second uses a function that does not come with PostgreSQL',
        ] as const,
    ),
  ])('%s', async ([, made, first, second], { observed, sql }) => {
    await sql('postgres', made);
    try {
      expect(await observed('postgres', BOTH)).toMatchObject({ first, second });
    } finally {
      await sql('postgres', 'DROP SCHEMA IF EXISTS citus_databases CASCADE');
    }
  });

  test('to who is no superuser, what belongs to one is not theirs', async ({ observed, sql }) => {
    await sql(
      'postgres',
      `${MADE}; ALTER SCHEMA citus_databases OWNER TO thief; ALTER TABLE citus_databases.first OWNER TO thief`,
    );
    try {
      expect(await observed('postgres', `SET SESSION AUTHORIZATION thief; ${BOTH}`)).toMatchObject({
        first: 0,
        second: 'table citus_databases.second belongs to postgres, and this program works as thief',
      });
    } finally {
      await sql('postgres', 'DROP SCHEMA citus_databases CASCADE');
    }
  });
});

describe('what a Citus database does not hold', () => {
  /** The same questions without the answers that spare some of them. */
  const asked = (fragments: readonly Fragment[]) => fragments.filter(({ key }) => key !== observeHeld()[0]?.key);
  const questions = [...observeMetadata(), ...observeMetadataParts(), observeDistributedTypes()];

  test('has the digest of nothing, as when it is asked', async ({ cluster, observed, sql }) => {
    const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [{ name: 'held' }]));
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
    const both = async () => {
      const { held, ...spared } = await observed('held', observationScript(questions));
      const all = await observed('held', observationScript(asked(questions)));
      expect({ ...(held.types === false ? { distributedTypes: {} } : {}), ...spared }).toEqual(all);
      return { held, metadata: spared.metadata, parts: spared.metadataParts, types: all.distributedTypes };
    };
    const nothing = await both();
    expect(nothing.held).toMatchObject({ tables: false });
    expect(nothing.parts).toMatchObject({ tables: nothing.metadata.tables, placements: nothing.metadata.tables });
    if (cluster.kind !== 'real') return;

    expect(nothing).toMatchObject({ held: { types: false, definitions: false, leftovers: false }, types: {} });
    await sql('held', "CREATE TYPE mood AS ENUM ('sad'); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    const some = await both();
    expect(some).toMatchObject({
      held: { tables: false, types: true, definitions: true },
      types: { 'public.mood': expect.any(String) },
      parts: { tables: nothing.parts.tables, definitions: expect.not.stringMatching(nothing.parts.definitions) },
    });
    await sql('held', "CREATE TABLE t (id int PRIMARY KEY, mood mood); SELECT create_distributed_table('t', 'id')");
    const tables = await both();
    expect(tables.held).toMatchObject({ tables: true });
    expect(tables.metadata.tables).not.toBe(nothing.metadata.tables);
    for (const part of ['tables', 'shards', 'placements', 'columns', 'structure']) {
      expect(tables.parts[part]).not.toBe(nothing.parts[part]);
    }
  });
});
