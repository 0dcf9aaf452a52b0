import { describe, expect, test } from 'vitest';
import { parseSpec } from '../../src/spec/parse.ts';
import { at, decoded, named, refusal, render } from '../support/chart.ts';
import { notesOf, refusalAgainst, renderAgainst } from './fakeKubernetes.ts';

/** cluster.create: false: the Jobs alone, on a cluster that something else runs. */

const cluster = {
  create: false,
  coordinator: { host: 'pg.data.svc', port: 5433, nodeName: 'c0', nodePort: 5432 },
  workers: [{ citusGroup: '1', host: 'pg-1.data.svc', nodeName: 'w1' }],
  database: 'main',
  superuser: { username: 'admin', secretName: 'pg-admin', key: 'pw' },
};
const app = { name: 'app', access: 'readWrite', generate: true };
const values = {
  cluster,
  ssl: { enabled: false },
  additionalDatabases: [{ name: 'orders', workerGroups: ['1'], users: [app] }],
};
const job = 'citusdemo-create-db-orders';

describe('cluster.create: false', () => {
  test('renders what declares databases, and nothing of the servers', () => {
    const objects = render({ values }).map(
      ({ kind, metadata }) => `${kind} ${metadata.name.replace(/-[0-9a-f]{8}$/, '')}`,
    );
    expect(objects.toSorted()).toEqual([
      'ConfigMap citusdemo-prepare',
      `Job ${job}`,
      'Job citusdemo-prepare',
      'Job citusdemo-verify',
      'Role citusdemo-jobs',
      'Role citusdemo-prepare',
      'RoleBinding citusdemo-jobs',
      'RoleBinding citusdemo-prepare',
      `Secret ${job}`,
      'Secret citusdemo-databases',
      'ServiceAccount citusdemo-jobs',
      'ServiceAccount citusdemo-prepare',
    ]);
    const withoutUsers = render({ values: { ...values, additionalDatabases: [{ name: 'orders' }] } });
    expect(withoutUsers.filter(({ metadata }) => metadata.name.startsWith('citusdemo-prepare'))).toEqual([]);
  });

  test('hands the program the nodes, the superuser and nothing of Patroni', () => {
    const objects = render({ values });
    for (const secret of [job, 'citusdemo-databases']) {
      const text = decoded(named(objects, 'Secret', secret), 'spec.yaml');
      const spec = parseSpec(text, secret);
      expect(spec.cluster).toMatchObject({
        user: 'admin',
        passwordFile: '/etc/citus-databases/superuser/password',
        database: 'main',
        image: undefined,
        coordinator: { group: 0, host: 'pg.data.svc', port: 5433, nodeName: 'c0', nodePort: 5432 },
        workers: [{ group: 1, host: 'pg-1.data.svc', port: 5432, nodeName: 'w1', nodePort: 5432 }],
      });
      expect(spec.patroni).toBeUndefined();
    }
    for (const name of [job, 'citusdemo-verify']) {
      const volumes = at(named(objects, 'Job', name), 'spec.template.spec.volumes');
      expect(volumes).toContainEqual({
        name: 'superuser',
        secret: { secretName: 'pg-admin', defaultMode: 0o440, items: [{ key: 'pw', path: 'password' }] },
      });
      expect(JSON.stringify(volumes)).not.toMatch(/restapi|credentials/);
    }
    // An empty list of names would stand for every ConfigMap of the namespace.
    expect(JSON.stringify(named(objects, 'Role', 'citusdemo-prepare'))).not.toMatch(/"resourceNames":\[\]/);
    const document = JSON.parse(named(objects, 'ConfigMap', 'citusdemo-prepare').data?.['prepare.json'] ?? '');
    expect(at(document, 'secrets.connection')).toEqual({ host: 'pg.data.svc', port: 5433, sslmode: 'prefer' });
    expect(at(document, 'secrets.credentials')).toBeUndefined();
  });

  test('discovers workers where none are listed, and logs in with a certificate where no password is named', () => {
    const tls = {
      ssl: { secretName: 'pg-tls' },
      cluster: { ...cluster, workers: [], superuser: { username: 'admin' } },
    };
    const objects = render({ values: { ...values, ...tls } });
    const spec = parseSpec(decoded(named(objects, 'Secret', job), 'spec.yaml'), job);
    expect(spec.cluster.workers).toBeUndefined();
    expect(spec.cluster.passwordFile).toBeUndefined();
    expect(spec.ssl).toMatchObject({ enabled: true, mode: 'verify-ca' });
    const volumes = at(named(objects, 'Job', job), 'spec.template.spec.volumes');
    expect(JSON.stringify(volumes)).toContain('"secretName":"pg-tls"');
    expect(JSON.stringify(volumes)).not.toContain('"name":"superuser"');
  });

  test('works without a superuser with the Secret of the role alone, or with none', () => {
    const managed = {
      create: false,
      withoutSuperuser: true,
      coordinator: { host: 'pg.data.svc' },
      database: 'main',
      superuser: { username: 'app_owner', secretName: 'app-owner', key: 'pw' },
    };
    // The service's own database may be an entry.
    const entries = [{ name: 'main', schemas: ['app'], initSQL: 'SELECT 1' }];
    const objects = render({ values: { cluster: managed, ssl: { enabled: false }, additionalDatabases: entries } });
    expect(
      objects.map(({ kind, metadata }) => `${kind} ${metadata.name.replace(/-[0-9a-f]{8}$/, '')}`).toSorted(),
    ).toEqual([
      'Job citusdemo-create-db-main',
      'Job citusdemo-verify',
      'Role citusdemo-jobs',
      'RoleBinding citusdemo-jobs',
      'Secret citusdemo-create-db-main',
      'Secret citusdemo-databases',
      'ServiceAccount citusdemo-jobs',
    ]);
    expect([...JSON.stringify(objects).matchAll(/"secretName":"([^"]+)"/g)].map(([, name]) => name)).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/credentials|superuser|tls/)]),
    );
    for (const secret of ['citusdemo-create-db-main', 'citusdemo-databases']) {
      const spec = parseSpec(decoded(named(objects, 'Secret', secret), 'spec.yaml'), secret);
      expect(spec.cluster).toMatchObject({ user: 'app_owner', withoutSuperuser: true, workers: undefined });
      expect(spec.databases).toMatchObject([{ name: 'main', owner: 'app_owner' }]);
    }
    const bare = { ...managed, superuser: { username: 'app_owner' } };
    const without = render({ values: { cluster: bare, ssl: { enabled: false }, additionalDatabases: entries } });
    expect(JSON.stringify(without)).not.toMatch(/app-owner|passwordFile|"name":"superuser"/);
  });

  test.each([
    [{ cluster: { withoutSuperuser: true } }, 'is for clusters that something else runs (cluster.create: false)'],
    [{ cluster: { create: false } }, 'cluster.coordinator.host: with cluster.create: false, name the coordinator'],
    [{ ssl: { enabled: true } }, 'ssl.secretName: with cluster.create: false'],
    [{ additionalDatabases: [{ name: 'main' }] }, '"main" is cluster.database'],
    [{ additionalDatabases: [{ name: 'a', workerGroups: ['7'] }] }, 'there is no worker group 7'],
    [{ cluster: { ...cluster, workers: [{ citusGroup: '0', host: 'x' }] } }, 'is not a worker group'],
    [{ cluster: { ...cluster, workers: [{ host: 'x' }] } }, "missing property 'citusGroup'"],
    [{ cluster: { ...cluster, coordinator: { hostname: 'x' } } }, "additional properties 'hostname' not allowed"],
  ])('refuses %j', (wrong, message) => {
    expect(refusal({ ...values, ...wrong })).toContain(message);
  });

  test('refuses to take the place of a cluster that the release runs', async () => {
    const own = render({ values: { clusterName: 'citusdemo' } }).filter(({ kind }) => kind === 'StatefulSet');
    expect(await refusalAgainst(own, values)).toContain('which Helm would delete');
  });

  test('takes along on uninstall what is its own, where Helm sees the cluster', async () => {
    const account = { name: 'default', namespace: 'shop', labels: {}, annotations: {} };
    const gone = async (of: Readonly<Record<string, unknown>>) =>
      (await renderAgainst([{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: account }], of))
        .filter(({ metadata }) => metadata.annotations['helm.sh/hook'] === 'post-delete')
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(await gone(values)).toEqual(['Job citusdemo-verify', `Job ${job}`]);
    expect(await gone({ additionalDatabases: [{ name: 'orders' }] })).toEqual(
      expect.arrayContaining([
        ...['ConfigMap citusdemo-guard', 'Secret citusdemo-guard-image', 'Job citusdemo-verify', `Job ${job}`],
        ...['Job citusdemo-configure', 'Job citusdemo-guard', 'Job citusdemo-guard-image'],
      ]),
    );
  });

  test('says in the notes whose databases they are', async () => {
    const notes = await notesOf(values);
    expect(notes).toContain('Databases on the Citus cluster whose coordinator is pg.data.svc');
    expect(notes).toContain(`logs job/${job}`);
    expect(notes).not.toMatch(/patronictl|configure|helm uninstall/);
  });
});
