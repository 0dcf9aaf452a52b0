import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { difference } from '../../src/patroni/difference.ts';
import { wantedParameters } from '../../src/patroni/wanted.ts';
import { parseSpec } from '../../src/spec/parse.ts';
import { PATRONIS_OWN } from '../../src/spec/patroniContradictions.ts';
import { at, decoded, named, ofKind, refusal, render } from '../support/chart.ts';
import { notesOf } from './fakeKubernetes.ts';

type Values = Readonly<Record<string, unknown>>;

const small = {
  coordinator: { replicas: 2, parameters: { work_mem: '64MB' }, resources: { limits: { memory: '2Gi' } } },
  workers: [{ citusGroup: '3', replicas: 1, parameters: { shared_preload_libraries: 'auto_explain', jit: false } }],
};

/** Memory limits as Kubernetes takes them, one for each group. */
const limits = ['8Gi', '1.5G', '256Mi', 1e9, '64Mi', '300000k', '2e9', '4097Mi', '1.5Ti'];

/** Sizes that follow from the memory limits, where `parameters` name none. */
function auto(parameters: Values): Values {
  const [coordinator, ...workers] = limits.map((memory) => ({ resources: { limits: { memory } } }));
  return {
    coordinator: { ...coordinator, parameters: { wal_buffers: '4MB' } },
    workers: workers.map((worker, index) => ({ citusGroup: index + 1, ...worker })),
    patroni: { postgresql: { profile: 'auto', parameters } },
  };
}

function merged(into: Values, from: Values): Values {
  const entries = Object.entries(from).map(([key, value]): [string, unknown] => {
    const present = into[key];
    return [key, isValues(present) && isValues(value) ? merged(present, value) : value];
  });
  return { ...into, ...Object.fromEntries(entries) };
}

function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The section as the program reads it. */
function patroniOf(values: Values) {
  const secret = named(render({ values }), 'Secret', 'citusdemo-databases');
  const { patroni } = parseSpec(decoded(secret, 'spec.yaml'), 'spec.yaml');
  if (patroni === undefined) throw new Error('The spec has no section patroni');
  return patroni;
}

describe('the section patroni', () => {
  test('names every pod behind the headless Service, and what its group shall have', () => {
    expect(patroniOf(small)).toMatchObject({
      scope: 'citusdemo',
      patronictl: 'kubectl -n shop exec -it citusdemo-0-0 -- patronictl',
      credentials: { username: 'patroni', passwordFile: '/etc/citus-databases/restapi/password' },
      tls: { enabled: false },
      parameters: { max_connections: '200', shared_preload_libraries: 'pg_partman_bgw', work_mem: '8MB' },
      profile: 'none',
      restart: 'never',
      allowInterruption: false,
      groups: [
        {
          group: 0,
          members: [
            { host: 'citusdemo-0-0.citusdemo-pods', port: 5432, restPort: 8008 },
            { host: 'citusdemo-0-1.citusdemo-pods', port: 5432, restPort: 8008 },
          ],
          parameters: { work_mem: '64MB' },
          memoryLimit: 2 ** 31,
        },
        {
          group: 3,
          members: [{ host: 'citusdemo-3-0.citusdemo-pods', port: 5432, restPort: 8008 }],
          parameters: { shared_preload_libraries: 'auto_explain', jit: 'false' },
          memoryLimit: undefined,
        },
      ],
    });
  });

  test('says how to restart and size, keeps large numbers whole and leaves out what is null', () => {
    const parameters = { max_locks_per_transaction: null, max_wal_size: 1073741824 };
    const postgresql = { parameters, restart: 'whenNeeded', allowInterruption: true };
    const patroni = patroniOf({ patroni: { postgresql, restApi: { username: 'admin' } } });
    expect(patroni).toMatchObject({ restart: 'whenNeeded', allowInterruption: true });
    expect(patroni.credentials?.username).toBe('admin');
    expect(patroni.parameters['max_wal_size']).toBe('1073741824');
    expect(patroni.parameters).not.toHaveProperty('max_locks_per_transaction');
  });

  test.each([
    [small],
    [{ patroni: { postgresql: { parameters: { Shared_Buffers: '1GB', work_mem: null } } } }],
    [auto({ Work_Mem: '3MB' })],
    [auto({ shared_buffers: null })],
  ])(
    'wants of each group what seeded it, so that an upgrade that changes nothing sends nothing: %j',
    (given: Values) => {
      const own = { 'citus.log_remote_commands': true };
      const values = merged(given, { patroni: { postgresql: { parameters: own } } });
      const objects = render({ values });
      const patroni = patroniOf(values);
      for (const group of patroni.groups) {
        const seeds = {
          ...named(objects, 'ConfigMap', 'citusdemo-parameters').data,
          ...named(objects, 'ConfigMap', `citusdemo-${group.group}-parameters`).data,
        };
        const parameters = Object.fromEntries(
          Object.entries(seeds).flatMap(([variable, value]) => {
            const [, name] = /^PATRONI_POSTGRESQL_(.*)$/.exec(variable) ?? [];
            return name === undefined ? [] : [[name.toLowerCase().replaceAll('__', '.'), value]];
          }),
        );
        const managed = Object.keys(parameters).toSorted();
        const wanted = wantedParameters(patroni, group, true);
        const config = { loopWaitSeconds: 10, parameters, managed };
        const none = { config, wanted, managedBefore: patroni.managedBefore, fallback: () => undefined };
        expect(difference(none)).toEqual({ changes: [], managed, patch: undefined });
      }
    },
  );
});

