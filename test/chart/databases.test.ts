import { describe, expect, test } from 'vitest';
import { parseSpec } from '../../src/spec/parse.ts';
import { at, decoded, type Manifest, named, ofKind, render } from '../support/chart.ts';

const skymap = {
  name: 'skymap',
  owner: 'postgres',
  maxAttempts: 10,
  retryDelaySeconds: 3,
  backoffLimit: 0,
  workerGroups: ['1', 2],
  extensions: ['postgis', { name: 'pg_partman', schema: 'partman', version: '4.7.2' }],
  schemas: [{ name: 'analytics', owner: 'postgres' }, 'staging'],
  parameters: { timezone: 'UTC', search_path: 'analytics,public', work_mem: 1048576, jit: true },
  encoding: 'UTF8',
  locale: 'C.UTF-8',
  template: 'template0',
  connectionLimit: 1000000,
  initSQLPolicy: 'adopt',
  initSQL: "CREATE TABLE \"t's\" (a int);\nSELECT 'ü<&>', $$0o14$$;\n",
};

/** What the program itself makes of the Secret, which it reads as /etc/citus-databases/spec.yaml. */
function specOf(objects: readonly Manifest[], secret: string) {
  return parseSpec(decoded(named(objects, 'Secret', secret), 'spec.yaml'), secret);
}

describe('the spec of an entry', () => {
  test('says to the program everything the entry says', () => {
    const spec = specOf(render({ values: { additionalDatabases: [skymap] } }), 'citusdemo-create-db-skymap');
    expect(spec.databases).toMatchObject([
      {
        ...skymap,
        workerGroups: [1, 2],
        extensions: [
          { name: 'postgis', version: undefined, schema: undefined },
          { name: 'pg_partman', schema: 'partman', version: '4.7.2' },
        ],
        schemas: [
          { name: 'analytics', owner: 'postgres' },
          { name: 'staging', owner: undefined },
        ],
        parameters: { timezone: 'UTC', search_path: 'analytics,public', work_mem: '1048576', jit: 'true' },
      },
    ]);
  });

  test.each([
    [{}, false],
    [{ acceptUndeclaredNodes: true }, true],
    // As after --reuse-values from a chart that did not know it.
    [{ acceptUndeclaredNodes: null }, false],
  ])('accepts nodes that nobody declared only where the values say so: %j', (values, accepted) => {
    const { cluster } = specOf(
      render({ values: { additionalDatabases: [skymap], ...values } }),
      'citusdemo-create-db-skymap',
    );
    expect(cluster.acceptUndeclaredNodes).toBe(accepted);
  });

  test('names the image that the pods of the same revision are annotated with, which the Job waits for', () => {
    const values = {
      additionalDatabases: [skymap],
      image: { repository: 'citus', tag: '14.1', digest: `sha256:${'0'.repeat(64)}` },
      global: { imageRegistry: 'registry.example.com:5000/' },
    };
    const objects = render({ values });
    const image = `registry.example.com:5000/citus:14.1@sha256:${'0'.repeat(64)}`;
    expect(specOf(objects, 'citusdemo-create-db-skymap').cluster.image).toBe(image);
    const sets = ofKind(objects, 'StatefulSet');
    expect(sets).toHaveLength(3);
    for (const set of sets) {
      expect(at(set, 'spec.template.spec.containers.0.image')).toBe(image);
      expect(Object.entries(at(set, 'spec.template.metadata.annotations') ?? {})).toContainEqual([
        'citus-databases/image',
        image,
      ]);
    }
  });

  test('names all nodes by their leader Services', () => {
    const { cluster } = specOf(render({ values: { additionalDatabases: [skymap] } }), 'citusdemo-create-db-skymap');
    expect(cluster).toMatchObject({
      name: 'citusdemo',
      citus: true,
      user: 'postgres',
      passwordFile: '/etc/citus-databases/superuser/password',
      database: 'citus',
      coordinator: { group: 0, host: 'citusdemo-0', port: 5432 },
      workers: [
        { group: 1, host: 'citusdemo-1', port: 5432 },
        { group: 2, host: 'citusdemo-2', port: 5432 },
      ],
    });
  });

  test('leaves the defaults to the program', () => {
    const [database] = specOf(
      render({ values: { additionalDatabases: { orders: {} } } }),
      'citusdemo-create-db-orders',
    ).databases;
    expect(database).toMatchObject({
      name: 'orders',
      owner: 'postgres',
      maxAttempts: 60,
      retryDelaySeconds: 5,
      backoffLimit: 3,
      workerGroups: undefined,
    });
  });

  test('stands in the Secret for verify together with all others', () => {
    const objects = render({ values: { additionalDatabases: [skymap, { name: 'orders' }] } });
    expect(specOf(objects, 'citusdemo-databases').databases.map(({ name }) => name)).toEqual(['skymap', 'orders']);
    expect(specOf(objects, 'citusdemo-create-db-orders').databases.map(({ name }) => name)).toEqual(['orders']);
  });

  test('is readable without any database', () => {
    expect(specOf(render(), 'citusdemo-databases').databases).toEqual([]);
  });
});

