import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import * as z from 'zod';
import { configureLock } from '../../src/postgres/advisoryLock.ts';
import { runCommandLine } from '../support/commandLine.ts';
import { type FakeLab, startFakePatroni } from '../support/fakePatroni.ts';
import { REST_USER, rest } from '../support/patroniLab.ts';

const config = z.object({
  postgresql: z.object({ parameters: z.record(z.string(), z.unknown()) }),
  citus_databases: z.object({ managed: z.array(z.string()) }).optional(),
});

/** Several runs at the same time, and a leader that nobody can ask for the lock. */
describe('configure, one run at a time', () => {
  let lab: FakeLab;
  let folder: string;
  let specs = 0;

  beforeAll(async () => {
    lab = await startFakePatroni();
    console.log(`configure runs with ${lab.description}`);
    folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-configure-'));
    await writeFile(path.join(folder, 'superuser'), lab.password);
    await writeFile(path.join(folder, 'restapi'), lab.restPassword);
  });

  afterAll(async () => {
    await lab?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function configure(parameters: Record<string, unknown>, timeoutSeconds: number) {
    specs += 1;
    const file = path.join(folder, `spec-${specs}.yaml`);
    const document = {
      cluster: {
        name: 'citusdemo',
        passwordFile: path.join(folder, 'superuser'),
        coordinator: { host: '127.0.0.1', port: lab.nodes[0]?.port },
        workers: [{ group: 1, host: '127.0.0.1', port: lab.nodes[2]?.port }],
      },
      patroni: {
        credentials: { username: REST_USER, passwordFile: path.join(folder, 'restapi') },
        timeoutSeconds,
        parameters,
        groups: lab.groups.map(({ group, members }) => ({
          group,
          members: members.map(({ host, port, restPort }) => ({ host, port, restPort })),
        })),
      },
    };
    await writeFile(file, stringify(document));
    return await runCommandLine(['configure', '--spec', file]);
  }

  async function configOf(group: number) {
    const member = lab.groups[group]?.members[0];
    if (member === undefined) throw new Error(`No group ${group}`);
    return config.parse((await rest(lab, member, 'GET', '/config')).body);
  }

  test('says for whom it waits, and gives up without having sent anything', async () => {
    const holder = new pg.Client({
      host: '127.0.0.1',
      port: lab.nodes[0]?.port ?? 0,
      user: 'postgres',
      database: 'postgres',
      password: lab.password,
      application_name: 'somebody else',
    });
    await holder.connect();
    try {
      await holder.query('SELECT pg_advisory_lock($1)', [configureLock().key]);
      const before = await configOf(0);
      const { code, out } = await configure({ work_mem: '5MB' }, 2);
      expect(code).toBe(1);
      expect(out).toMatch(/Waiting for another run of configure: held by somebody else \(process \d+, /);
      expect(out).toContain('The lock of configure was not free in time');
      expect(await configOf(0)).toEqual(before);
    } finally {
      await holder.end();
    }
  });

  test('lets the last of several runs at the same time win as a whole', async () => {
    const wanted = [
      { work_mem: '5MB', jit: 'off' },
      { work_mem: '6MB', random_page_cost: '1.2' },
      { work_mem: '7MB', log_temp_files: 0 },
    ];
    const runs = await Promise.all(wanted.map((parameters) => configure(parameters, 120)));
    for (const { code, out } of runs) expect(code, out).toBe(0);
    for (const group of [0, 1]) {
      const { postgresql, citus_databases: record } = await configOf(group);
      const last = wanted.find((parameters) => parameters.work_mem === postgresql.parameters['work_mem']);
      const managed = Object.keys(last ?? {}).toSorted();
      expect(record?.managed).toEqual(managed);
      const names = ['work_mem', 'jit', 'random_page_cost', 'log_temp_files'];
      expect(Object.keys(postgresql.parameters).filter((name) => names.includes(name))).toHaveLength(managed.length);
      expect(postgresql.parameters).toMatchObject(last ?? {});
    }
  });

  test('says so when somebody changes the configuration while it waits for the members', async () => {
    const [member] = lab.groups[1]?.members ?? [];
    if (member === undefined) throw new Error('No group 1');
    const waiting = configure({ work_mem: '9MB', shared_buffers: '20MB' }, 60);
    for (;;) {
      if ((await configOf(1)).postgresql.parameters['work_mem'] === '9MB') break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await rest(lab, member, 'PATCH', '/config', { postgresql: { parameters: { work_mem: '10MB' } } });
    const { code, out } = await waiting;
    expect(code, out).toBe(1);
    expect(out).toContain("Group 1: somebody else has changed Patroni's configuration since this run did");
  });

  test('warns where no server of a group can be asked whether it takes the values, though nothing is to be sent', async () => {
    expect(await configure({ work_mem: '10MB' }, 60)).toMatchObject({ code: 0 });
    const only = lab.nodes[2];
    await only?.stop();
    try {
      const { code, out } = await configure({ work_mem: '10MB' }, 3);
      expect(code, out).toBe(0);
      expect(out).toMatch(
        /WARNING: Group 1: no server could be asked whether it takes these values \(.*ECONNREFUSED.*\)/,
      );
      expect(out).not.toContain('Group 0 (coordinator): no server');
    } finally {
      await only?.start();
    }
  });

  test('goes on where the leader of the first group cannot be asked: that may be what it is to mend', async () => {
    const leader = lab.nodes[0];
    await leader?.stop();
    try {
      const { code, out } = await configure({ work_mem: '8MB' }, 3);
      expect(code).toBe(1);
      expect(out).toMatch(/WARNING: Another run of configure would not be noticed: the leader .* \(.*ECONNREFUSED.*\)/);
      expect(out).toContain('citusdemo-0-0: its server is stopped');
      for (const group of [0, 1]) expect((await configOf(group)).postgresql.parameters['work_mem']).toBe('8MB');
    } finally {
      await leader?.start();
    }
    const { code, out } = await configure({ work_mem: '8MB' }, 60);
    expect(code, out).toBe(0);
  });
});
