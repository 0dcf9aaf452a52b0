import { describe, expect, test } from 'vitest';
import { at, type Manifest, named, ofKind } from '../support/chart.ts';
import { preparedBy } from '../support/memoryKubernetes.ts';
import { refusalAgainst, renderAgainst } from './fakeKubernetes.ts';

/** What an install or upgrade refuses because of the cluster that is there already. */

type Values = Readonly<Record<string, unknown>>;

const values: Values = { clusterName: 'ops', storage: { size: '1Gi' } };

/** What is in the namespace while a cluster with these values runs. */
async function running(of: Values = values): Promise<readonly Manifest[]> {
  const objects = await renderAgainst([], of, 'install');
  const sets = ofKind(objects, 'StatefulSet');
  return [...sets, ...sets.flatMap(left), credentials];
}

/** What such a cluster leaves behind when it is uninstalled: volumes, and Patroni's record. */
async function leftBehind(of: Values = values): Promise<readonly Manifest[]> {
  const objects = await renderAgainst([], of, 'install');
  return [...ofKind(objects, 'StatefulSet').flatMap(left), credentials];
}

function left({ metadata: { name, labels } }: Manifest): readonly Manifest[] {
  const scope = labels['cluster-name'] ?? '';
  const volumes = [0, 1].map((ordinal) => claim(`data-${name}-${ordinal}`, scope));
  const record = (suffix: string, annotations: Readonly<Record<string, string>>) =>
    configMap(`${scope}-${labels['citus-group']}-${suffix}`, scope, annotations);
  return [
    ...volumes,
    record('config', { initialize: '7411' }),
    record('leader', { leader: `${name}-0` }),
    record('sync', { leader: `${name}-0`, sync_standby: `${name}-1` }),
  ];
}

function configMap(name: string, scope: string, annotations: Readonly<Record<string, string>>): Manifest {
  return { kind: 'ConfigMap', metadata: { name, labels: { 'cluster-name': scope }, annotations } };
}

function claim(name: string, scope: string): Manifest {
  return { kind: 'PersistentVolumeClaim', metadata: { name, labels: { 'cluster-name': scope }, annotations: {} } };
}

const credentials: Manifest = {
  kind: 'Secret',
  metadata: {
    name: 'ops-credentials',
    labels: { 'app.kubernetes.io/managed-by': 'citus-databases' },
    annotations: {},
  },
  data: { 'superuser-password': 'eA==', 'replication-password': 'eA==', 'restapi-password': 'eA==' },
};

function without(objects: readonly Manifest[], ...kinds: readonly string[]): readonly Manifest[] {
  return objects.filter(({ kind }) => !kinds.includes(kind));
}

describe('the guard of the image', () => {
  const other = { ...values, image: { tag: 'other' } };
  const hooksOf = (objects: readonly Manifest[]) =>
    named(objects, 'Job', 'ops-guard-image').metadata.annotations['helm.sh/hook'];

  test('runs before each rollback, and before an upgrade that changes the image', async () => {
    const present = await running();
    expect(hooksOf(await renderAgainst(present, values))).toBe('pre-rollback');
    expect(hooksOf(await renderAgainst(present, other))).toBe('pre-rollback,pre-upgrade');
    expect(hooksOf(await renderAgainst([], other))).toBe('pre-rollback');
  });

  test('does not run before an upgrade that switches TLS as well, for certificates may not be there yet', async () => {
    const switched = { ...other, ssl: { enabled: false } };
    expect(hooksOf(await renderAgainst(await running(), switched))).toBe('pre-rollback');
  });

  test('asks a container of the new image for its versions, and the program with the superuser of the release', async () => {
    const job = named(await renderAgainst(await running(), other), 'Job', 'ops-guard-image');
    expect(at(job, 'spec.template.spec.initContainers.0')).toMatchObject({
      image: 'patroni-citus-k8s:other',
      volumeMounts: [{ name: 'image', mountPath: '/image' }],
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
    });
    expect(at(job, 'spec.template.spec.containers.0')).toMatchObject({
      args: ['guard', '--image', '/image'],
      volumeMounts: expect.arrayContaining([
        { name: 'superuser', mountPath: '/etc/citus-databases/superuser', readOnly: true },
        { name: 'image', mountPath: '/image', readOnly: true },
      ]),
    });
  });
});

