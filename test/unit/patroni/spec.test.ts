import { describe, expect, test } from 'vitest';
import { forEachDatabase } from '../../../src/commands/forEachDatabase.ts';
import { wantedParameters } from '../../../src/patroni/wanted.ts';
import { loadTls } from '../../../src/postgres/tls.ts';
import { createRedactor } from '../../../src/report/redact.ts';
import { createStepLog } from '../../../src/report/stepLog.ts';
import type { PatroniSpec } from '../../../src/spec/types.ts';
import { parse, problemsOf } from '../spec/support.ts';

const cluster = 'cluster: { name: citusdemo, coordinator: { host: c }, workers: [{ group: 1, host: w }] }\n';
const groups = 'groups: [{ group: 0, members: [{ host: c-0 }] }]';

const noTls = parse(`${cluster}ssl: { enabled: false }`).ssl;

function patroni(fields: string): PatroniSpec {
  const spec = parse(`${cluster}patroni: { ${fields} }`);
  if (spec.patroni === undefined) throw new Error('No section patroni');
  return spec.patroni;
}

describe('the section patroni', () => {
  test('may stand without databases, with every default filled in', () => {
    const spec = parse(`${cluster}patroni: { ${groups} }`);
    expect(spec.databases).toEqual([]);
    expect(spec.patroni).toEqual({
      scope: 'citusdemo',
      patronictl: 'patronictl',
      credentials: undefined,
      tls: { ...spec.ssl, enabled: false, mode: 'disable' },
      parameters: {},
      profile: 'none',
      managedBefore: [],
      restart: 'never',
      allowInterruption: false,
      timeoutSeconds: 300,
      groups: [
        {
          group: 0,
          members: [{ host: 'c-0', port: 5432, restPort: 8008 }],
          parameters: {},
          memoryLimit: undefined,
        },
      ],
    });
  });

  test('keeps what is given; null is absent, names are lower case, groups are in order', () => {
    const spec = patroni(`
      parameters: { Work_Mem: 8MB, max_connections: 200, jit: true, gone: null }, managedBefore: [TimeZone],
      groups: [
        { group: "1", members: [{ host: w-0, port: 1, restPort: 2 }], memoryLimit: 2Gi, parameters: { work_mem: 9MB, jit: null } },
        { group: 0, members: [{ host: c-0 }, { host: c-1 }] }
      ]`);
    expect(spec.parameters).toEqual({ work_mem: '8MB', max_connections: '200', jit: 'true' });
    expect(spec.managedBefore).toEqual(['timezone']);
    expect(spec.groups.map(({ group }) => group)).toEqual([0, 1]);
    expect(spec.groups[1]).toEqual({
      group: 1,
      members: [{ host: 'w-0', port: 1, restPort: 2 }],
      parameters: { work_mem: '9MB' },
      memoryLimit: 2 ** 31,
    });
  });

  test("takes the cluster's certificates for the REST API unless it has its own", () => {
    const text = `${cluster}ssl: { enabled: true, mode: verify-ca, directory: /s }\npatroni: { ${groups}, tls: { ca: rest.crt } }`;
    expect(parse(text).patroni?.tls).toMatchObject({
      enabled: true,
      mode: 'verify-full',
      directory: '/s',
      ca: 'rest.crt',
      certificate: 'server.crt',
      key: 'server.key',
    });
  });

  test('names every problem', () => {
    const text = `${cluster}patroni:
  restart: always
  profile: auto
  parameters: { port: 5433, wal_level: replica, recovery_target_time: x, work_mem: 1MB, Work_Mem: 2MB, jit: [1] }
  groups:
    - { group: 0, members: [{ host: c-0 }], memoryLimit: 2GB }
    - { group: 1, members: [{ host: C-0, restPort: 8008 }], memoryLimit: 2Gi }
    - { group: "01", members: [] }
`;
    expect(problemsOf(text)).toMatchInlineSnapshot(`
      [
        "patroni.parameters.jit: must be text, a number, or true or false; lists are one text ('analytics,public'), and a name with a dot is one key ('pg_partman_bgw.dbname')",
        "patroni.parameters.Work_Mem: names the parameter work_mem a second time (PostgreSQL does not tell case apart)",
        "patroni.parameters.port: cannot be set here: Patroni sets it from postgresql.listen of each member",
        "patroni.parameters.wal_level: cannot be set here: under Patroni with Citus it is always logical",
        "patroni.parameters.recovery_target_time: cannot be set here: Patroni recovers standbys itself",
        "patroni.restart: 'always' is none of never, whenNeeded",
        "patroni.groups[0].memoryLimit: is no quantity of memory (2Gi and 512Mi are)",
        "patroni.groups[1].members[0]: has the REST API of patroni.groups[0].members[0], c-0:8008",
        "patroni.groups[2].members: is empty: list the members of the group",
        "patroni.groups[2].group: group 1 is also the group of patroni.groups[1]",
        "patroni.groups[2].memoryLimit: is required where profile is auto",
      ]
    `);
  });

  test('has one group where there is no Citus', () => {
    const text = `cluster: { citus: false, coordinator: { host: c } }\npatroni: { groups: [{ group: 1, members: [{ host: a }] }] }`;
    expect(problemsOf(text)).toEqual([
      'patroni.groups[0].group: group 1 cannot be where cluster.citus is false: there is one group, 0',
    ]);
  });
});

describe('apply without databases', () => {
  test('says that there is nothing to do', async () => {
    const lines: string[] = [];
    const log = createStepLog({ write: ({ text }) => lines.push(text) });
    const context = {
      command: 'apply',
      spec: parse(`${cluster}patroni: { ${groups} }`),
      access: {
        user: 'postgres',
        password: undefined,
        acceptServerWithoutProof: false,
        withoutSuperuser: false,
        acceptUndeclaredNodes: false,
        tls: await loadTls(noTls),
        redactor: createRedactor(),
      },
      log,
      logLevel: 'info' as const,
      signal: new AbortController().signal,
      print: () => undefined,
    };
    await forEachDatabase(context, () => Promise.reject(new Error('there is no database')));
    expect(lines).toEqual(['The spec declares no databases: there is nothing to do']);
  });
});

describe('wantedParameters', () => {
  const spec = patroni(`
    profile: auto, parameters: { work_mem: 8MB, shared_preload_libraries: "pg_partman_bgw" },
    groups: [{ group: 0, members: [{ host: c-0 }], memoryLimit: 8Gi, parameters: { shared_buffers: 1GB } }]`);
  const [group] = spec.groups;
  if (group === undefined) throw new Error('No group');

  test('lets the group win over all groups, and both over the profile', () => {
    expect(wantedParameters(spec, group, true)).toEqual({
      work_mem: '8MB',
      shared_buffers: '1GB',
      effective_cache_size: '6GB',
      maintenance_work_mem: '512MB',
      wal_buffers: '16MB',
      shared_preload_libraries: 'citus,pg_partman_bgw',
    });
  });

  test('leaves the libraries alone without Citus', () => {
    expect(wantedParameters(spec, group, false)['shared_preload_libraries']).toBe('pg_partman_bgw');
  });
});
