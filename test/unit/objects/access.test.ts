import { describe, expect, test } from 'vitest';
import { creators, diffDefaultPrivileges, diffRelationAccess } from '../../../src/objects/access.ts';
import type { ObservedAccess, ObservedRelation } from '../../../src/objects/accessObserved.ts';
import type { Change } from '../../../src/objects/change.ts';
import { diffDatabaseAccess } from '../../../src/objects/databaseAccess.ts';
import { diffSchemaAccess } from '../../../src/objects/schemaAccess.ts';
import { uncheckedFunctions } from '../../../src/objects/uncheckedFunctions.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';
import { database } from '../spec/support.ts';

const node: NodeSpec = { group: 0, host: 'c', port: 5432, nodeName: 'c', nodePort: 5432 };

const PG15 = 150_020;
const PG17 = 170_011;

const sqlOf = (changes: readonly Change[]) => changes.flatMap((change) => change.statements.map(({ text }) => text));

const DB = database(
  '{ name: d, users: [{ name: o, access: owner }, { name: a, access: all }, { name: w, access: readWrite }, { name: r, access: readOnly }] }',
);
const NOTHING: ObservedAccess = { schemas: [], relations: [], defaults: [] };
const relation = (name: string, more: Partial<ObservedRelation> = {}): ObservedRelation => ({
  ...{ schema: 's', name, kind: 'r', owner: 'o', grants: {} },
  ...more,
});

function context(serverVersion: number) {
  return { serverVersion, superuser: 'postgres' };
}

describe('rights on the database', () => {
  test('a new one: PUBLIC has its defaults, the owner needs nothing', () => {
    expect(sqlOf(diffDatabaseAccess(DB, undefined, node, []))).toEqual([
      'GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "d" TO "a"',
      'GRANT CONNECT, TEMPORARY ON DATABASE "d" TO "w"',
      'GRANT CONNECT ON DATABASE "d" TO "r"',
      'REVOKE ALL ON DATABASE "d" FROM PUBLIC',
    ]);
  });

  test('only what is missing; more than is wanted stays', () => {
    const grants = { a: ['CONNECT', 'CREATE', 'TEMPORARY'], w: ['CONNECT'], r: ['CONNECT', 'CREATE'] };
    expect(sqlOf(diffDatabaseAccess(DB, { forPublic: [], grants }, node, []))).toEqual([
      'GRANT TEMPORARY ON DATABASE "d" TO "w"',
    ]);
    const complete = { ...grants, w: ['TEMPORARY', 'CONNECT'] };
    expect(diffDatabaseAccess(DB, { forPublic: [], grants: complete }, node, [])).toEqual([]);
    expect(sqlOf(diffDatabaseAccess(DB, { forPublic: ['TEMPORARY'], grants: complete }, node, []))).toEqual([
      'REVOKE ALL ON DATABASE "d" FROM PUBLIC',
    ]);
  });

  test('without users PUBLIC keeps what it has', () => {
    expect(diffDatabaseAccess(database('{ name: d }'), undefined, node, ['postgres'])).toEqual([]);
  });
});

describe('owners of distributed tables, which Citus moves as a member of them', () => {
  const complete = { a: ['CONNECT', 'CREATE', 'TEMPORARY'], w: ['CONNECT', 'TEMPORARY'], r: ['CONNECT'] };

  test('may connect where PUBLIC may not; users and the owner may already', () => {
    const owners = ['postgres', 'etl', 'postgres', 'a', 'postgres', DB.owner];
    expect(sqlOf(diffDatabaseAccess(DB, { forPublic: [], grants: complete }, node, owners))).toEqual([
      'GRANT CONNECT ON DATABASE "d" TO "postgres"',
      'GRANT CONNECT ON DATABASE "d" TO "etl"',
    ]);
    expect(sqlOf(diffDatabaseAccess(DB, undefined, node, ['postgres']))).toContain(
      'GRANT CONNECT ON DATABASE "d" TO "postgres"',
    );
    const there = { ...complete, postgres: ['CONNECT'], etl: ['CONNECT'] };
    expect(diffDatabaseAccess(DB, { forPublic: [], grants: there }, node, owners)).toEqual([]);
  });

  test('without users: only where somebody took CONNECT from PUBLIC', () => {
    const db = database('{ name: d, owner: boss }');
    expect(diffDatabaseAccess(db, { forPublic: ['CONNECT'], grants: {} }, node, ['postgres'])).toEqual([]);
    expect(sqlOf(diffDatabaseAccess(db, { forPublic: ['TEMPORARY'], grants: {} }, node, ['postgres', 'boss']))).toEqual(
      ['GRANT CONNECT ON DATABASE "d" TO "postgres"'],
    );
  });
});

