import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type Ended, runCommandLine } from '../support/commandLine.ts';
import { startFakePatroni } from '../support/fakePatroni.ts';
import { type LabMember, type PatroniLab, REST_USER, rest } from '../support/patroniLab.ts';
import { findPatroni, startRealPatroni } from '../support/realPatroni.ts';

const programs = await findPatroni();
const labs: readonly (readonly [string, () => Promise<PatroniLab>])[] = [
  ["a stand-in for Patroni's REST API, not Patroni itself", startFakePatroni],
  ...(programs === undefined ? [] : [['real Patroni', () => startRealPatroni(programs)] as const]),
];
if (programs === undefined) {
  console.log('configure: no Patroni with etcd and Citus on this machine; only the stand-in for its REST API is run');
}

describe.each(labs)('configure with %s', (_, start) => {
  let lab: PatroniLab;
  let folder: string;

  beforeAll(async () => {
    lab = await start();
    console.log(`configure runs with ${lab.description}`);
    folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-configure-'));
    await writeFile(path.join(folder, 'superuser'), lab.password);
    await writeFile(path.join(folder, 'restapi'), lab.restPassword);
    await writeFile(path.join(folder, 'wrong'), 'wrong password');
  });

  afterAll(async () => {
    await lab?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function spec(parameters: Record<string, unknown>, more: Record<string, unknown> = {}): string {
    const leader = member(0, 0);
    return stringify({
      cluster: {
        name: 'citusdemo',
        passwordFile: path.join(folder, 'superuser'),
        coordinator: { host: leader.host, port: leader.port },
        workers: [{ group: 1, host: member(1, 0).host, port: member(1, 0).port }],
      },
      patroni: {
        credentials: { username: REST_USER, passwordFile: path.join(folder, 'restapi') },
        timeoutSeconds: 60,
        parameters,
        groups: lab.groups.map(({ group, members }) => ({
          group,
          members: members.map(({ host, port, restPort }) => ({ host, port, restPort })),
        })),
        ...more,
      },
    });
  }

  function member(group: number, index: number): LabMember {
    const found = lab.groups[group]?.members[index];
    if (found === undefined) throw new Error(`No member ${index} of group ${group}`);
    return found;
  }

  async function configure(text: string, ...options: readonly string[]): Promise<Ended> {
    const file = path.join(folder, 'spec.yaml');
    await writeFile(file, text);
    return await runCommandLine(['configure', '--spec', file, ...options]);
  }

  async function show(at: LabMember, name: string): Promise<string> {
    const client = new pg.Client({
      host: at.host,
      port: at.port,
      user: 'postgres',
      database: 'postgres',
      password: lab.password,
    });
    await client.connect();
    try {
      const { rows } = await client.query('SELECT current_setting($1) AS value', [name]);
      return rows[0].value;
    } finally {
      await client.end();
    }
  }

  async function parameters(group: number): Promise<Record<string, unknown>> {
    const { body } = await rest(lab, member(group, 0), 'GET', '/config');
    return (body as { postgresql: { parameters: Record<string, unknown> } }).postgresql.parameters;
  }

  test('only prints what would change with --dry-run', async () => {
    const before = await parameters(0);
    const { code, out } = await configure(spec({ work_mem: '5MB', max_connections: 120 }), '--dry-run');
    expect(code).toBe(0);
    expect(out).toContain('  max_connections: 100 -> 120\n  work_mem: 4MB -> 5MB\n');
    expect(await parameters(0)).toEqual(before);
  });

  test('puts reloadable parameters into force on every member, and says which wait for a restart', async () => {
    const { code, out } = await configure(spec({ work_mem: '5MB', max_connections: 120, random_page_cost: 1.1 }));
    expect(code).toBe(0);
    expect(out).toContain('✓ work_mem = 5MB');
    expect(out).toContain('✓ random_page_cost = 1.1');
    expect(out).toContain('max_connections = 120: waits for a restart of citusdemo-0-0, citusdemo-0-1');
    expect(out).toContain(
      '    patronictl restart citusdemo citusdemo-0-1 --group 0 --pending\n    patronictl restart citusdemo citusdemo-0-0 --group 0 --pending\n',
    );
    for (const index of [0, 1]) {
      expect(await show(member(0, index), 'work_mem')).toBe('5MB');
      expect(await show(member(0, index), 'max_connections')).toBe('100');
    }
    expect(await parameters(0)).toMatchObject({ work_mem: '5MB', max_connections: 120, random_page_cost: '1.1' });
  });

  test('changes nothing the second time and says so, restarts that are still due included', async () => {
    const before = await rest(lab, member(0, 0), 'GET', '/config');
    const { code, out } = await configure(spec({ work_mem: '5MB', max_connections: 120, random_page_cost: 1.1 }));
    expect(code).toBe(0);
    expect(out).toContain('nothing to change, 2 parameters in force');
    expect(out).toContain('max_connections = 120: waits for a restart of citusdemo-0-0, citusdemo-0-1');
    expect(out).toContain('\nNothing was changed\n');
    expect(await rest(lab, member(0, 0), 'GET', '/config')).toEqual(before);
  });

  test('restarts replicas first and then the primary when asked, by a switchover to the standby', async () => {
    const text = spec(
      { work_mem: '5MB', max_connections: 120, random_page_cost: 1.1 },
      { restart: 'whenNeeded', allowInterruption: true },
    );
    const { code, out } = await configure(text);
    expect(code).toBe(0);
    expect(out).toMatch(
      /Restarting replica citusdemo-0-1\.\.\.\n.*is back.*\n.*Switching over from citusdemo-0-0 to citusdemo-0-1/,
    );
    expect(out).toContain('Parameters are in force!');
    for (const { members } of lab.groups) {
      for (const each of members) expect(await show(each, 'max_connections')).toBe('120');
    }
    expect((await configure(text)).out).toContain('Nothing was changed');
  });

  test('makes a decrease on the primary first, and the increase beside it on the standby first', async () => {
    const wanted = { work_mem: '5MB', max_connections: 90, max_worker_processes: 20, random_page_cost: 1.1 };
    const { code, out } = await configure(spec(wanted, { restart: 'whenNeeded', allowInterruption: true }));
    expect(code).toBe(0);
    // the last test made 0-1 the primary
    expect(out.match(/Restarting (replica|primary) citusdemo-0-\d/g)).toEqual([
      'Restarting replica citusdemo-0-0',
      'Restarting primary citusdemo-0-1',
      'Restarting replica citusdemo-0-0',
    ]);
    for (const index of [0, 1]) {
      expect(await show(member(0, index), 'max_connections')).toBe('90');
      expect(await show(member(0, index), 'max_worker_processes')).toBe('20');
    }
  });

  test('returns what is no longer wanted to its default, and leaves what was set by hand', async () => {
    await rest(lab, member(0, 0), 'PATCH', '/config', {
      postgresql: { parameters: { log_min_duration_statement: '5s' } },
    });
    const { code, out } = await configure(spec({ max_connections: 90, max_worker_processes: 20 }));
    expect(code).toBe(0);
    expect(out).toContain('✓ work_mem is back at its default');
    expect(await show(member(0, 0), 'work_mem')).toBe('4MB');
    const left = await parameters(0);
    expect(Object.keys(left)).not.toContain('work_mem');
    expect(Object.keys(left)).not.toContain('random_page_cost');
    expect(left['log_min_duration_statement']).toBe('5s');
  });

  test('sends nothing at all when a value is wrong, and names every problem', async () => {
    const before = await parameters(0);
    const wrong = {
      work_mem: '16mb',
      work_memm: '1MB',
      max_connections: 10_000_000,
      timezone: 'Mars/Olympus',
      shared_preload_libraries: 'no_such_library',
      effective_cache_size: '1GB',
    };
    const { code, out } = await configure(spec(wrong));
    expect(code).toBe(2);
    expect(out).toMatch(/^ERROR: The parameters have \d problems:$/m);
    expect(out).toContain("work_mem takes one of the units B, kB, MB, GB, TB, not 'mb' as in '16mb'; write MB");
    expect(out).toContain('work_memm is no parameter of this server; did you mean work_mem?');
    expect(out).toContain('max_connections takes 1 to 262143, not 10000000');
    expect(out).toMatch(/timezone does not take 'Mars\/Olympus': .*\(SQLSTATE 22023\)/);
    expect(out).toContain('shared_preload_libraries names no_such_library, of which the server has no file');
    expect(await parameters(0)).toEqual(before);
  });

  test('tells wrong credentials of the REST API from other troubles', async () => {
    const credentials = { username: REST_USER, passwordFile: path.join(folder, 'wrong') };
    const { code, out } = await configure(
      spec({ max_connections: 90, max_worker_processes: 20, work_mem: '7MB' }, { credentials }),
    );
    expect(code).toBe(1);
    expect(out).toContain(`Patroni's REST API does not accept the credentials of user ${REST_USER}`);
    expect(out).toContain('Cause: HTTP 401: not authenticated');
    expect(await parameters(0)).not.toHaveProperty('work_mem');
  });

  test('does not call in force what it cannot see', async () => {
    const text = spec({ max_connections: 90, max_worker_processes: 20, work_mem: '7MB' }).replace(
      path.join(folder, 'superuser'),
      path.join(folder, 'wrong'),
    );
    const { code, out } = await configure(text);
    expect(code).toBe(1);
    expect(out).toContain('Group 0 (coordinator): what is in force cannot be seen');
    expect(out).toMatch(/citusdemo-0-0: .*\(SQLSTATE 28P01\)/);
    expect(out).not.toContain('Parameters are in force!');
  });

  test('says what outweighs the configuration where a member does not take it', async () => {
    const at = member(0, 0);
    await alterSystem(at, 'SET work_mem = 1234');
    try {
      const { code, out } = await configure(spec({ max_connections: 90, max_worker_processes: 20, work_mem: '7MB' }));
      expect(code).toBe(1);
      expect(out).toMatch(/citusdemo-0-0: work_mem is 1234, not 7MB \(set by .*postgresql\.auto\.conf\)/);
    } finally {
      await alterSystem(at, 'RESET work_mem');
    }
    const { code, out } = await configure(spec({ max_connections: 90, max_worker_processes: 20, work_mem: '7MB' }));
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('Nothing was changed') });
  });

  test('refuses to restart a primary without a replica, and restarts the others all the same', async () => {
    const wanted = { max_connections: 95, max_worker_processes: 20, work_mem: '7MB' };
    const { code, out } = await configure(spec(wanted, { restart: 'whenNeeded' }));
    expect(code).toBe(3);
    expect(out).toContain(
      'Group 1: the primary citusdemo-1-0 has to be restarted, and the group has no healthy replica',
    );
    expect(await show(member(0, 0), 'max_connections')).toBe('95');
    expect(await show(member(1, 0), 'max_connections')).toBe('90');
  });

  async function alterSystem(at: LabMember, what: string): Promise<void> {
    const client = new pg.Client({
      host: at.host,
      port: at.port,
      user: 'postgres',
      database: 'postgres',
      password: lab.password,
    });
    await client.connect();
    await client.query(`ALTER SYSTEM ${what}`);
    await client.query('SELECT pg_reload_conf()');
    await client.end();
  }
});
