import { describe, expect, it } from 'vitest';
import { at, decoded, type Manifest, named, ofKind, refusal, render } from '../support/chart.ts';
import { prepared } from '../support/memoryKubernetes.ts';

/** monitoring.exporter: postgres_exporter beside each server, and its role. */

const clients = [{ podSelector: { matchLabels: { app: 'prometheus' } } }];
const values = {
  additionalDatabases: [{ name: 'shop', users: [{ name: 'clerk', access: 'readOnly', generate: true }] }],
  schedule: { verify: { cron: '*/15 * * * *' } },
  networkPolicy: { clients: [], patroniClients: clients },
  monitoring: { podMonitor: { enabled: true }, exporter: { enabled: true, extraArgs: ['--no-collector.wal'] } },
};
const objects = render({ values });
const pods = ofKind(objects, 'StatefulSet').map((set) => at(set, 'spec.template.spec'));
const PASSWORD = {
  secret: { name: 'citusdemo-exporter', items: [{ key: 'password', path: 'postgres_exporter/password' }] },
};

function mounted(job: Manifest, pod = 'spec.template.spec'): unknown {
  const volumes = at(job, `${pod}.volumes`);
  const users = (Array.isArray(volumes) ? volumes : []).find((volume) => at(volume, 'name') === 'users');
  return at(users, 'projected.sources');
}

it('is left out unless it is asked for', () => {
  const without = render({ values: { ...values, monitoring: { podMonitor: { enabled: true } } } });
  for (const set of ofKind(without, 'StatefulSet')) expect(at(set, 'spec.template.spec.containers')).toHaveLength(1);
  expect(JSON.stringify(without)).not.toMatch(/exporter/);
});