describe('default privileges', () => {
  test('creators: the superuser, owners of the database and of schemas, whoever may make objects', () => {
    const db = database(
      '{ name: d, owner: x, schemas: [{ name: s, owner: y }], users: [{ name: a, access: all }, { name: r, access: readOnly }] }',
    );
    expect(creators(db, 'postgres')).toEqual(['postgres', 'x', 'y', 'a']);
  });

  const db = database('{ name: d, users: [{ name: o, access: owner }, { name: r, access: readOnly }] }');

  test('for tables, sequences and schemas of each creator, not for its own objects', () => {
    expect(sqlOf(diffDefaultPrivileges(db, 'postgres', NOTHING, node, true, PG15))).toEqual([
      'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO "o"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT SELECT, UPDATE, USAGE ON SEQUENCES TO "o"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT CREATE, USAGE ON SCHEMAS TO "o"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT SELECT ON TABLES TO "r"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT SELECT ON SEQUENCES TO "r"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT USAGE ON SCHEMAS TO "r"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT SELECT ON TABLES TO "r"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT SELECT ON SEQUENCES TO "r"',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT USAGE ON SCHEMAS TO "r"',
    ]);
  });

  test('a worker has those of schemas only; what is there is not repeated', () => {
    const defaults = [
      { role: 'postgres', kind: 'n', grants: { o: ['USAGE', 'CREATE'], r: ['USAGE'] } },
      { role: 'o', kind: 'r', grants: { r: ['USAGE'] } },
    ];
    expect(sqlOf(diffDefaultPrivileges(db, 'postgres', { ...NOTHING, defaults }, node, false, PG15))).toEqual([
      'ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT USAGE ON SCHEMAS TO "r"',
    ]);
  });
});

describe('MAINTAIN, from PostgreSQL 17 on', () => {
  const relations = [relation('t', { owner: 'x' }), relation('q', { owner: 'x', kind: 'S' })];
  const statements = (version: number) => [
    ...sqlOf(diffDefaultPrivileges(DB, 'postgres', NOTHING, node, true, version)),
    ...sqlOf(diffRelationAccess(DB, { ...NOTHING, relations }, node, context(version))),
  ];

  test('goes to owner and all, on tables', () => {
    expect(statements(PG15).filter((text) => text.includes('MAINTAIN'))).toEqual([]);
    expect(statements(PG17).filter((text) => text.includes('MAINTAIN'))).toEqual([
      expect.stringMatching(/^ALTER DEFAULT PRIVILEGES FOR ROLE "a" GRANT .*, MAINTAIN ON TABLES TO "o"$/),
      expect.stringMatching(/^ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT .*, MAINTAIN ON TABLES TO "a"$/),
      expect.stringMatching(/^GRANT .*, MAINTAIN ON TABLE "s"."t" TO "o"$/),
      expect.stringMatching(/^GRANT .*, MAINTAIN ON TABLE "s"."t" TO "a"$/),
    ]);
  });

  test('not on what a superuser owns, where it is taken back', () => {
    const observed: ObservedAccess = {
      ...NOTHING,
      superusers: ['admin'],
      relations: [
        relation('t', { owner: 'postgres' }),
        relation('v', { owner: 'admin', kind: 'm', maintainers: ['o', 'x'] }),
      ],
      defaults: [{ role: 'admin', kind: 'r', grants: {}, maintainers: ['a'] }],
    };
    const db = database('{ name: d, owner: admin, users: [{ name: o, access: all }, { name: a, access: all }] }');
    const relations = sqlOf(diffRelationAccess(db, observed, node, context(PG17)));
    const defaults = sqlOf(diffDefaultPrivileges(db, 'postgres', observed, node, true, PG17));
    const named = [...relations, ...defaults].filter((text) => text.includes('MAINTAIN'));
    expect(named).toEqual([
      'REVOKE MAINTAIN ON TABLE "s"."v" FROM "o" CASCADE',
      'ALTER DEFAULT PRIVILEGES FOR ROLE "admin" REVOKE MAINTAIN ON TABLES FROM "a"',
      expect.stringMatching(/^ALTER DEFAULT PRIVILEGES FOR ROLE "a" GRANT/),
      expect.stringMatching(/^ALTER DEFAULT PRIVILEGES FOR ROLE "o" GRANT/),
    ]);
    // On a worker only what the coordinator has not.
    const worker = { ...node, group: 1 };
    expect(sqlOf(diffRelationAccess(db, observed, worker, context(PG17), observed))).toEqual([]);
    expect(sqlOf(diffRelationAccess(db, observed, worker, context(PG17), NOTHING))).toContain(
      'REVOKE MAINTAIN ON TABLE "s"."v" FROM "o" CASCADE',
    );
  });
});

