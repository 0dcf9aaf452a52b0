import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { type Ended, runCommandLine } from '../support/commandLine.ts';
import { type FakeLab, startFakePatroni } from '../support/fakePatroni.ts';
import { REST_USER } from '../support/patroniLab.ts';

/** Members that are away, and members of which only one side knows. All with the stand-in for Patroni. */
describe("configure, with a stand-in for Patroni's REST API and members that come and go", () => {
  let lab: FakeLab;
  let folder: string;

  beforeAll(async () => {
    lab = await startFakePatroni();
    console.log(`configure runs with ${lab.description}`);
    folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-configure-'));
    await writeFile(path.join(folder, 'superuser'), lab.password, { mode: 0o600 });
    await writeFile(path.join(folder, 'restapi'), lab.restPassword, { mode: 0o600 });
  });

  afterAll(async () => {
    await lab?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function configure(patroni: Record<string, unknown>): Promise<Ended> {
    const [group] = lab.groups;
    const file = path.join(folder, 'spec.yaml');
    const document = {
      cluster: {
        name: 'citusdemo',
        passwordFile: path.join(folder, 'superuser'),
        coordinator: { host: '127.0.0.1', port: lab.nodes[0]?.port },
      },
      patroni: {
        credentials: { username: REST_USER, passwordFile: path.join(folder, 'restapi') },
        timeoutSeconds: 10,
        groups: [{ group: 0, members: group?.members.map(({ host, port, restPort }) => ({ host, port, restPort })) }],
        ...patroni,
      },
    };
    await writeFile(file, stringify(document));
    return await runCommandLine(['configure', '--spec', file]);
  }

  test('warns of a member that Patroni does not know, and goes on', async () => {
    const [group] = lab.groups;
    const members = [{ host: '127.0.0.1', port: 1, restPort: 1 }, ...(group?.members ?? []).map(withoutName)];
    const { code, out } = await configure({ parameters: { work_mem: '7MB' }, groups: [{ group: 0, members }] });
    expect(code).toBe(0);
    expect(out).toContain('✓ work_mem = 7MB');
    expect(out).toContain('WARNING: 127.0.0.1:1 is in the spec, but Patroni knows no such member of this group yet');
  });

  test('does not say "in force" where only Patroni says so', async () => {
    const groups = [
      { group: 0, members: (lab.groups[0]?.members ?? []).map((member) => ({ ...withoutName(member), port: 1 })) },
    ];
    const { code, out } = await configure({ parameters: { work_mem: '14MB' }, timeoutSeconds: 8, groups });
    expect(code).toBe(0);
    expect(out).toMatch(
      /WARNING: The server of citusdemo-0-1 could not be asked \(.*ECONNREFUSED.*\): only Patroni says/,
    );
    expect(out).toContain('not asked whether they are in force: citusdemo-0-0, citusdemo-0-1');
    expect(out).not.toContain('Parameters are in force!');
  });

  test('finds members that the spec does not list, and believes their own word', async () => {
    const [group] = lab.groups;
    const members = (group?.members ?? []).slice(0, 1).map(withoutName);
    const { code, out } = await configure({
      parameters: { work_mem: '7MB', max_connections: 130 },
      groups: [{ group: 0, members }],
    });
    expect(code).toBe(0);
    expect(out).toContain('max_connections = 130: waits for a restart of citusdemo-0-0, citusdemo-0-1');
  });

  test('fails while a member is away that may not have what was sent, and only warns when nothing was', async () => {
    const standby = lab.nodes[1];
    await standby?.stop();
    try {
      const first = await configure({ parameters: { work_mem: '9MB', max_connections: 130 } });
      expect(first.code).toBe(1);
      expect(first.out).toContain('not every member could be asked whether it has them');
      expect(first.out).toContain('citusdemo-0-1: its server is stopped');
      const second = await configure({ parameters: { work_mem: '9MB', max_connections: 130 } });
      expect(second.code).toBe(0);
      expect(second.out).toContain('WARNING: citusdemo-0-1 could not be asked (its server is stopped)');
      const third = await configure({
        parameters: { work_mem: '9MB', max_connections: 130 },
        restart: 'whenNeeded',
      });
      expect(third.code).toBe(3);
      expect(third.out).toContain(
        'the primary citusdemo-0-0 has to be restarted, and the group has no healthy replica',
      );
    } finally {
      await standby?.start();
    }
  });

  test('tells the password to nobody who is only asked, and changes nothing at an address that a reply names', async () => {
    const heard: { readonly request: string; readonly authorization: string | undefined }[] = [];
    const stranger = createServer(({ method, url, headers: { authorization } }, outgoing) => {
      heard.push({ request: `${method} ${url}`, authorization });
      const name = 'citusdemo-0-9';
      outgoing.end(
        JSON.stringify({
          state: 'running',
          role: 'replica',
          pending_restart: true,
          pending_restart_reason: { max_connections: { old_value: '130', new_value: '140' } },
          patroni: { name, scope: 'citusdemo' },
        }),
      );
    }).listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    const address = stranger.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const api_url = `http://127.0.0.1:${port}/patroni`;
    const leaks = () =>
      heard.filter(({ request, authorization }) => request !== 'GET /patroni' || authorization !== undefined);
    const ask = async (max_connections: number): Promise<Ended> => {
      const takeOut = lab.list({ name: 'citusdemo-0-9', role: 'replica', state: 'streaming', api_url, lag: 0 });
      try {
        // Patroni's loop and its grace take 4 s.
        const patience = { restart: 'whenNeeded', timeoutSeconds: 8 };
        return await configure({ parameters: { work_mem: '7MB', max_connections }, ...patience });
      } finally {
        takeOut();
      }
    };
    try {
      const first = await ask(140);
      expect(heard.map(({ request }) => request)).toContain('GET /patroni');
      expect(leaks()).toEqual([]);
      expect(first.out).toContain('max_connections = 140: waits for a restart of citusdemo-0-9');
      expect(first.code).toBe(0);
    } finally {
      stranger.close();
    }
  });

  test('keeps the password out of the log where what is between repeats the request, also where that is cut', async () => {
    const [member] = lab.groups[0]?.members ?? [];
    if (member === undefined) throw new Error('no member');
    let repeat = (headers: IncomingHttpHeaders) => `authorization: ${headers.authorization} ${lab.restPassword}`;
    const relay = createServer(async ({ method, url, headers }, outgoing) => {
      if (method !== 'GET') outgoing.writeHead(500).end(repeat(headers));
      else outgoing.end(await (await fetch(`http://127.0.0.1:${member.restPort}${url}`)).text());
    }).listen(0, '127.0.0.1');
    await once(relay, 'listening');
    const address = relay.address();
    const restPort = typeof address === 'object' && address !== null ? address.port : 0;
    const groups = [{ group: 0, members: [{ ...withoutName(member), restPort }] }];
    const basic = Buffer.from(`${REST_USER}:${lab.restPassword}`).toString('base64');
    const fails = async () => {
      const { code, out } = await configure({ parameters: { work_mem: '6MB' }, groups });
      expect({ code, out }).toEqual({ code: 1, out: expect.stringContaining('Basic [redacted]') });
      for (const secret of [basic, lab.restPassword]) expect(out).not.toContain(secret.slice(0, 6));
    };
    try {
      await fails();
      const before = 'x'.repeat(297 - 'Basic '.length - 12);
      repeat = ({ authorization }) => `${before}${authorization}${'y'.repeat(300)}`;
      await fails();
    } finally {
      relay.close();
    }
  });

  interface Imposter {
    readonly member: { readonly host: string; readonly port: number; readonly restPort: number };
    /** Other requests than those that read. */
    readonly sent: readonly string[];
  }

  /** Answers as a member would. It is the operator's own server that SQL would be asked of, so here is none. */
  async function imposter(status: Record<string, unknown>, work_mem = '4MB'): Promise<Imposter> {
    const sent: string[] = [];
    const members = [{ name: status['name'], role: 'leader', state: 'running', api_url: 'http://127.0.0.1:1/patroni' }];
    const { name, scope = 'citusdemo', ...rest } = status;
    const replies: Readonly<Record<string, unknown>> = {
      '/patroni': { state: 'running', ...rest, patroni: { name, scope } },
      '/cluster': { members, scope },
      '/config': { loop_wait: 1, postgresql: { parameters: { work_mem } } },
    };
    const server = createServer(({ method, url }, outgoing) => {
      if (method !== 'GET') sent.push(`${method} ${url}`);
      outgoing.end(JSON.stringify(replies[url ?? '']));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const address = server.address();
    const restPort = typeof address === 'object' && address !== null ? address.port : 0;
    return { member: { host: '127.0.0.1', port: 1, restPort }, sent };
  }

  const known = () => (lab.groups[0]?.members ?? []).map(withoutName);

  test('neither believes nor changes a member of another Patroni cluster', async () => {
    const stranger = await imposter({ name: 'other-0-0', role: 'primary', scope: 'other' });
    const groups = [{ group: 0, members: [...known(), stranger.member] }];
    // At once: waiting would not make it a member.
    const { code, out } = await configure({ parameters: { work_mem: '11MB' }, timeoutSeconds: 300, groups });
    expect({ code, out }).toEqual({
      code: 3,
      out: expect.stringContaining('A member belongs to another Patroni cluster'),
    });
    expect(out).toContain("Its scope is 'other', and patroni.scope of the spec is 'citusdemo'");
    expect(stranger.sent).toEqual([]);
  });

  test('asks the primary of a group, not the member that happens to be listed first', async () => {
    const replica = await imposter({ name: 'citusdemo-0-7', role: 'replica' }, '12MB');
    const groups = [{ group: 0, members: [replica.member, ...known()] }];
    const { code, out } = await configure({ parameters: { work_mem: '12MB' }, groups });
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('✓ work_mem = 12MB') });
    expect(out).toContain(`127.0.0.1:${replica.member.restPort} is in the spec, but Patroni knows no such member`);
    expect(replica.sent).toEqual([]);
  });

  test('fails where two members say that they are the primary', async () => {
    const second = await imposter({ name: 'citusdemo-0-7', role: 'primary' }, '13MB');
    const groups = [{ group: 0, members: [second.member, ...known()] }];
    const { code, out } = await configure({ parameters: { work_mem: '13MB' }, groups });
    expect({ code, out }).toEqual({
      code: 1,
      out: expect.stringContaining('Several members of a group say that they are its primary'),
    });
    expect(second.sent).toEqual([]);
  });

  test('does not restart a leader that the spec does not list', async () => {
    // The switchover before has made it the other one.
    const [group] = lab.groups;
    const members = (group?.members ?? []).slice(0, 1).map(withoutName);
    const { code, out } = await configure({
      parameters: { max_connections: 150 },
      restart: 'whenNeeded',
      groups: [{ group: 0, members }],
    });
    expect(out).toContain('Restarting replica citusdemo-0-0');
    expect(out).toContain('its leader citusdemo-0-1 waits for a restart, and the spec does not list it');
    expect(code).toBe(3);
  });
});

function withoutName({ host, port, restPort }: { host: string; port: number; restPort: number }) {
  return { host, port, restPort };
}