describe('the Job that brings parameters to the servers', () => {
  const job = (values: Values = {}) => named(render({ values }), 'Job', 'citusdemo-configure');

  test('runs after upgrade and rollback, before the databases', () => {
    const { annotations, labels } = job().metadata;
    expect(annotations).toMatchObject({
      'helm.sh/hook': 'post-upgrade,post-rollback',
      'helm.sh/hook-weight': '0',
      'helm.sh/hook-delete-policy': 'before-hook-creation',
    });
    expect(labels['job-type']).toBe('configuration');
  });

  test.each<[Values, boolean]>([
    [{ patroni: { postgresql: { parameters: { max_connections: 200 } } } }, false],
    [{ patroni: { postgresql: { parameters: { max_connections: 201 } } } }, true],
    [{ patroni: { postgresql: { parameters: { max_connections: null } } } }, true],
    [{ patroni: { postgresql: { parameters: { work_mem: '8MB' } } } }, true],
    [{ coordinator: { parameters: { jit: false } } }, true],
    [{ workers: [{ citusGroup: 1, parameters: { jit: false } }] }, true],
    [{ workers: [{ citusGroup: 1, parameters: {} }] }, false],
    [auto({}), true],
    [{ ...auto({}), coordinator: { resources: { limits: { memory: '1Gi' } } } }, false],
  ])('checks after an install what is not of the chart itself: %j', (values, installed) => {
    const hooks = job(values).metadata.annotations['helm.sh/hook']?.split(',');
    expect(hooks?.includes('post-install')).toBe(installed);
  });

  test('has the declaration and the passwords of superuser and REST API', () => {
    const values = {
      secret: { create: false, name: 'vault', keys: { superuserPassword: 'pg', restApiPassword: 'rest' } },
    };
    const pod = at(job(values), 'spec.template.spec');
    expect(at(pod, 'containers.0.args')).toEqual(['configure', '--attempts', '4']);
    expect(at(pod, 'volumes.0.secret.secretName')).toBe('citusdemo-databases');
    const credentials = { secretName: 'vault', defaultMode: 0o440 };
    expect(at(pod, 'volumes.1.secret')).toEqual({ ...credentials, items: [{ key: 'pg', path: 'password' }] });
    expect(at(pod, 'volumes.2.secret')).toEqual({ ...credentials, items: [{ key: 'rest', path: 'password' }] });
    expect(at(pod, 'containers.0.volumeMounts.2')).toEqual({
      name: 'restapi',
      mountPath: '/etc/citus-databases/restapi',
      readOnly: true,
    });
    // scripts/run-in-cluster takes the Job of `helm test` as its pattern, for configure too.
    const pattern = named(render({ values }), 'Job', 'citusdemo-verify');
    expect(at(pattern, 'spec.template.spec.volumes')).toEqual(at(pod, 'volumes'));
    expect(at(pattern, 'spec.template.spec.containers.0.volumeMounts')).toEqual(at(pod, 'containers.0.volumeMounts'));
  });

  test('does not start again where trying again cannot help', () => {
    expect(at(job(), 'spec.podFailurePolicy.rules.0')).toMatchObject({
      action: 'FailJob',
      onExitCodes: { values: [1, 2, 3] },
    });
    expect(at(job(), 'spec.activeDeadlineSeconds')).toBe(3600);
    expect(at(job({ jobs: { activeDeadlineSeconds: 60 } }), 'spec.activeDeadlineSeconds')).toBe(60);
  });
});

describe('the notes after an install', () => {
  const log = 'kubectl -n shop logs job/citusdemo-configure';

  test.each<[string, Values, boolean, boolean]>([
    ["the chart's own parameters", {}, false, false],
    ['parameters that somebody chose', { patroni: { postgresql: { parameters: { jit: false } } } }, true, true],
    [
      'the same, restarted by the Job',
      { patroni: { postgresql: { parameters: { jit: false }, restart: 'whenNeeded' } } },
      true,
      false,
    ],
  ])('%s', async (_, values, told, waiting) => {
    const notes = await notesOf(values);
    expect(notes.includes(log)).toBe(told);
    expect(notes.includes('"Pending restart"')).toBe(waiting);
  });
});