test('schemas: not for their owner; on Citus each node by itself', () => {
  const schemas = [
    { name: 's', owner: 'o', grants: { a: ['USAGE'], w: ['USAGE'] } },
    {
      name: 'T',
      owner: 'postgres',
      grants: { o: ['USAGE', 'CREATE'], a: ['CREATE', 'USAGE'], w: ['USAGE'], r: ['USAGE'] },
    },
  ];
  const grants = ['GRANT CREATE ON SCHEMA "s" TO "a"', 'GRANT USAGE ON SCHEMA "s" TO "r"'];
  expect(sqlOf(diffSchemaAccess(DB, { ...NOTHING, schemas }, node, { citus: false, superuser: 'postgres' }))).toEqual(
    grants,
  );
  expect(sqlOf(diffSchemaAccess(DB, { ...NOTHING, schemas }, node, { citus: true, superuser: 'postgres' }))).toEqual([
    'SET LOCAL citus.enable_ddl_propagation = off',
    ...grants,
  ]);
  expect(diffSchemaAccess(DB, undefined, node, { citus: true, superuser: 'postgres' })).toEqual([]);
});

describe('tables and sequences', () => {
  const db = database('{ name: d, users: [{ name: w, access: readWrite }, { name: r, access: readOnly }] }');
  const full = { w: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'], r: ['SELECT'] };

  test('those that lack the same share a statement', () => {
    const relations = [
      relation('a'),
      relation('b', { grants: { ...full, r: [] } }),
      relation('c', { kind: 'v' }),
      relation('q', { kind: 'S', grants: { w: ['USAGE'] } }),
      relation('own', { owner: 'w', grants: { r: ['SELECT'] } }),
      relation('done', { grants: full }),
    ];
    const [change, ...others] = diffRelationAccess(db, { ...NOTHING, relations }, node, context(PG15));
    expect(others).toEqual([]);
    expect(change?.statements.map(({ text }) => text)).toEqual([
      'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "s"."a", "s"."c" TO "w"',
      'GRANT SELECT, UPDATE ON SEQUENCE "s"."q" TO "w"',
      'GRANT SELECT ON TABLE "s"."a", "s"."b", "s"."c" TO "r"',
      'GRANT SELECT ON SEQUENCE "s"."q" TO "r"',
    ]);
    expect(change?.summary).toBe('grant rights on 4 tables and sequences to "w" (readWrite), "r" (readOnly)');
  });

  test('a statement names 200 at most', () => {
    const relations = Array.from({ length: 450 }, (_, index) => relation(`t${index}`, { owner: 'w' }));
    const statements = sqlOf(diffRelationAccess(db, { ...NOTHING, relations }, node, context(PG15)));
    expect(statements.map((text) => text.split(', ').length)).toEqual([200, 200, 50]);
  });

  test('on a worker only what the coordinator has and Citus did not carry', () => {
    const coordinator = { ...NOTHING, relations: [relation('a'), relation('view', { kind: 'v', grants: full })] };
    const worker = { ...NOTHING, relations: [relation('a'), relation('view', { kind: 'v', grants: { w: full.w } })] };
    expect(sqlOf(diffRelationAccess(db, worker, { ...node, group: 1 }, context(PG15), coordinator))).toEqual([
      'SET LOCAL citus.enable_ddl_propagation = off',
      'GRANT SELECT ON TABLE "s"."view" TO "r"',
    ]);
  });
});

describe('functions of Citus that ask for no owner', () => {
  const diff = (executors: readonly (readonly string[])[] | undefined) =>
    sqlOf(uncheckedFunctions.diff(DB, executors === undefined ? undefined : { executors }, node));
  const MAKERS = ['postgres', 'o', 'a'];

  test('taken from PUBLIC, and given to those who may create objects', () => {
    for (const sql of [diff(undefined), diff([['postgres', '']]), diff([MAKERS, [...MAKERS, '']])]) {
      expect(sql).toEqual([
        'SET LOCAL citus.enable_ddl_propagation = off',
        expect.stringContaining("unnest(ARRAY[''o'', ''a'']::pg_catalog.text[])"),
      ]);
    }
  });

  test('given to a user who is declared later', () => {
    expect(diff([['postgres', 'o']])).not.toEqual([]);
  });

  test('whoever else may execute them is no difference', () => {
    expect(diff([[...MAKERS, 'of_the_application'], MAKERS])).toEqual([]);
  });

  test('a version of Citus without any, and a database without users: nothing', () => {
    expect(diff([])).toEqual([]);
    expect(uncheckedFunctions.diff(database('{ name: d }'), undefined, node)).toEqual([]);
  });
});
