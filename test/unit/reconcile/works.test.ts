import { describe, expect, test } from 'vitest';
import { CITUS_AS_IT_COMES } from '../../../src/postgres/citusSettings.ts';
import { CLUSTER_ORDER } from '../../../src/reconcile/order.ts';
import { authenticationNotes } from '../../../src/reconcile/works/authentication.ts';
import { coordinatorDatabaseItems, intentItems, workerServerItems } from '../../../src/reconcile/works/databases.ts';
import {
  coordinatorCitusItems,
  coordinatorExtensionItems,
  workerInsideItems,
} from '../../../src/reconcile/works/extensions.ts';
import { roleItems } from '../../../src/reconcile/works/owners.ts';
import { registrationItems } from '../../../src/reconcile/works/registration.ts';
import {
  COORDINATOR,
  citusNode,
  citusNodes,
  metadata,
  readySituation,
  role,
  SETTINGS,
  shown,
  situation,
  W1,
} from './situations.ts';

const CITUS = { name: 'citus', version: '13.2-1', schema: 'pg_catalog' };

test('the titles and numbers of the steps', () => {
  const given = situation();
  expect(CLUSTER_ORDER.map(({ heading }) => `${heading?.number} ${heading?.title(given)}`)).toEqual([
    "1 Creating database 'skymap' on worker nodes first...",
    "2 Creating database 'skymap' on coordinator...",
    '3 Enabling Citus extension on coordinator...',
    '4 Enabling additional extensions on coordinator...',
    '5 Configuring SSL certificate authentication (pg_dist_authinfo)...',
    '6 Adding worker nodes to Citus metadata...',
    '7 Running custom initialization SQL...',
    '8 Setting database parameters...',
  ]);
});

const PINNED = { search_path: 'pg_catalog', role: 'none', ...CITUS_AS_IT_COMES };

describe('a worker', () => {
  test('gets the role before the database that it owns', () => {
    const given = situation({
      database: '{ name: skymap, owner: app, schemas: [{ name: a, owner: other }] }',
      servers: { 0: { roles: [role('app'), role('other')] }, 1: { roles: [role('other')] } },
    });
    const items = workerServerItems(given, W1);
    expect(items.map((item) => (item.kind === 'change' ? [item.summary, item.starting, item.done] : item))).toEqual([
      ['create role "app" as on the coordinator', "Creating role 'app' on w1...", undefined],
      [
        'create database "skymap" owned by "app"',
        "Creating database 'skymap' on w1...",
        'Database created successfully on w1!',
      ],
      [
        `set search_path to pg_catalog, role to none, Citus' parameters to its own values for role "postgres" in database "skymap"`,
        undefined,
        undefined,
      ],
    ]);
  });

  test('has its daemon ended once where it had Citus before the superuser had settings of its own', () => {
    const given = readySituation({ database: '{ name: skymap, owner: app }' });
    const [first, ...others] = workerServerItems(given, W1).flatMap((item) =>
      item.kind === 'change' && item.summary.startsWith('set search_path') ? [item] : [],
    );
    expect(others).toEqual([]);
    expect(first?.statements.map(({ text }) => text)).toEqual([
      'ALTER ROLE "postgres" IN DATABASE "skymap" SET search_path TO \'pg_catalog\'',
      'ALTER ROLE "postgres" IN DATABASE "skymap" SET role TO \'none\'',
      ...Object.entries(CITUS_AS_IT_COMES).map(
        ([name, value]) => `ALTER ROLE "postgres" IN DATABASE "skymap" SET ${name} TO '${value}'`,
      ),
      expect.stringContaining('pg_terminate_backend'),
    ]);
    const set = readySituation({
      database: '{ name: skymap, owner: app }',
      servers: { 1: { userParameters: { postgres: PINNED } } },
    });
    expect(
      workerServerItems(set, W1).filter((item) => item.kind === 'change' && item.summary.startsWith('set')),
    ).toEqual([]);
  });

  test('is left alone where all is there', () => {
    const given = readySituation();
    expect([...workerServerItems(given, W1), ...workerInsideItems(given, W1)].map(shown)).toEqual([
      "note: Database 'skymap' already exists on w1",
      'note: Citus extension 13.2-1 already exists on w1',
    ]);
  });

  test('never gets a copy of the superuser who runs this', () => {
    const given = situation({ servers: { 1: { roles: [] } } });
    expect(roleItems(given, W1)).toEqual([]);
  });

  test('that joins later gets the version that the coordinator has', () => {
    const postgis = { name: 'postgis', version: '3.4.0', schema: 'public' };
    const given = readySituation({
      database: '{ name: skymap, extensions: [postgis] }',
      servers: { 1: { database: null } },
      inside: {
        0: { extensions: [CITUS, postgis], schemas: [], metadata: metadata(0, { nodes: [citusNode(0)] }) },
        1: { extensions: [], schemas: [] },
      },
    });
    expect(workerInsideItems(given, W1).map(shown)).toMatchObject([
      { summary: 'create extension citus' },
      { summary: 'create extension postgis 3.4.0' },
    ]);
  });
});