describe('parameters of one group', () => {
  test('the ConfigMaps that pods take their environment from are there in any case: their names are never free', () => {
    const objects = render();
    const names = ofKind(objects, 'StatefulSet').flatMap((set) => {
      const sources = at(set, 'spec.template.spec.containers.0.envFrom') as readonly {
        readonly configMapRef: { readonly name: string };
      }[];
      return sources.map(({ configMapRef }) => configMapRef.name);
    });
    for (const name of new Set(names)) expect(named(objects, 'ConfigMap', name).data).toBeDefined();
    expect(named(objects, 'ConfigMap', 'citusdemo-2-parameters').data).toEqual({});
  });

  test('seed that group alone, and roll no pod', () => {
    const objects = render({ values: small });
    expect(named(objects, 'ConfigMap', 'citusdemo-0-parameters').data).toEqual({ PATRONI_POSTGRESQL_WORK_MEM: '64MB' });
    expect(named(objects, 'ConfigMap', 'citusdemo-3-parameters').data).toEqual({
      PATRONI_POSTGRESQL_JIT: 'false',
      PATRONI_POSTGRESQL_SHARED_PRELOAD_LIBRARIES: 'citus,auto_explain',
    });
    const template = (values: Values) => at(named(render({ values }), 'StatefulSet', 'citusdemo-0'), 'spec.template');
    expect(template({ coordinator: { parameters: { work_mem: '1MB' } } })).toEqual(template({}));
    // The later source wins (Kubernetes API, Container.envFrom).
    expect(at(template({}), 'spec.containers.0.envFrom')).toEqual([
      { configMapRef: { name: 'citusdemo-parameters' } },
      { configMapRef: { name: 'citusdemo-0-parameters', optional: true } },
    ]);
  });

  test.each([
    [
      { coordinator: { parameters: { port: 1 } } },
      'coordinator.parameters.port: cannot be set here: Services, probes and pods agree on port 5432',
    ],
    [
      { patroni: { postgresql: { parameters: { SSL: 'off' } } } },
      'patroni.postgresql.parameters.SSL: cannot be set here: the chart sets it from ssl.enabled.',
    ],
    [
      { workers: [{ citusGroup: 1, parameters: { wal_level: 'replica' } }] },
      'workers[0].parameters.wal_level: cannot be set here: under Patroni with Citus it is always logical.',
    ],
    [
      { coordinator: { parameters: { recovery_target_time: 'now' } } },
      'coordinator.parameters.recovery_target_time: cannot be set here: Patroni recovers standbys itself.',
    ],
    [
      { ...auto({}), coordinator: { resources: { limits: { memory: '1GB' } } } },
      'patroni.postgresql.profile: the memory limit of group 0, 1GB, is no quantity of memory such as 2Gi.',
    ],
    [
      { workers: [{ citusGroup: 1, parameters: { 'work mem': 1 } }] },
      'workers[0].parameters.work mem: this is no name of a parameter.',
    ],
    [
      { coordinator: { parameters: { Jit: true, jit: false } } },
      'coordinator.parameters.jit: this is the parameter Jit, which is there too.',
    ],
    [
      { patroni: { postgresql: { profile: 'auto' } } },
      'patroni.postgresql.profile: auto derives sizes from the memory limit, and group 0 has none.',
    ],
    [{ patroni: { postgresql: { restart: 'always' } } }, 'restart'],
    [{ patroni: { postgresql: { profile: 'large' } } }, 'profile'],
    [{ workers: [{ citusGroup: 1, parameters: { jit: { on: true } } }] }, 'parameters'],
  ])('%j is refused', (values, message) => {
    expect(refusal(values)).toContain(message);
  });

  test("that the program refuses are refused before it starts, and what Patroni's local file holds too", () => {
    const local = readFileSync(new URL('../../scripts/entrypoint.sh', import.meta.url), 'utf8');
    const [, section = ''] = /\n {2}printf ' {2}parameters:\\n'\n([\s\S]*?)\n\}/.exec(local) ?? [];
    const [, tls = ''] = /\nserver_tls\(\) \{\n([\s\S]*?)\n\}/.exec(local) ?? [];
    const fixed = [...`${section}\n${tls}`.matchAll(/printf ' {4}([a-z_.]+): /g)].map(([, name = '']) => name);
    expect(fixed).toContain('unix_socket_directories');
    expect(fixed).toContain('citus.node_conninfo');
    for (const name of [...PATRONIS_OWN.keys(), ...fixed]) {
      expect(refusal({ coordinator: { parameters: { [name]: 'x' } } })).toContain(
        `coordinator.parameters.${name}: cannot be set here: `,
      );
    }
  });
});
