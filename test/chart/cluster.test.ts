import { describe, expect, test } from 'vitest';
import { at, exampleFile, type Manifest, named, ofKind, refusal, render, usersExampleFile } from '../support/chart.ts';
import { prepared } from '../support/memoryKubernetes.ts';

describe('the chart with its defaults', () => {
  const objects = render();

  test('makes these objects and no others', () => {
    expect(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort()).toEqual([
      'ConfigMap/citusdemo-0-parameters',
      'ConfigMap/citusdemo-1-parameters',
      'ConfigMap/citusdemo-2-parameters',
      'ConfigMap/citusdemo-access',
      'ConfigMap/citusdemo-guard',
      'ConfigMap/citusdemo-parameters',
      'ConfigMap/citusdemo-prepare',
      'Job/citusdemo-configure',
      'Job/citusdemo-guard',
      'Job/citusdemo-guard-image',
      expect.stringMatching(/^Job\/citusdemo-prepare-[0-9a-f]{8}$/),
      'Job/citusdemo-verify',
      'NetworkPolicy/citusdemo',
      'PodDisruptionBudget/citusdemo-0',
      'PodDisruptionBudget/citusdemo-1',
      'PodDisruptionBudget/citusdemo-2',
      'Role/citusdemo',
      'Role/citusdemo-jobs',
      'Role/citusdemo-prepare',
      'RoleBinding/citusdemo',
      'RoleBinding/citusdemo-jobs',
      'RoleBinding/citusdemo-prepare',
      'Secret/citusdemo-databases',
      'Secret/citusdemo-guard-image',
      'Service/citusdemo-0',
      'Service/citusdemo-1',
      'Service/citusdemo-2',
      'Service/citusdemo-pods',
      'ServiceAccount/citusdemo',
      'ServiceAccount/citusdemo-jobs',
      'ServiceAccount/citusdemo-prepare',
      'StatefulSet/citusdemo-0',
      'StatefulSet/citusdemo-1',
      'StatefulSet/citusdemo-2',
    ]);
  });

  test('puts everything into the namespace of the release, with the cluster as label', () => {
    expect(new Set(objects.map(({ metadata }) => metadata['namespace']))).toEqual(new Set(['shop']));
    expect(new Set(objects.map(({ metadata }) => metadata.labels['cluster-name']))).toEqual(new Set(['citusdemo']));
  });

  test('makes leader Services that follow the label Patroni moves, and never publish what is not ready', () => {
    const service = named(objects, 'Service', 'citusdemo-1');
    expect(at(service, 'spec')).toEqual({
      type: 'ClusterIP',
      selector: { application: 'patroni', 'cluster-name': 'citusdemo', 'citus-group': '1', role: 'primary' },
      ports: [{ name: 'postgresql', port: 5432, targetPort: 'postgresql' }],
    });
  });

  test('makes one headless Service that names every pod, ready or not', () => {
    const spec = at(named(objects, 'Service', 'citusdemo-pods'), 'spec');
    expect(spec).toMatchObject({
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { application: 'patroni', 'cluster-name': 'citusdemo' },
    });
    expect(at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.serviceName')).toBe('citusdemo-pods');
  });

  test('gives Patroni the rights it needs and no more: to change its own pods and records, and no others', () => {
    const rules = at(named(objects, 'Role', 'citusdemo'), 'rules');
    const records = [0, 1, 2].flatMap((group) =>
      ['config', 'leader', 'sync', 'failover'].map((record) => `citusdemo-${group}-${record}`),
    );
    const pods = [0, 1, 2].flatMap((group) => Array.from({ length: 10 }, (_, pod) => `citusdemo-${group}-${pod}`));
    expect(rules).toEqual([
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'list', 'watch'] },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: records, verbs: ['get', 'patch'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['pods'], resourceNames: pods, verbs: ['get', 'patch'] },
    ]);
    expect(ofKind(objects, 'ClusterRole')).toEqual([]);
  });

  test('renders nothing that Patroni writes', () => {
    for (const set of ofKind(objects, 'StatefulSet')) {
      expect(at(set, 'spec.template.metadata.labels')).not.toHaveProperty('role');
    }
    expect(ofKind(objects, 'Endpoints')).toEqual([]);
    const patronis = /^citusdemo-\d+-(config|leader|sync|failover)$/;
    expect(ofKind(objects, 'ConfigMap').filter(({ metadata }) => patronis.test(metadata.name))).toEqual([]);
  });

  test('labels the pods of each group as the documentation selects them', () => {
    const labels = at(named(objects, 'StatefulSet', 'citusdemo-2'), 'spec.template.metadata.labels');
    expect(labels).toMatchObject({ 'citus-type': 'worker', 'citus-group': '2', 'cluster-name': 'citusdemo' });
    const coordinator = at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.template.metadata.labels');
    expect(coordinator).toMatchObject({ 'citus-type': 'coordinator', 'citus-group': '0' });
  });

  test('registers each group under its leader Service', () => {
    expect(environment(named(objects, 'StatefulSet', 'citusdemo-2'))).toMatchObject({
      PATRONI_POSTGRESQL_CONNECT_ADDRESS: 'citusdemo-2:5432',
      PATRONI_CITUS_GROUP: '2',
      PATRONI_CITUS_DATABASE: 'citus',
      PATRONI_SCOPE: 'citusdemo',
      PATRONI_POSTGRESQL_DATA_DIR: '/var/lib/postgresql/data/pgdata',
    });
  });

  test('runs pods that pass the restricted pod security level', () => {
    for (const pod of ofKind(objects, 'StatefulSet').map((set) => at(set, 'spec.template.spec'))) {
      expect(at(pod, 'securityContext')).toMatchObject({ runAsNonRoot: true, runAsUser: 999, fsGroup: 999 });
      expect(at(pod, 'securityContext.seccompProfile.type')).toBe('RuntimeDefault');
      expect(at(pod, 'containers.0.securityContext')).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(at(pod, 'initContainers')).toBeUndefined();
    }
  });

  test('holds no password: those of the servers are made inside the cluster, once', async () => {
    expect(ofKind(objects, 'Secret').map(({ metadata }) => metadata.name)).toEqual([
      'citusdemo-databases',
      'citusdemo-guard-image',
    ]);
    const passwords = async (present: readonly Manifest[] = []) => {
      const secret = named(await prepared(objects, present), 'Secret', 'citusdemo-credentials');
      expect(Object.keys(secret.data ?? {})).toEqual([
        'replication-password',
        'restapi-password',
        'superuser-password',
      ]);
      return {
        secret,
        values: Object.values(secret.data ?? {}).map((value) => Buffer.from(value, 'base64').toString()),
      };
    };
    const [first, other] = [await passwords(), await passwords()];
    for (const value of first.values) expect(value).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(new Set([...first.values, ...other.values]).size).toBe(6);
    expect((await passwords([first.secret])).values).toEqual(first.values);
  });

  test('waits with the next pod until a standby counts again, only where there is one', () => {
    const single = render({ values: { coordinator: { replicas: 1 } } });
    expect(at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.minReadySeconds')).toBe(20);
    expect(at(named(single, 'StatefulSet', 'citusdemo-0'), 'spec.minReadySeconds')).toBe(0);
    expect(ofKind(single, 'PodDisruptionBudget').map(({ metadata }) => metadata.name)).toEqual([
      'citusdemo-1',
      'citusdemo-2',
    ]);
  });
});