test('the coordinator: database, OID, citus, no extension', () => {
  const given = situation();
  expect(coordinatorDatabaseItems(given).map(shown)).toMatchObject([
    { on: 'c', summary: 'create database "skymap" owned by "postgres"' },
    { on: 'c', summary: 'record the OID of database "skymap" (citus_databases.managed_database)' },
  ]);
  expect(coordinatorCitusItems(given).map(shown)).toMatchObject([{ on: 'c', summary: 'create extension citus' }]);
  expect(coordinatorExtensionItems(given).map(shown)).toEqual(['note: No additional extensions specified']);
});

test.each([
  ['never heard of', undefined, 1],
  ['begun before: written already', { oid: null, state: 'creating' }, 0],
  ['dropped by somebody since: begun anew', { oid: 7, state: 'managed' }, 1],
] as const)('the intent for an absent database, %s', (_, row, expected) => {
  const bookkeeping = row === undefined ? {} : { bookkeeping: { distrust: null, row } };
  expect(intentItems(situation({ servers: { 0: bookkeeping } }))).toHaveLength(expected);
});

test('no intent for a database that is there, whoever made it', () => {
  const row = { oid: 7, state: 'managed' } as const;
  expect(intentItems(readySituation({ servers: { 0: { bookkeeping: { distrust: null, row } } } }))).toEqual([]);
  expect(intentItems(readySituation())).toEqual([]);
});

describe('registration', () => {
  const inside = (...nodes: ReturnType<typeof citusNodes>) =>
    readySituation({
      inside: Object.fromEntries(
        [0, 1, 2].map((group) => [
          group,
          {
            extensions: [CITUS],
            schemas: [],
            metadata: metadata(group === 1 ? 0 : group, { nodes: group === 1 ? [] : nodes }),
          },
        ]),
      ),
    });

  test.each([
    [
      'the coordinator first, then all missing workers at once',
      [],
      [
        'register the coordinator as c:5432',
        'note: Adding worker: w1:5432',
        'note: Adding worker: w2:5432',
        'register w1:5432 (group 1), w2:5432 (group 2)',
      ],
    ],
    [
      'a worker that knows nothing is repaired',
      citusNodes(2),
      [
        'note: Worker already registered: w1:5432',
        'note: Worker already registered: w2:5432',
        'sync metadata to w1:5432: it takes itself for group 0',
      ],
    ],
    [
      'a surplus worker stays, with a warning',
      [citusNode(0), citusNode(2), citusNode(7)],
      [
        'note: Adding worker: w1:5432',
        'note: Worker already registered: w2:5432',
        'register w1:5432 (group 1)',
        'warning: Worker w7:5432 (group 7) is registered and no longer declared; it stays. To move its shards away and remove it, in every database: citus-databases drain 7',
      ],
    ],
  ] as const)('%s', (_, nodes, expected) => {
    const items = registrationItems(inside(...nodes));
    expect(items.map((item) => (item.kind === 'change' ? item.summary : shown(item)))).toEqual(expected);
    for (const item of items) if (item.kind === 'change') expect(item.node).toEqual(COORDINATOR);
  });
});

describe('what is said of authentication', () => {
  const ssl = 'ssl: { enabled: true }';
  test.each([
    [
      'password alone',
      {},
      'x',
      'sslmode=require',
      [
        'Current citus.node_conninfo: sslmode=require',
        'SSL is not enabled in the spec: nodes log in with the password alone',
      ],
    ],
    [
      'nothing',
      {},
      undefined,
      null,
      [
        'Current citus.node_conninfo: (empty)',
        'SSL is not enabled in the spec: nodes log in with the password alone',
        'Neither a password nor a certificate is declared: pg_dist_authinfo is left alone',
      ],
    ],
    [
      'certificates everywhere',
      { spec: ssl },
      undefined,
      'sslmode=verify-ca sslcert=/x',
      [
        'Current citus.node_conninfo: sslmode=verify-ca sslcert=/x',
        '✓ SSL certificate authentication is configured globally',
      ],
    ],
    [
      'certificates of our rows',
      { spec: ssl },
      'x',
      'sslmode=verify-ca',
      [
        'Current citus.node_conninfo: sslmode=verify-ca',
        'citus.node_conninfo names no sslcert: the certificate comes from pg_dist_authinfo',
      ],
    ],
  ] as const)('%s', (_, options, password, nodeConninfo, expected) => {
    const given = situation({
      ...options,
      ...(password === undefined ? {} : { password }),
      servers: { 0: { settings: { ...SETTINGS, nodeConninfo } } },
    });
    expect(authenticationNotes(given).map(shown)).toEqual(expected.map((text) => `note: ${text}`));
  });
});
