/** scripts/generate-ssl-certs.sh, judged by OpenSSL and by Node's TLS. Needs no cluster; tls.test.ts uses the result in one. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attempt, type Outcome } from './support/command.ts';
import { repository } from './support/release.ts';

const script = path.join(repository, 'scripts', 'generate-ssl-certs.sh');

describe('generate-ssl-certs.sh', () => {
  let folder: string;
  const generate = (...args: string[]): Promise<Outcome> => attempt(script, ['--out', folder, ...args]);
  const certificate = (name: string) => new X509Certificate(readFileSync(path.join(folder, name)));

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-certificates-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('makes an authority and a certificate that OpenSSL accepts for server and client', async () => {
    expect((await generate()).code).toBe(0);
    expect(readdirSync(folder).toSorted()).toEqual(['ca.crt', 'ca.key', 'server.crt', 'server.key', 'settings']);
    for (const purpose of ['sslserver', 'sslclient']) {
      const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.crt', 'server.crt'];
      const paths = args.map((each) => (each.includes('.') ? path.join(folder, each) : each));
      expect(await attempt('openssl', paths)).toMatchObject({ code: 0 });
    }
    const server = certificate('server.crt');
    expect(server.subject).toBe('CN=postgres');
    expect(server.ca).toBe(false);
    expect(server.keyUsage?.toSorted()).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(certificate('ca.crt').ca).toBe(true);
    expect(server.verify(certificate('ca.crt').publicKey)).toBe(true);
  });

  test('renewed without options, it has the names that it had', async () => {
    await generate('--cluster', 'ops', '--namespace', 'data', '--groups', '0-1', '--domain', 'k8s.local');
    const names = certificate('server.crt').subjectAltName;
    for (const name of ['server.crt', 'server.key']) rmSync(path.join(folder, name));
    expect((await generate()).code).toBe(0);
    expect(certificate('server.crt').subjectAltName).toBe(names);
    expect(names).toContain('DNS:ops-1.data.svc.k8s.local');
  });

  test('is valid for localhost, each leader Service and each pod, in all their forms, and for nothing else', async () => {
    await generate();
    const server = certificate('server.crt');
    for (const host of [
      'localhost',
      'citusdemo-0',
      'citusdemo-9',
      'citusdemo-1.default',
      'citusdemo-1.default.svc',
      'citusdemo-1.default.svc.cluster.local',
      'citusdemo-2-0.citusdemo-pods.default',
      'citusdemo-2-0.citusdemo-pods.default.svc.cluster.local',
    ]) {
      expect(server.checkHost(host), host).toBeDefined();
    }
    // libpq takes a wildcard before a single label, Node and OpenSSL do not.
    expect(server.subjectAltName?.split(', ')).toContain('DNS:*.citusdemo-pods');
    for (const host of ['postgres', 'citusdemo', 'citusdemo-10', 'other-0', 'citusdemo-0.kube-system', 'example.org']) {
      expect(server.checkHost(host, { subject: 'never' }), host).toBeUndefined();
    }
  });

  test('is valid for 127.0.0.1 and ::1', async () => {
    await generate();
    expect(certificate('server.crt').checkIP('127.0.0.1')).toBeDefined();
    expect(certificate('server.crt').checkIP('::1')).toBeDefined();
  });

  test('takes cluster, namespace, groups, domain and days', async () => {
    const options = '--cluster shop --namespace data --groups 0-1,12 --domain k8s.example --days 30'.split(' ');
    const { code, stdout } = await generate(...options);
    expect(code).toBe(0);
    const server = certificate('server.crt');
    for (const host of ['shop-0', 'shop-1.data', 'shop-12.data.svc.k8s.example']) {
      expect(server.checkHost(host)).toBeDefined();
    }
    expect(server.checkHost('shop-2')).toBeUndefined();
    const days = (new Date(server.validTo).getTime() - new Date(server.validFrom).getTime()) / 86_400_000;
    expect(days).toBe(30);
    expect(stdout).toContain(
      [
        'kubectl create secret generic shop-ssl-certs \\',
        '  --namespace data \\',
        `  --from-file=ca.crt=${folder}/ca.crt \\`,
        `  --from-file=server.crt=${folder}/server.crt \\`,
        `  --from-file=server.key=${folder}/server.key`,
      ].join('\n'),
    );
  });

  test('keeps all files to their owner', async () => {
    await generate();
    for (const file of readdirSync(folder)) expect(statSync(path.join(folder, file)).mode & 0o777).toBe(0o600);
  });

  test('never overwrites, and says what is in the way', async () => {
    await generate();
    const before = readFileSync(path.join(folder, 'server.crt'), 'utf8');
    const { code, stderr } = await generate();
    expect(code).toBe(1);
    expect(stderr).toContain('server.crt is there already');
    expect(readFileSync(path.join(folder, 'server.crt'), 'utf8')).toBe(before);
  });

  test('renews with the authority that is there, so that clients go on trusting it', async () => {
    await generate();
    const [authority, old] = [certificate('ca.crt'), certificate('server.crt')];
    rmSync(path.join(folder, 'server.crt'));
    rmSync(path.join(folder, 'server.key'));
    expect((await generate()).stdout).toContain('Signed by the certificate authority that was in');
    expect(certificate('ca.crt').fingerprint256).toBe(authority.fingerprint256);
    expect(certificate('server.crt').serialNumber).not.toBe(old.serialNumber);
    expect(certificate('server.crt').verify(authority.publicKey)).toBe(true);
  });

  test('does not sign with half an authority', async () => {
    await generate();
    for (const file of ['ca.key', 'server.crt', 'server.key']) rmSync(path.join(folder, file));
    const { code, stderr } = await generate();
    expect(code).toBe(1);
    expect(stderr).toContain('only one of ca.crt and ca.key');
    expect(readdirSync(folder)).toEqual(['ca.crt', 'settings']);
  });

  test.each([
    [['--groups', '2-1'], "--groups '2-1'"],
    [['--groups', 'all'], "--groups 'all'"],
    [['--days', '0'], "--days '0'"],
    [['--cluster', 'My_Cluster'], "--cluster 'My_Cluster'"],
    [['--namespace', 'a,DNS:evil'], "--namespace 'a,DNS:evil'"],
    [['--days'], '--days needs a value'],
    [['--force'], 'unknown option --force'],
  ])('refuses %j and makes nothing', async (args, message) => {
    const { code, stderr } = await generate(...args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(readdirSync(folder)).toEqual([]);
  });
});