describe('server parameters', () => {
  function parameters(values: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
    const objects = render({ values: { patroni: { postgresql: { parameters: values } } } });
    return named(objects, 'ConfigMap', 'citusdemo-parameters').data ?? {};
  }

  test('become environment variables, dots as two underscores, numbers without an exponent', () => {
    expect(
      parameters({
        max_wal_size: 1073741824,
        random_page_cost: 1.1,
        'citus.max_adaptive_executor_pool_size': 4,
        jit: false,
        TimeZone: 'UTC',
      }),
    ).toMatchObject({
      PATRONI_POSTGRESQL_MAX_WAL_SIZE: '1073741824',
      PATRONI_POSTGRESQL_RANDOM_PAGE_COST: '1.1',
      PATRONI_POSTGRESQL_CITUS__MAX_ADAPTIVE_EXECUTOR_POOL_SIZE: '4',
      PATRONI_POSTGRESQL_JIT: 'false',
      PATRONI_POSTGRESQL_TIMEZONE: 'UTC',
      PATRONI_POSTGRESQL_MAX_CONNECTIONS: '200',
    });
  });

  test.each([
    ['pg_partman_bgw', 'citus,pg_partman_bgw'],
    ['pg_stat_statements, citus ,pg_partman_bgw', 'citus,pg_stat_statements,pg_partman_bgw'],
    ['', 'citus'],
    [null, 'citus'],
  ])('put citus before shared_preload_libraries %j', (given, expected) => {
    expect(parameters({ shared_preload_libraries: given })['PATRONI_POSTGRESQL_SHARED_PRELOAD_LIBRARIES']).toBe(
      expected,
    );
  });

  test('roll no pod when they change, while access rules do', () => {
    const template = (values: Readonly<Record<string, unknown>>) =>
      at(named(render({ values }), 'StatefulSet', 'citusdemo-1'), 'spec.template');
    const before = template({});
    expect(template({ patroni: { postgresql: { parameters: { work_mem: '64MB' } }, ttl: 60 } })).toEqual(before);
    expect(template({ patroni: { postgresql: { pgHba: ['host all app 10.0.0.0/8 reject'] } } })).not.toEqual(before);
  });
});