describe('upgrade', () => {
  test('renders for the cluster that runs', async () => {
    const objects = await renderAgainst(await running(), values);
    expect(ofKind(objects, 'StatefulSet').map(({ metadata }) => metadata.name)).toEqual(['ops-0', 'ops-1', 'ops-2']);
  });

  test.each<[string, Values, readonly string[]]>([
    [
      'a clusterName that was forgotten',
      { storage: { size: '1Gi' } },
      [
        'clusterName: the values say "citusdemo", but release citusdemo runs the cluster "ops"',
        'Set clusterName: ops.',
      ],
    ],
    [
      'another scope',
      { ...values, patroni: { scope: 'other' } },
      ['patroni.scope: the values say "other"', 'scope: ops.'],
    ],
    [
      'another superuser',
      { ...values, patroni: { superuser: { username: 'admin' } } },
      ['patroni.superuser.username: the values say "admin", but the cluster was made with "postgres"'],
    ],
    [
      'another replication user',
      { ...values, patroni: { replication: { username: 'standby' } } },
      ['patroni.replication.username: the values say "standby"', 'Set patroni.replication.username: replicator.'],
    ],
    ["another database of Patroni's", { ...values, patroni: { database: 'main' } }, ['Set patroni.database: citus.']],
    [
      'a worker group that is missing',
      { ...values, workers: [{ citusGroup: '1' }] },
      [
        'workers: group 2 is not in the list',
        'Put the group back.',
        'scripts/run-in-cluster citusdemo drain 2',
        'retiredWorkerGroups: [2]',
      ],
    ],
    [
      'a group that is both retired and declared',
      { ...values, retiredWorkerGroups: [2] },
      ['retiredWorkerGroups: group 2 is in `workers` too.'],
    ],
    [
      'another size',
      { ...values, storage: { size: '2Gi' } },
      ['size is 2Gi', 'ops-0 was made with 1Gi', 'Grow the volumes'],
    ],
    [
      'another storage class',
      { ...values, storage: { size: '1Gi', storageClassName: 'fast' } },
      ['storageClassName is "fast"', 'made with ""'],
    ],
    [
      'other access modes',
      { ...values, storage: { size: '1Gi', accessModes: ['ReadWriteOncePod'] } },
      ['accessModes is ["ReadWriteOncePod"]'],
    ],
  ])('refuses %s', async (_, now, messages) => {
    const message = await refusalAgainst(await running(), now);
    for (const part of messages) expect(message).toContain(part);
  });

  describe('with TLS for servers that run without', () => {
    const plain = { ...values, ssl: { enabled: false } };
    const soft = { ...values, ssl: { mode: 'prefer' } };

    test('is refused, and the way in two steps named', async () => {
      const message = await refusalAgainst(await running(plain), values);
      expect(message).toContain('ssl.mode: is verify-ca, but the servers of ops-0 run without TLS');
      expect(message).toContain('Upgrade with ssl.mode: prefer first');
      expect(message).toContain('To leave TLS off, set ssl.enabled: false.');
    });

    test('goes on by these steps, and without TLS', async () => {
      for (const [before, now] of [
        [plain, soft],
        [soft, values],
        [plain, plain],
        [values, plain],
      ] as const) {
        expect(ofKind(await renderAgainst(await running(before), now), 'StatefulSet')).toHaveLength(3);
      }
    });

    test('is refused by the Job too, for tools that look nothing up and for rollbacks', async () => {
      const rendered = await renderAgainst([], values, 'install');
      const sets = async (of: Values) => ofKind(await running(of), 'StatefulSet');
      for (const job of ['ops-prepare', 'ops-guard'] as const) {
        await expect(preparedBy(job, rendered, await sets(plain))).rejects.toThrow(
          /demands TLS between servers, and those of the StatefulSet ops-0 run without/,
        );
        await preparedBy(job, rendered, await sets(soft));
      }
    });
  });

  test.each([['2'], [2]])('lets a worker group go that is retired, as %j', async (group) => {
    const fewer = { ...values, workers: [{ citusGroup: '1' }], retiredWorkerGroups: [group] };
    const objects = await renderAgainst(await running(), fewer);
    expect(ofKind(objects, 'StatefulSet')).toHaveLength(2);
  });

  test('refuses to make passwords for data that has some already', async () => {
    const message = await refusalAgainst(without(await running(), 'Secret'), values);
    expect(message).toContain('the cluster has data (ConfigMap ops-0-config), but the Secret ops-credentials');
    expect(message).toContain('Restore the Secret from a backup');
  });

  test('refuses to let go of passwords that an earlier chart had in its manifest, and says how to keep them', async () => {
    const owned = (annotations: Readonly<Record<string, string>>): Manifest => ({
      ...credentials,
      metadata: { ...credentials.metadata, labels: { 'app.kubernetes.io/managed-by': 'Helm' }, annotations },
    });
    const others = without(await running(), 'Secret');
    expect(await refusalAgainst([...others, owned({})], values)).toContain(
      'kubectl -n shop annotate secret ops-credentials helm.sh/resource-policy=keep',
    );
    const kept = [...others, owned({ 'helm.sh/resource-policy': 'keep' })];
    expect(ofKind(await renderAgainst(kept, values), 'StatefulSet')).toHaveLength(3);
  });

  test('goes on where an install was cut off before there was any data', async () => {
    const present = without(await running(), 'Secret', 'ConfigMap');
    expect(ofKind(await renderAgainst(present, values), 'StatefulSet')).toHaveLength(3);
  });

  test('scales a running group down and up', async () => {
    for (const replicas of [1, 3]) {
      const objects = await renderAgainst(await running(), { ...values, coordinator: { replicas } });
      expect(named(objects, 'StatefulSet', 'ops-0')).toMatchObject({ spec: { replicas } });
    }
  });

  test('is not disturbed by another release of the chart in the namespace', async () => {
    const other = (await running({ clusterName: 'other', storage: { size: '5Gi' } })).map((object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        labels: { ...object.metadata.labels, 'app.kubernetes.io/instance': 'another-release' },
      },
    }));
    expect(ofKind(await renderAgainst([...other, ...(await running())], values), 'StatefulSet')).toHaveLength(3);
  });
});