describe('the forms of additionalDatabases', () => {
  const jobs = (additionalDatabases: unknown) =>
    ofKind(render({ values: { additionalDatabases } }), 'Job')
      .filter(({ metadata }) => metadata.labels['job-type'] === 'database-creation')
      .map(({ metadata }) => metadata.name);

  test('are a list, a map, null and nothing', () => {
    expect(jobs([{ name: 'orders' }, { name: 'audit' }])).toEqual([
      'citusdemo-create-db-orders',
      'citusdemo-create-db-audit',
    ]);
    expect(jobs({ orders: { owner: 'postgres' }, audit: null, stock: {} })).toEqual([
      'citusdemo-create-db-orders',
      'citusdemo-create-db-stock',
    ]);
    expect(jobs(null)).toEqual([]);
    expect(jobs([])).toEqual([]);
  });

  test('can be set on the command line', () => {
    const objects = render({
      args: ['--set', 'additionalDatabases.orders.maxAttempts=5,additionalDatabases.audit.parameters.work_mem=1MB'],
    });
    expect(specOf(objects, 'citusdemo-databases').databases).toMatchObject([
      { name: 'audit', parameters: { work_mem: '1MB' } },
      { name: 'orders', maxAttempts: 5 },
    ]);
  });
});

describe('the Job of an entry', () => {
  const job = (entry: object, jobs: object = {}) => {
    const objects = render({ values: { additionalDatabases: [{ name: 'orders', ...entry }], jobs } });
    return named(objects, 'Job', 'citusdemo-create-db-orders');
  };

  test('runs after install, upgrade and rollback, together with the others or in the order of the list', () => {
    const annotations = (jobs: object) => {
      const objects = render({ values: { additionalDatabases: [{ name: 'orders' }, { name: 'audit' }], jobs } });
      return ['orders', 'audit'].map(
        (name) => named(objects, 'Job', `citusdemo-create-db-${name}`).metadata.annotations,
      );
    };
    const hook = {
      'helm.sh/hook': 'post-install,post-upgrade,post-rollback',
      'helm.sh/hook-delete-policy': 'before-hook-creation',
      'helm.sh/hook-weight': '1',
    };
    expect(annotations({})).toMatchObject([hook, hook]);
    expect(annotations({ parallel: 1 })).toMatchObject([hook, { ...hook, 'helm.sh/hook-weight': '2' }]);
  });

  test('carries the labels that kubectl selects by, on Job and pod', () => {
    const labels = { 'job-type': 'database-creation', 'cluster-name': 'citusdemo', team: 'shop' };
    const rendered = job({}, { labels: { team: 'shop' }, annotations: { note: 'x' } });
    expect(rendered.metadata.labels).toMatchObject(labels);
    expect(at(rendered, 'spec.template.metadata.labels')).toMatchObject(labels);
    expect(at(rendered, 'spec.template.metadata.annotations')).toMatchObject({
      note: 'x',
      'citus-databases/database': 'orders',
    });
    expect(at(rendered, 'spec.template.metadata.labels')).not.toHaveProperty('application');
  });

  test.each([
    [{}, 3],
    [{ backoffLimit: 0 }, 0],
    [{ backoffLimit: 7 }, 7],
    [{ backoffLimit: null }, 3],
  ])('with %j starts again %i times', (entry, expected) => {
    expect(at(job(entry), 'spec.backoffLimit')).toBe(expected);
  });

  test.each([
    // (60 × 5 + 600) × 4 + 10 + 20 + 40
    [{}, 3670],
    [{ backoffLimit: 0 }, 900],
    [{ backoffLimit: 0, maxAttempts: 100, retryDelaySeconds: 0.5 }, 650],
    [{ backoffLimit: 7, retryDelaySeconds: 0 }, 5790],
  ])('with %j ends after %i seconds', (entry, expected) => {
    expect(at(job(entry), 'spec.activeDeadlineSeconds')).toBe(expected);
    expect(at(job(entry, { activeDeadlineSeconds: 42 }), 'spec.activeDeadlineSeconds')).toBe(42);
  });

  test('stops at exit codes that trying again cannot change, and does not count disruptions', () => {
    expect(at(job({}), 'spec.podFailurePolicy.rules')).toEqual([
      { action: 'FailJob', onExitCodes: { containerName: 'citus-databases', operator: 'In', values: [1, 2, 3] } },
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
    ]);
    expect(at(job({}), 'spec.template.spec.restartPolicy')).toBe('Never');
  });

  test('keeps or removes a finished Job as told', () => {
    expect(at(job({}), 'spec.ttlSecondsAfterFinished')).toBe(604800);
    expect(at(job({}, { ttlSecondsAfterFinished: 0 }), 'spec.ttlSecondsAfterFinished')).toBe(0);
    expect(at(job({}, { ttlSecondsAfterFinished: null }), 'spec.ttlSecondsAfterFinished')).toBeUndefined();
  });

  test('has the right to see pods and Events, to leave an Event, and to keep the record of the cluster, and no other', () => {
    const objects = render({ values: { additionalDatabases: [{ name: 'orders' }] } });
    expect(at(named(objects, 'Role', 'citusdemo-jobs'), 'rules')).toEqual([
      { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
      { apiGroups: [''], resources: ['events'], verbs: ['list', 'create'] },
      // Kubernetes cannot bind create to a name (Kubernetes documentation, "Referring to resources").
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: ['citusdemo-citus-identity'],
        verbs: ['get', 'patch'],
      },
    ]);
  });

  test('runs as nobody special, on a read-only file system, and is told nothing but two names', () => {
    const pod = at(job({}), 'spec.template.spec');
    expect(pod).toMatchObject({ serviceAccountName: 'citusdemo-jobs', enableServiceLinks: false });
    expect(at(pod, 'securityContext')).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(at(pod, 'containers.0.securityContext')).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(at(pod, 'containers.0.env')).toEqual([
      {
        name: 'CITUS_DATABASES_JOB',
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-name']" } },
      },
      { name: 'CITUS_DATABASES_IDENTITY', value: 'citusdemo-citus-identity' },
    ]);
  });

  test('finds its files where the program looks for them', () => {
    const pod = at(job({}), 'spec.template.spec');
    expect(at(pod, 'containers.0.volumeMounts')).toEqual([
      { name: 'spec', mountPath: '/etc/citus-databases/spec.yaml', subPath: 'spec.yaml', readOnly: true },
      { name: 'superuser', mountPath: '/etc/citus-databases/superuser', readOnly: true },
      { name: 'ssl', mountPath: '/etc/citus-databases/ssl', readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ]);
    expect(at(pod, 'volumes.0.secret.secretName')).toBe('citusdemo-create-db-orders');
    expect(at(pod, 'containers.0.args')).toEqual(['apply', '--attempts', '4']);
  });

  test('takes arguments, tolerations and a node selector', () => {
    const tolerations = [{ key: 'dedicated', operator: 'Exists' }];
    const pod = at(
      job({}, { extraArgs: ['--log-format', 'json'], tolerations, nodeSelector: { pool: 'jobs' } }),
      'spec.template.spec',
    );
    expect(at(pod, 'containers.0.args')).toEqual(['apply', '--attempts', '4', '--log-format', 'json']);
    expect(pod).toMatchObject({ tolerations, nodeSelector: { pool: 'jobs' } });
  });
});

describe('helm test', () => {
  test('runs verify with all entries, once; without entries too, as the pattern for commands by hand', () => {
    const verify = named(render({ values: { additionalDatabases: [{ name: 'orders' }] } }), 'Job', 'citusdemo-verify');
    expect(verify.metadata.annotations['helm.sh/hook']).toBe('test');
    expect(at(verify, 'spec.backoffLimit')).toBe(0);
    expect(at(verify, 'spec.template.spec.containers.0.args')).toEqual(['verify', '--timeout', '5m']);
    expect(at(verify, 'spec.template.spec.volumes.0.secret.secretName')).toBe('citusdemo-databases');
    expect(ofKind(render(), 'Job').map(({ metadata }) => metadata.name)).toContain('citusdemo-verify');
  });
});

describe('names of Jobs', () => {
  const jobNames = (names: readonly string[], clusterName = 'citusdemo') =>
    ofKind(render({ values: { clusterName, additionalDatabases: names.map((name) => ({ name })) } }), 'Job')
      .filter(({ metadata }) => metadata.labels['job-type'] === 'database-creation')
      .map(({ metadata }) => metadata.name);

  test('are the database name where Kubernetes takes it', () => {
    expect(jobNames(['skymap', 'my-app', '2024'])).toEqual([
      'citusdemo-create-db-skymap',
      'citusdemo-create-db-my-app',
      'citusdemo-create-db-2024',
    ]);
  });

  test('are valid and different for everything PostgreSQL takes as a name', () => {
    const names = [
      'my_app',
      'my-app',
      'my.app',
      'MyApp',
      'myapp',
      'Üñí',
      'a"b',
      "a'b",
      'select',
      '-',
      'a-',
      ' ',
      '\\',
      `${'x'.repeat(62)}y`,
      'x'.repeat(63),
      'ü'.repeat(31),
    ];
    for (const clusterName of ['citusdemo', 'c'.repeat(40)]) {
      const jobs = jobNames(names, clusterName);
      expect(new Set(jobs).size).toBe(names.length);
      for (const job of jobs) expect(job).toMatch(/^(?=.{1,63}$)[a-z]([-a-z0-9]*[a-z0-9])?$/);
    }
  });

  test('do not depend on the other entries', () => {
    expect(jobNames(['my_app'])).toEqual(jobNames(['my-app', 'my_app']).slice(1));
  });
});