describe('values of the cluster', () => {
  test('names everything after clusterName, whatever the release is called', () => {
    const objects = render({ values: { clusterName: 'geo' }, release: 'other' });
    expect(named(objects, 'Service', 'geo-0').metadata.labels['cluster-name']).toBe('geo');
    expect(named(objects, 'Role', 'geo').metadata.labels['app.kubernetes.io/instance']).toBe('other');
    expect(objects.filter(({ metadata }) => !metadata.name.startsWith('geo'))).toEqual([]);
  });

  test('sorts worker groups by number and takes numbers, strings and per-group settings', () => {
    const workers = [
      { citusGroup: 10, replicas: 3, resources: { limits: { memory: '2Gi' } }, storage: { size: '50Gi' } },
      { citusGroup: '2' },
    ];
    const objects = render({ values: { workers, storage: { size: '5Gi', storageClassName: 'fast' } } });
    const sets = ofKind(objects, 'StatefulSet');
    expect(sets.map(({ metadata }) => metadata.name).sort()).toEqual(['citusdemo-0', 'citusdemo-10', 'citusdemo-2']);
    const ten = named(objects, 'StatefulSet', 'citusdemo-10');
    expect(at(ten, 'spec.replicas')).toBe(3);
    expect(at(ten, 'spec.template.spec.containers.0.resources')).toEqual({ limits: { memory: '2Gi' } });
    expect(at(ten, 'spec.volumeClaimTemplates.0.spec')).toEqual({
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'fast',
      resources: { requests: { storage: '50Gi' } },
    });
    expect(
      at(named(objects, 'StatefulSet', 'citusdemo-2'), 'spec.volumeClaimTemplates.0.spec.resources.requests.storage'),
    ).toBe('5Gi');
  });

  test('merges podSpec: maps merge, zero and false replace, containers and volumes are added', () => {
    const podSpec = {
      nodeSelector: { disk: 'ssd' },
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      securityContext: { fsGroupChangePolicy: 'Always', runAsNonRoot: false },
      containers: [{ name: 'exporter', image: 'exporter:1' }],
      volumes: [{ name: 'extra', emptyDir: {} }],
    };
    const pod = at(named(render({ values: { podSpec } }), 'StatefulSet', 'citusdemo-0'), 'spec.template.spec');
    expect(pod).toMatchObject({
      nodeSelector: { disk: 'ssd' },
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
    });
    expect(at(pod, 'securityContext')).toMatchObject({
      runAsNonRoot: false,
      runAsUser: 999,
      fsGroupChangePolicy: 'Always',
    });
    expect(names(at(pod, 'containers'))).toEqual(['postgresql', 'exporter']);
    expect(names(at(pod, 'volumes'))).toEqual([
      'credentials',
      'access',
      'ssl',
      'patroni',
      'socket',
      'shm',
      'tmp',
      'home',
      'extra',
    ]);
  });

  test('gives the PostgreSQL container what archiving needs, and a group what only it needs', () => {
    const objects = render({
      values: {
        postgresqlContainer: {
          extraEnv: [{ name: 'AWS_REGION', value: 'eu-central-1' }],
          extraEnvFrom: [{ secretRef: { name: 'archive' } }],
          extraVolumeMounts: [{ name: 'archive', mountPath: '/archive' }],
          extraPorts: [{ name: 'metrics', containerPort: 9187 }],
          lifecycle: { preStop: { exec: { command: ['true'] } } },
        },
        podSpec: { volumes: [{ name: 'archive', emptyDir: {} }], priorityClassName: 'low' },
        coordinator: { podSpec: { priorityClassName: 'high' } },
        workers: [{ citusGroup: '1', podSpec: { nodeSelector: { disk: 'fast' } } }],
        jobs: { podSpec: { priorityClassName: 'batch' } },
        commonLabels: { team: 'data' },
        extraObjects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{{ .Release.Name }}-mine' } }],
      },
    });
    const pod = (name: string) => at(named(objects, 'StatefulSet', name), 'spec.template.spec');
    const container = at(pod('citusdemo-1'), 'containers.0');
    expect(at(container, 'env')).toContainEqual({ name: 'AWS_REGION', value: 'eu-central-1' });
    expect(at(container, 'envFrom')).toContainEqual({ secretRef: { name: 'archive' } });
    expect(at(container, 'volumeMounts')).toContainEqual({ name: 'archive', mountPath: '/archive' });
    expect(at(container, 'ports')).toContainEqual({ name: 'metrics', containerPort: 9187 });
    expect(at(container, 'lifecycle')).toEqual({ preStop: { exec: { command: ['true'] } } });
    expect(at(pod('citusdemo-0'), 'priorityClassName')).toBe('high');
    expect(pod('citusdemo-1')).toMatchObject({ priorityClassName: 'low', nodeSelector: { disk: 'fast' } });
    expect(at(named(objects, 'Job', 'citusdemo-verify'), 'spec.template.spec.priorityClassName')).toBe('batch');
    expect(named(objects, 'Service', 'citusdemo-0').metadata.labels['team']).toBe('data');
    // Pods keep their labels, so that one more does not restart them all.
    expect(at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.template.metadata.labels.team')).toBeUndefined();
    named(objects, 'ConfigMap', 'citusdemo-mine');
    expect(refusal({ commonLabels: { role: 'x' } })).toContain('commonLabels.role: Services, Patroni, Helm');
  });

  test('uses an existing Secret with other keys', () => {
    const secret = {
      create: false,
      name: 'vault',
      keys: { superuserPassword: 'pg', replicationPassword: 'repl', restApiPassword: 'rest' },
    };
    const objects = render({ values: { secret, additionalDatabases: [{ name: 'orders' }] } });
    expect(ofKind(objects, 'Secret').map(({ metadata }) => metadata.name)).not.toContain('vault');
    const credentials = { secretName: 'vault', defaultMode: 0o440 };
    expect(at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.template.spec.volumes.0.secret')).toEqual({
      ...credentials,
      items: [
        { key: 'pg', path: 'superuser' },
        { key: 'repl', path: 'replication' },
        { key: 'rest', path: 'restapi' },
      ],
    });
    expect(at(named(objects, 'Job', 'citusdemo-create-db-orders'), 'spec.template.spec.volumes.1.secret')).toEqual({
      ...credentials,
      items: [{ key: 'pg', path: 'password' }],
    });
  });

  test('keeps data on uninstall, or nothing', () => {
    const policy = (keepOnUninstall: boolean) => {
      const rendered = render({ values: { storage: { keepOnUninstall } } });
      return at(named(rendered, 'StatefulSet', 'citusdemo-0'), 'spec.persistentVolumeClaimRetentionPolicy.whenDeleted');
    };
    expect(policy(true)).toBe('Retain');
    expect(policy(false)).toBe('Delete');
  });

  test('offers the coordinator alone to the outside', () => {
    const objects = render({
      values: {
        service: {
          type: 'LoadBalancer',
          loadBalancerClass: 'example.org/internal',
          loadBalancerIP: '10.0.0.1',
          annotations: { 'example.org/internal': 'true' },
        },
      },
    });
    const balanced = { type: 'LoadBalancer', loadBalancerClass: 'example.org/internal', loadBalancerIP: '10.0.0.1' };
    expect(named(objects, 'Service', 'citusdemo-0')).toMatchObject({ spec: balanced });
    expect(named(objects, 'Service', 'citusdemo-0').metadata.annotations).toEqual({ 'example.org/internal': 'true' });
    for (const key of Object.keys(balanced)) {
      expect(at(named(objects, 'Service', 'citusdemo-1'), `spec.${key}`)).toBe(
        key === 'type' ? 'ClusterIP' : undefined,
      );
    }
  });

  test('keeps the pods of a group apart as told', () => {
    const affinity = (type: string) =>
      at(
        named(render({ values: { podAntiAffinity: { type } } }), 'StatefulSet', 'citusdemo-1'),
        'spec.template.spec.affinity.podAntiAffinity',
      );
    const labelSelector = { matchLabels: { application: 'patroni', 'cluster-name': 'citusdemo', 'citus-group': '1' } };
    expect(affinity('required')).toEqual({
      requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector, topologyKey: 'kubernetes.io/hostname' }],
    });
    expect(Object.keys(affinity('preferred') ?? {})).toEqual(['preferredDuringSchedulingIgnoredDuringExecution']);
    expect(affinity('none')).toBeUndefined();
  });

  describe('NetworkPolicy', () => {
    const ingress = (values: Readonly<Record<string, unknown>>) =>
      at(named(render({ values }), 'NetworkPolicy', 'citusdemo'), 'spec.ingress');
    const [postgresql, patroni] = ['postgresql', 'patroni'].map((port) => ({ port, protocol: 'TCP' }));
    const own = expect.objectContaining({ ports: [postgresql, patroni] });
    const clients = [{ namespaceSelector: { matchLabels: { team: 'shop' } } }];
    const ports = [postgresql];

    test.each([
      ['pods of every namespace, by default', {}, [{ from: [{ namespaceSelector: {} }], ports }]],
      ['everybody, where the Service leads in from outside', { service: { type: 'NodePort' } }, [{ ports }]],
      ['those that are named', { networkPolicy: { clients } }, [{ from: clients, ports }]],
      [
        'those that are named, from outside too',
        { service: { type: 'LoadBalancer' }, networkPolicy: { clients } },
        [{ from: clients, ports }],
      ],
      ['nobody', { networkPolicy: { clients: [] } }, []],
      [
        'clients on ports that values add',
        {
          networkPolicy: { clients },
          postgresqlContainer: { extraPorts: [{ name: 'wal', containerPort: 9000 }] },
          podSpec: { containers: [{ name: 'exporter', ports: [{ containerPort: 9187 }] }] },
          coordinator: { podSpec: { containers: [{ name: 'pool', ports: [{ containerPort: 53, protocol: 'UDP' }] }] } },
        },
        [
          {
            from: clients,
            ports: [
              ...ports,
              { port: 9000, protocol: 'TCP' },
              { port: 9187, protocol: 'TCP' },
              { port: 53, protocol: 'UDP' },
            ],
          },
        ],
      ],
      [
        "those that read Patroni's metrics",
        { networkPolicy: { clients: [], patroniClients: clients } },
        [{ from: clients, ports: [patroni] }],
      ],
    ])('lets in, besides servers and Jobs: %s', (_, values, expected) => {
      expect(ingress(values)).toEqual([own, ...expected]);
    });

    test('is left out where values say so', () => {
      expect(ofKind(render({ values: { networkPolicy: { enabled: false } } }), 'NetworkPolicy')).toEqual([]);
    });
  });

  test("has a Service for the coordinator's standbys where values ask for it, whose name is in the certificate", () => {
    expect(ofKind(render(), 'Service').map(({ metadata }) => metadata.name)).not.toContain('citusdemo-0-read');
    const objects = render({ values: { service: { readOnly: true } } });
    expect(at(named(objects, 'Service', 'citusdemo-0-read'), 'spec')).toEqual({
      selector: { application: 'patroni', 'cluster-name': 'citusdemo', 'citus-group': '0', role: 'replica' },
      ports: [{ name: 'postgresql', port: 5432, targetPort: 'postgresql' }],
    });
    expect(named(objects, 'ConfigMap', 'citusdemo-prepare').data?.['prepare.json']).toContain('"citusdemo-0-read"');
  });

  test('has a policy for what Roles cannot restrict where values ask for it', () => {
    expect(ofKind(render(), 'ValidatingAdmissionPolicy')).toEqual([]);
    const objects = render({ values: { rbac: { admissionPolicy: true }, serviceAccount: { name: 'dba' } } });
    const policy = named(objects, 'ValidatingAdmissionPolicy', 'shop-citusdemo');
    expect(at(policy, 'spec.matchConditions.0.expression')).toBe(
      'request.userInfo.username in ["system:serviceaccount:shop:dba","system:serviceaccount:shop:citusdemo-jobs","system:serviceaccount:shop:citusdemo-prepare"]',
    );
    // Else `prepare` could make itself a token of any account, in the namespaces of secretNamespaces too.
    const validations = at(policy, 'spec.validations') as readonly { readonly expression: string }[];
    expect(validations.map(({ expression }) => expression).join('\n')).toContain(
      'object.type in ["Opaque", "servicebinding.io/postgresql"]',
    );
    for (const field of ['finalizers', 'ownerReferences']) {
      expect(validations.some(({ expression }) => expression.includes(`oldObject.metadata.${field}`))).toBe(true);
    }
    expect(at(named(objects, 'ValidatingAdmissionPolicyBinding', 'shop-citusdemo'), 'spec')).toEqual({
      policyName: 'shop-citusdemo',
      validationActions: ['Deny'],
    });
  });

  test('leaves out what exists already', () => {
    const objects = render({
      values: {
        serviceAccount: { create: false, name: 'dba' },
        rbac: { create: false },
        jobs: { serviceAccounts: { prepare: 'prepares', databases: 'watches' } },
        podDisruptionBudget: { enabled: false },
      },
    });
    for (const kind of ['ServiceAccount', 'Role', 'RoleBinding', 'PodDisruptionBudget'])
      expect(ofKind(objects, kind)).toEqual([]);
    expect(at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.template.spec.serviceAccountName')).toBe('dba');
  });

  test('uses the images, pull policies and pull secrets it is told', () => {
    const values = {
      image: { repository: 'registry.example/citus', tag: '13', pullPolicy: 'Always' },
      jobs: { image: { repository: 'registry.example/jobs', tag: '2' } },
      imagePullSecrets: [{ name: 'registry' }],
      additionalDatabases: [{ name: 'orders' }],
    };
    const objects = render({ values });
    const pods = [named(objects, 'StatefulSet', 'citusdemo-1'), named(objects, 'Job', 'citusdemo-create-db-orders')];
    expect(pods.map((owner) => at(owner, 'spec.template.spec.containers.0.image'))).toEqual([
      'registry.example/citus:13',
      'registry.example/jobs:2',
    ]);
    expect(pods.map((owner) => at(owner, 'spec.template.spec.containers.0.imagePullPolicy'))).toEqual([
      'Always',
      'IfNotPresent',
    ]);
    for (const owner of pods) expect(at(owner, 'spec.template.spec.imagePullSecrets')).toEqual([{ name: 'registry' }]);
  });

  test('takes both images from the registry that all charts share, and exactly the image of a digest', () => {
    const digest = `sha256:${'0a'.repeat(32)}`;
    const objects = render({
      values: { global: { imageRegistry: 'registry.example.com:5000/' }, image: { tag: '1', digest } },
    });
    const image = (kind: string, name: string) =>
      at(named(objects, kind, name), 'spec.template.spec.containers.0.image');
    expect(image('StatefulSet', 'citusdemo-0')).toBe(`registry.example.com:5000/patroni-citus-k8s:1@${digest}`);
    expect(image('Job', 'citusdemo-verify')).toBe('registry.example.com:5000/citus-databases:0.1.0');
  });

  test("takes each image from its own registry, unless the image's name has one", () => {
    const images = (repository: string) => {
      const objects = render({
        values: {
          image: { registry: 'ghcr.io/owner/', repository },
          jobs: { image: { registry: 'localhost:5000', repository: 'team/jobs' } },
        },
      });
      return [named(objects, 'StatefulSet', 'citusdemo-0'), named(objects, 'Job', 'citusdemo-verify')].map((owner) =>
        at(owner, 'spec.template.spec.containers.0.image'),
      );
    };
    expect(images('team/citus')).toEqual(['ghcr.io/owner/team/citus:0.1.0', 'localhost:5000/team/jobs:0.1.0']);
    for (const repository of ['registry.example.com/citus', 'registry:5000/citus', 'localhost/citus'])
      expect(images(repository)[0]).toBe(`${repository}:0.1.0`);
  });

  test('writes a password file for the nodes only when asked', () => {
    const pgpass = (enabled: boolean) =>
      environment(named(render({ values: { pgpass: { enabled } } }), 'StatefulSet', 'citusdemo-0'));
    expect(pgpass(true)).toMatchObject({ PGPASS_ENABLED: 'true', PGPASSFILE: '/run/patroni/nodes.pgpass' });
    expect(pgpass(false)).toMatchObject({ PGPASS_ENABLED: 'false' });
    expect(pgpass(false)).not.toHaveProperty('PGPASSFILE');
  });

  test('renders the example', () => {
    const objects = render({ args: ['--values', exampleFile] });
    expect(ofKind(objects, 'Job').map(({ metadata }) => metadata.name)).toEqual([
      expect.stringMatching(/^citusdemo-prepare-/),
      'citusdemo-verify',
      'citusdemo-configure',
      'citusdemo-create-db-skymap',
      'citusdemo-guard',
      'citusdemo-guard-image',
    ]);
  });

  test('renders the example with users', () => {
    const objects = render({ args: ['--values', usersExampleFile] });
    expect(ofKind(objects, 'Job').map(({ metadata }) => metadata.name)).toContain('citusdemo-create-db-orders');
    // What the file tells its reader to ask for; `prepare` makes it inside the cluster.
    expect(JSON.stringify(objects)).toContain('citusdemo-user-orders');
  });
});

function environment(set: Manifest): Readonly<Record<string, unknown>> {
  const list = at(set, 'spec.template.spec.containers.0.env');
  if (!Array.isArray(list)) throw new Error('no environment');
  return Object.fromEntries(list.map((variable) => [String(at(variable, 'name')), at(variable, 'value')]));
}

function names(list: unknown): readonly unknown[] {
  return Array.isArray(list) ? list.map((item) => at(item, 'name')) : [];
}
