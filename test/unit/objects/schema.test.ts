import { expect, test } from 'vitest';
import {
  diffSchemas,
  diffTenantSchemas,
  diffWorkerSchemas,
  observeTenantSchemas,
} from '../../../src/objects/schema.ts';
import { COORDINATOR, shown, W1, wanted } from '../reconcile/situations.ts';

test.each([
  ['none declared', '', [{ name: 'public', owner: 'postgres' }], []],
  [
    'missing: the owner of the database owns it',
    'analytics',
    [],
    [
      {
        on: 'c',
        summary: 'create schema "analytics" owned by "app"',
        sql: ['CREATE SCHEMA "analytics" AUTHORIZATION "app"'],
      },
    ],
  ],
  [
    'missing, with an owner of its own',
    '{ name: My Schema, owner: other }',
    [],
    [
      {
        on: 'c',
        summary: 'create schema "My Schema" owned by "other"',
        sql: ['CREATE SCHEMA "My Schema" AUTHORIZATION "other"'],
      },
    ],
  ],
  [
    'there, in the order of the spec',
    'b, a',
    [
      { name: 'a', owner: 'app' },
      { name: 'b', owner: 'app' },
    ],
    ["note: Schema 'b' already exists", "note: Schema 'a' already exists"],
  ],
  [
    'another owner',
    'analytics',
    [{ name: 'analytics', owner: 'postgres' }],
    [
      {
        on: 'c',
        summary: 'change the owner of schema "analytics" from "postgres" to "app"',
        sql: ['ALTER SCHEMA "analytics" OWNER TO "app"'],
      },
    ],
  ],
] as const)('%s', (_, list, observed, expected) => {
  const schemas = list
    .split(/,(?![^{]*})/)
    .filter((item) => item !== '')
    .map((item) => (item.includes('{') ? item : `{ name: ${item} }`));
  const database = wanted(`{ name: skymap, owner: app, schemas: [${schemas.join(', ')}] }`);
  expect(diffSchemas(database, observed, COORDINATOR).map(shown)).toEqual(expected);
});

const OFF = 'SET LOCAL citus.enable_ddl_propagation = off';
const OWN = [{ name: 'analytics', owner: 'app' }];

test.each([
  ['as declared', OWN, OWN, []],
  ['still to be made on the coordinator, from which Citus carries it', [], [], []],
  [
    'still to be given to its owner on the coordinator',
    [{ name: 'analytics', owner: 'postgres' }],
    [{ name: 'analytics', owner: 'postgres' }],
    [],
  ],
  [
    'missing on the worker alone',
    OWN,
    [],
    [
      {
        on: 'w1',
        summary: 'create schema "analytics" owned by "app", as on the coordinator',
        sql: [OFF, 'CREATE SCHEMA "analytics" AUTHORIZATION "app"'],
      },
    ],
  ],
  [
    "somebody else's on the worker",
    OWN,
    [{ name: 'analytics', owner: 'mallory' }],
    [
      {
        on: 'w1',
        summary: 'change the owner of schema "analytics" from "mallory" to "app", as on the coordinator',
        sql: [OFF, 'ALTER SCHEMA "analytics" OWNER TO "app"'],
      },
    ],
  ],
] as const)('a worker: %s', (_, coordinator, worker, expected) => {
  const database = wanted('{ name: skymap, owner: app, schemas: [{ name: analytics }] }');
  expect(diffWorkerSchemas(database, coordinator, worker, W1).map(shown)).toEqual(expected);
});

test.each([
  ['empty, whoever owns it', 'bob', { filled: false, ofOthers: false }, undefined],
  ['tables of the superuser', 'postgres', { filled: true, ofOthers: false }, undefined],
  [
    "tables in another's schema",
    'bob',
    { filled: true, ofOthers: true },
    /^Let its owner do it, logged in as "bob" \(not as superuser\)/,
  ],
  ["another's tables in the superuser's schema", 'postgres', { filled: true, ofOthers: true }, /^Read the indexes/],
] as const)('a tenant schema, %s', (_, owner, found, refused) => {
  const database = wanted('{ name: skymap, schemas: [{ name: shop, distributed: true }] }');
  const tenants = [{ name: 'shop', distributed: false, ...found }];
  const [item, ...more] = diffTenantSchemas(database, [{ name: 'shop', owner }], tenants, 'postgres', COORDINATOR);
  expect(more).toEqual([]);
  if (refused === undefined) {
    expect(item).toMatchObject({
      kind: 'change',
      // The question comes under Citus' own lock.
      statements: [
        {
          text: expect.stringMatching(
            /^DO .*citus_schema_distribute.*DELETE FROM .*pg_dist_schema.*IF EXISTS.*of others by now/s,
          ),
        },
        { text: expect.stringContaining('citus_schema_distribute') },
      ],
    });
    return;
  }
  expect(item).toMatchObject({ kind: 'refusal', failure: { kind: 'refused', next: expect.stringMatching(refused) } });
});

test('what is in a schema is observed without Citus too: the run that creates it there would copy its tables', () => {
  const fragments = observeTenantSchemas(wanted('{ name: skymap, schemas: [{ name: shop, distributed: true }] }'));
  expect(fragments[0]).toMatchObject({ key: 'tenantSchemas', value: expect.stringContaining('ofOthers') });
  expect(fragments[0]?.when).toBeUndefined();
  expect(fragments[0]?.value).not.toContain('pg_dist_schema');
});
