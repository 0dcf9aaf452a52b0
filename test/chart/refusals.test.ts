import { describe, expect, test } from 'vitest';
import { chartFolder, exampleFile, helm, refusal, usersExampleFile } from '../support/chart.ts';

describe('values that contradict each other or the cluster', () => {
  test.each([
    [
      { additionalDatabases: [{ name: 'orders', workerGroups: ['1', '7'] }] },
      'additionalDatabases[0].workerGroups[1]: there is no worker group 7. `workers` declares: 1, 2.',
    ],
    [
      { additionalDatabases: { orders: { workerGroups: [0] } } },
      'additionalDatabases.orders.workerGroups[0]: there is no worker group 0.',
    ],
    [
      { additionalDatabases: [{ name: 'orders' }, { name: 'audit' }, { name: 'orders' }] },
      'additionalDatabases[2]: database "orders" is declared twice, first in additionalDatabases[0].',
    ],
    [
      { additionalDatabases: { orders: { name: 'stock' } } },
      'additionalDatabases.orders.name: "stock" differs from the key above it.',
    ],
    [{ additionalDatabases: [{ name: 'ü'.repeat(32) }] }, 'has 64 bytes; PostgreSQL keeps 63.'],
    [
      { additionalDatabases: [{ name: 'template1' }] },
      'additionalDatabases[0]: "template1" belongs to PostgreSQL itself',
    ],
    [
      { additionalDatabases: [{ name: 'postgres' }] },
      'additionalDatabases[0]: "postgres" belongs to PostgreSQL itself',
    ],
    [
      { additionalDatabases: [{ name: 'citus' }] },
      'additionalDatabases[0]: "citus" is patroni.database, which Patroni makes and manages.',
    ],
    [
      { additionalDatabases: [{ name: 'orders', owner: 'pg_monitor' }] },
      'additionalDatabases[0].owner: "pg_monitor" is a reserved role name.',
    ],
    [
      { additionalDatabases: [{ name: 'orders', extensions: ['hstore', { name: 'hstore', schema: 'x' }] }] },
      'additionalDatabases[0].extensions: "hstore" is listed twice.',
    ],
    [
      { workers: [], additionalDatabases: [{ name: 'orders' }] },
      'workers: the list is empty, yet additionalDatabases declares databases',
    ],
    [{ workers: [{ citusGroup: '0' }] }, 'workers[0].citusGroup: 0 is not a worker group.'],
    [{ workers: [{ citusGroup: '1' }, { citusGroup: 1 }] }, 'workers[1].citusGroup: group 1 is declared twice.'],
    [{ clusterName: 'Citus_Demo' }, 'clusterName: "Citus_Demo" cannot name Services.'],
    [{ clusterName: 'c'.repeat(41) }, 'cannot name Services.'],
    [
      { ssl: { enabled: false, createSecret: true } },
      'ssl.createSecret: true has no effect while ssl.enabled is false.',
    ],
    [
      { patroni: { postgresql: { parameters: { 'citus.node_conninfo': 'sslmode=require' } } } },
      'patroni.postgresql.parameters.citus.node_conninfo: cannot be set here: the chart derives it from ssl.',
    ],
    [
      { patroni: { postgresql: { parameters: { 'work mem': '1MB' } } } },
      'patroni.postgresql.parameters.work mem: this is no name of a parameter.',
    ],
    [
      { jobs: { labels: { 'job-type': 'mine' } } },
      'jobs.labels.job-type: Services, Patroni and the documentation select by this label',
    ],
    [{ databases: [{ name: 'orders' }] }, 'databases: this key is named additionalDatabases here.'],
  ])('%j', (values, message) => {
    expect(refusal(values)).toContain(message);
  });
});

describe('values of the wrong shape', () => {
  test.each([
    [{ coordinater: { replicas: 1 } }, 'coordinater'],
    [{ jobs: { image: { name: 'x' } } }, 'name'],
    [{ ssl: { mode: 'verify' } }, 'mode'],
    [{ additionalDatabases: [{ owner: 'postgres' }] }, 'name'],
    [{ additionalDatabases: [{ name: 'orders', backofLimit: 1 }] }, 'backofLimit'],
    [{ additionalDatabases: { orders: { maxAttempts: '60' } } }, 'maxAttempts'],
    [{ additionalDatabases: [{ name: 'orders', extensions: [{ name: 'pg_partman', version: 4.7 }] }] }, 'version'],
    [{ additionalDatabases: [{ name: 'orders', workerGroups: [] }] }, 'workerGroups'],
    [{ additionalDatabases: [{ name: 'orders', initSQLPolicy: 'sometimes' }] }, 'initSQLPolicy'],
    [{ workers: [{ replicas: 2 }] }, 'citusGroup'],
    [{ workers: [{ citusGroup: 'one' }] }, 'citusGroup'],
    [{ coordinator: { replicas: 0 } }, 'replicas'],
    [{ image: { tag: 1.5 } }, 'tag'],
    [{ image: { digest: 'sha256:abc' } }, 'digest'],
    [{ storage: { size: '10GB' } }, 'size'],
    [{ coordinator: { storage: { size: '10 Gi' } } }, 'size'],
    [{ global: { imageRegistry: 5 } }, 'imageRegistry'],
    [{ patroni: { postgresql: { parameters: { citus: { node_conninfo: 'x' } } } } }, 'parameters'],
  ])('%j', (values, key) => {
    const message = refusal(values);
    expect(message).toContain("values don't meet the specifications of the schema");
    expect(message).toContain(key);
  });
});

test('a message about an entry of the map is about that entry', () => {
  expect(refusal({ additionalDatabases: { orders: { backofLimit: 1 } } })).not.toContain('want null');
});

test.each([
  ['', []],
  [' of the example', ['--values', exampleFile]],
  [' of the example with users', ['--values', usersExampleFile]],
])('helm lint --strict accepts the values%s', (_, args) => {
  const { status, stdout } = helm(['lint', '--strict', chartFolder, ...args]);
  expect(stdout).toContain('0 chart(s) failed');
  expect(status).toBe(0);
});