it('is a container beside each server that reads its password from a file', () => {
  expect(pods).toHaveLength(3);
  for (const pod of pods) {
    const exporter = at(pod, 'containers.1');
    expect(exporter).toMatchObject({
      name: 'exporter',
      image: 'quay.io/prometheuscommunity/postgres-exporter:v0.19.1',
      args: ['--no-collector.wal'],
      ports: [{ name: 'exporter', containerPort: 9187 }],
      env: [
        { name: 'DATA_SOURCE_URI', value: '127.0.0.1:5432/postgres?sslmode=disable' },
        { name: 'DATA_SOURCE_USER', value: 'postgres_exporter' },
        { name: 'DATA_SOURCE_PASS_FILE', value: '/etc/exporter/password' },
      ],
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      volumeMounts: [
        { name: 'exporter', mountPath: '/etc/exporter', readOnly: true },
        // Kubernetes mounts no token where something is mounted already (its admission plugin ServiceAccount).
        { name: 'no-account', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
      ],
    });
    expect(at(pod, 'volumes')).toContainEqual({ name: 'no-account', emptyDir: {} });
    expect(at(pod, 'volumes')).toContainEqual({
      name: 'exporter',
      secret: {
        secretName: 'citusdemo-exporter',
        defaultMode: 0o440,
        items: [{ key: 'password', path: 'password' }],
      },
    });
  }
});

it('has its image from the registry of all images', () => {
  const images = ofKind(
    render({ values: { ...values, global: { imageRegistry: 'registry.local:5000/' } } }),
    'StatefulSet',
  );
  for (const set of images) {
    expect(at(set, 'spec.template.spec.containers.1.image')).toBe(
      'registry.local:5000/prometheuscommunity/postgres-exporter:v0.19.1',
    );
  }
});

it('logs in from its own pod only, to one database only, whatever values add to pg_hba.conf behind the chart', () => {
  const access = named(objects, 'ConfigMap', 'citusdemo-access').data?.['pg_hba.conf'] ?? '';
  const lines = access.split('\n').filter((line) => line.trim() !== '');
  expect(lines.slice(0, 3)).toEqual([
    'host postgres "postgres_exporter" 127.0.0.1/32 scram-sha-256',
    'host all "postgres_exporter" all reject',
    'local all "postgres_exporter" reject',
  ]);
  expect(lines.indexOf('local all all scram-sha-256')).toBeGreaterThan(2);
});

it('logs in where values turn everybody else away, and from elsewhere only where values say so', () => {
  const pgHba = ['host all all 10.0.0.0/8 scram-sha-256', 'host all all all reject'];
  const objectsWith = render({ values: { ...values, patroni: { postgresql: { pgHba } } } });
  const access = named(objectsWith, 'ConfigMap', 'citusdemo-access').data?.['pg_hba.conf'] ?? '';
  const lines = access.split('\n').filter((line) => line.trim() !== '');
  expect(lines.slice(0, 5)).toEqual([
    'host postgres "postgres_exporter" 127.0.0.1/32 scram-sha-256',
    ...pgHba,
    'host all "postgres_exporter" all reject',
    'local all "postgres_exporter" reject',
  ]);
});

it('has its role declared to every Job that makes or proves databases, with the password as a file', () => {
  const exporter = { name: 'postgres_exporter', passwordFile: '/etc/citus-databases/users/postgres_exporter/password' };
  for (const secret of ['citusdemo-create-db-shop', 'citusdemo-databases']) {
    const spec: unknown = JSON.parse(decoded(named(objects, 'Secret', secret), 'spec.yaml'));
    expect(at(spec, 'cluster.exporter')).toEqual(exporter);
  }
  expect(mounted(named(objects, 'Job', 'citusdemo-create-db-shop'))).toContainEqual(PASSWORD);
  expect(mounted(named(objects, 'Job', 'citusdemo-verify'))).toContainEqual(PASSWORD);
  const cron = named(objects, 'CronJob', 'citusdemo-verify');
  expect(mounted(cron, 'spec.jobTemplate.spec.template.spec')).toContainEqual(PASSWORD);
  const single = render({ values: { ...values, jobs: { mode: 'single' } } });
  expect(mounted(named(single, 'Job', 'citusdemo-create-databases'))).toContainEqual(PASSWORD);
});

it('has its password made inside the cluster, and in no manifest', () => {
  const document: unknown = JSON.parse(named(objects, 'ConfigMap', 'citusdemo-prepare').data?.['prepare.json'] ?? '');
  expect(at(document, 'secrets.exporter')).toBe('citusdemo-exporter');
  expect(ofKind(objects, 'Secret').map(({ metadata }) => metadata.name)).not.toContain('citusdemo-exporter');
  const rules = at(named(objects, 'Role', 'citusdemo-prepare'), 'rules');
  expect(JSON.stringify(rules)).toContain('"citusdemo-exporter"');
});

it('keeps the password that is there', async () => {
  const made = named(await prepared(objects), 'Secret', 'citusdemo-exporter');
  expect(Object.keys(made.data ?? {})).toEqual(['password']);
  expect(decoded(made, 'password')).toMatch(/^[A-Za-z0-9]{32}$/);
  const again = named(await prepared(objects, [made]), 'Secret', 'citusdemo-exporter');
  expect(again.data).toEqual(made.data);
});

it('is scraped beside Patroni, by those that may read its metrics', () => {
  expect(at(named(objects, 'PodMonitor', 'citusdemo'), 'spec.podMetricsEndpoints')).toEqual([
    { port: 'patroni', path: '/metrics', interval: '30s' },
    { port: 'exporter', path: '/metrics', interval: '30s' },
  ]);
  expect(at(named(objects, 'NetworkPolicy', 'citusdemo'), 'spec.ingress')).toContainEqual({
    from: clients,
    ports: [
      { port: 'patroni', protocol: 'TCP' },
      { port: 'exporter', protocol: 'TCP' },
    ],
  });
});

describe('is refused', () => {
  const enabled = { exporter: { enabled: true } };
  it.each([
    ['without a database', { monitoring: enabled }, 'no database is declared'],
    [
      'of a cluster that something else runs',
      {
        ...values,
        cluster: { create: false, coordinator: { host: 'citus.example' }, workers: [{ citusGroup: 1, host: 'one' }] },
        ssl: { enabled: false },
        monitoring: enabled,
      },
      'with cluster.create: false there are no servers here',
    ],
    [
      'under the name of a user',
      { ...values, monitoring: { exporter: { enabled: true, username: 'clerk' } } },
      'monitoring.exporter.username: "clerk" is additionalDatabases[0].users[0] too.',
    ],
    [
      'under the name of the superuser',
      { ...values, monitoring: { exporter: { enabled: true, username: 'postgres' } } },
      '"postgres" is patroni.superuser.username too.',
    ],
    [
      "under the name of a database's owner",
      {
        additionalDatabases: [{ name: 'shop', owner: 'boss' }],
        monitoring: { exporter: { enabled: true, username: 'boss' } },
      },
      '"boss" is the owner of database "shop" too.',
    ],
    [
      'under a name of PostgreSQL',
      { ...values, monitoring: { exporter: { enabled: true, username: 'pg_monitor' } } },
      '/monitoring/exporter/username',
    ],
  ])('%s', (_, refused, message) => {
    expect(refusal(refused)).toContain(message);
  });
});
