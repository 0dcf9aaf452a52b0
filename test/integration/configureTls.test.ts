import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { createAuthority } from '../support/certificates.ts';
import { runCommandLine } from '../support/commandLine.ts';
import { startFakePatroni } from '../support/fakePatroni.ts';
import { type LabTls, type PatroniLab, REST_USER, rest } from '../support/patroniLab.ts';
import { findPatroni, startRealPatroni } from '../support/realPatroni.ts';

const programs = await findPatroni();
const labs: readonly (readonly [string, (tls: LabTls) => Promise<PatroniLab>])[] = [
  ["a stand-in for Patroni's REST API, not Patroni itself", (tls) => startFakePatroni({ tls })],
  ...(programs === undefined ? [] : [['real Patroni', (tls: LabTls) => startRealPatroni(programs, { tls })] as const]),
];
if (programs === undefined) {
  console.log('configure: no Patroni with etcd and Citus on this machine; only the stand-in for its REST API is run');
}

/** A REST API with credentials that speaks HTTPS and wants a certificate of its clients (verify_client: required). */
describe.each(labs)('configure over HTTPS with %s', (_, start) => {
  const authority = createAuthority('Cluster CA');
  const server = authority.issue({ commonName: 'patroni', ip: ['127.0.0.1'] });
  const own = authority.issue({ commonName: 'postgres' });
  let lab: PatroniLab;
  let folder: string;

  beforeAll(async () => {
    lab = await start({ ca: authority.certificate, ...server });
    console.log(`configure runs with ${lab.description}`);
    folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-configure-'));
    const files = {
      superuser: lab.password,
      restapi: lab.restPassword,
      wrong: 'a very wrong password',
      'ca.crt': authority.certificate,
      'server.crt': own.certificate,
      'server.key': own.key,
      'other.crt': createAuthority('Another CA').certificate,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text, { mode: 0o600 });
  });

  afterAll(async () => {
    await lab?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function configure(patroni: Record<string, unknown>): Promise<{ readonly code: number; readonly out: string }> {
    const file = path.join(folder, 'spec.yaml');
    const [coordinator, worker] = lab.groups.map(({ members }) => members[0]);
    const document = {
      cluster: {
        name: 'citusdemo',
        passwordFile: path.join(folder, 'superuser'),
        coordinator: { host: coordinator?.host, port: coordinator?.port },
        workers: [{ group: 1, host: worker?.host, port: worker?.port }],
      },
      patroni: {
        credentials: { username: REST_USER, passwordFile: path.join(folder, 'restapi') },
        tls: { directory: folder },
        timeoutSeconds: 30,
        groups: lab.groups.map(({ group, members }) => ({
          group,
          members: members.map(({ host, port, restPort }) => ({ host, port, restPort })),
        })),
        ...patroni,
      },
    };
    await writeFile(file, stringify(document));
    return await runCommandLine(['configure', '--spec', file]);
  }

  async function config(): Promise<string> {
    const member = lab.groups[0]?.members[0];
    if (member === undefined) throw new Error('No member');
    const { status, body } = await rest(lab, member, 'GET', '/config');
    expect(status).toBe(200);
    return JSON.stringify(body);
  }

  test('verifies the certificate, shows its own, and changes what it may', async () => {
    const { code, out } = await configure({ parameters: { work_mem: '5MB' } });
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('✓ work_mem = 5MB') });
    expect(await config()).toContain('"work_mem":"5MB"');
  });

  test('restarts and switches over', async () => {
    const { code, out } = await configure({
      parameters: { work_mem: '5MB', max_connections: 120 },
      restart: 'whenNeeded',
      allowInterruption: true,
    });
    expect(code, out).toBe(0);
    expect(out).toMatch(/Restarting replica citusdemo-0-1\.\.\.\n.*is back.*\n.*Switching over from citusdemo-0-0/);
    expect(out).toContain('Parameters are in force!');
  });

  const right = () => ({ username: REST_USER, passwordFile: path.join(folder, 'restapi') });
  const wrong = () => ({ username: REST_USER, passwordFile: path.join(folder, 'wrong') });

  test.each<[string, Record<string, unknown>, () => unknown, RegExp]>([
    ['another authority', { ca: 'other.crt' }, right, /\(HTTPS, port \d+\).*\n\s*Cause: .*(certificate|signature)/i],
    ['HTTP where HTTPS is spoken', { enabled: false }, right, /does not answer \(HTTP, port \d+\)/],
    ['a wrong password', {}, wrong, /does not accept the credentials of user patroni/],
    ['no credentials', {}, () => undefined, /asks for credentials, and the spec has none/],
  ])('%s: nothing is changed, and no password is printed', async (_, tls, credentials, message) => {
    const before = await config();
    const { code, out } = await configure({
      parameters: { work_mem: '6MB', max_connections: 120 },
      timeoutSeconds: 4,
      tls: { directory: folder, ...tls },
      credentials: credentials(),
    });
    expect(code, out).toBe(1);
    expect(out).toMatch(message);
    expect(out).not.toContain('wrong password');
    expect(out).not.toContain(lab.restPassword);
    expect(await config()).toBe(before);
  });
});