describe('install over volumes that an earlier release left', () => {
  test('starts as many pods as led or stood by', async () => {
    expect(ofKind(await renderAgainst(await leftBehind(), values, 'install'), 'StatefulSet')).toHaveLength(3);
  });

  test('refuses another scope', async () => {
    const message = await refusalAgainst(await leftBehind(), { ...values, patroni: { scope: 'new' } }, 'install');
    expect(message).toContain(
      'patroni.scope: the values say "new", but the volume data-ops-0-0 holds data of the scope "ops"',
    );
  });

  test.each<[string, (state: readonly Manifest[]) => readonly Manifest[]]>([
    ['with the record', (state) => state],
    ['without it', (state) => without(state, 'ConfigMap')],
  ])('refuses volumes without their passwords, %s', async (_, change) => {
    const message = await refusalAgainst(change(without(await leftBehind(), 'Secret')), values, 'install');
    expect(message).toContain('but the Secret ops-credentials with its passwords is gone');
  });

  test('refuses fewer pods than the one that led, and says how many', async () => {
    const state = (await leftBehind()).map((object) =>
      object.metadata.name === 'ops-1-leader' ? configMap('ops-1-leader', 'ops', { leader: 'ops-1-1' }) : object,
    );
    const workers = [{ citusGroup: '1', replicas: 1 }, { citusGroup: '2' }];
    const message = await refusalAgainst(state, { ...values, workers }, 'install');
    expect(message).toContain('workers, group 1: replicas is 1');
    expect(message).toContain('ops-1-1 was the leader. Start with replicas: 2');
    const both = [{ citusGroup: '1', replicas: 2 }, { citusGroup: '2' }];
    expect(ofKind(await renderAgainst(state, { ...values, workers: both }, 'install'), 'StatefulSet')).toHaveLength(3);
  });

  test('takes fewer pods where the leader is among them', async () => {
    const objects = await renderAgainst(await leftBehind(), { ...values, coordinator: { replicas: 1 } }, 'install');
    expect(named(objects, 'StatefulSet', 'ops-0')).toMatchObject({ spec: { replicas: 1 } });
  });

  test('refuses fewer pods than volumes where nobody recorded who led', async () => {
    const state = without(await leftBehind(), 'ConfigMap');
    const message = await refusalAgainst(state, { ...values, coordinator: { replicas: 1 } }, 'install');
    expect(message).toContain('ops-0-1 had a volume, and which of them led is not recorded. Start with replicas: 2');
  });
});
