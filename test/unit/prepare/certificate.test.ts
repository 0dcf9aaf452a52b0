import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issue, makeAuthority, type Pair } from '../../../src/certificates/certificate.ts';

const now = new Date();
const names = ['localhost', '127.0.0.1', '::1', 'citusdemo-0', 'citusdemo-0.shop.svc', '*.citusdemo-pods.shop.svc'];

describe('certificates', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'citus-databases-certificates-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function file(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  function openssl(...args: string[]): string {
    return execFileSync('openssl', args, { encoding: 'utf8' });
  }

  function verified(authority: Pair, server: Pair, name: string): string {
    const ca = file('ca.crt', authority.certificate);
    return openssl(
      ...['verify', '-x509_strict', '-CAfile', ca, '-verify_hostname', name, file('server.crt', server.certificate)],
    );
  }

  test('are what OpenSSL accepts, strictly, under each of their names', () => {
    const authority = makeAuthority('citusdemo CA', 3650, now);
    const server = issue({ commonName: 'postgres', names, days: 825 }, authority, now);
    for (const name of ['localhost', 'citusdemo-0', 'citusdemo-0.shop.svc', 'citusdemo-1-0.citusdemo-pods.shop.svc']) {
      expect(verified(authority, server, name)).toContain('OK');
    }
    expect(() => verified(authority, server, 'citusdemo-9')).toThrow();
    const text = openssl('x509', '-noout', '-text', '-in', join(folder, 'server.crt'));
    expect(text).toContain('Subject: CN = postgres');
    expect(text).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    expect(text).toContain('IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
    expect(text).toMatch(/Authority Key Identifier/);
  });

  test('have keys that belong to them, and last as long as was asked', () => {
    const authority = makeAuthority('citusdemo CA', 30_000, now);
    const server = issue({ commonName: 'postgres', names, days: 10 }, authority, now);
    for (const pair of [authority, server]) {
      expect(new X509Certificate(pair.certificate).checkPrivateKey(createPrivateKey(pair.key))).toBe(true);
    }
    expect(new Date(new X509Certificate(server.certificate).validTo).getTime() - now.getTime()).toBeCloseTo(
      10 * 86_400_000,
      -4,
    );
    // Beyond 2050 the date is written with four digits of the year.
    expect(new X509Certificate(authority.certificate).validTo).toMatch(/ 21\d\d GMT$/);
  });

  test.each([
    ['RSA, as Helm made it', ['-newkey', 'rsa:2048']],
    [
      'an elliptic curve, as scripts/generate-ssl-certs.sh made it',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ],
  ])('are signed by an authority that somebody else made: %s', (_, key) => {
    const [crt, pem] = [join(folder, 'other.crt'), join(folder, 'other.key')];
    openssl(
      ...['req', '-x509', ...key, '-nodes', '-days', '30', '-subj', '/O=Shop/CN=other CA', '-keyout', pem, '-out', crt],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
    const authority = {
      certificate: openssl('x509', '-in', crt),
      key: openssl('pkey', '-in', pem),
    };
    const server = issue({ commonName: 'postgres', names, days: 20 }, authority, now);
    expect(verified(authority, server, 'citusdemo-0')).toContain('OK');
  });

  test('serve a server and its client, who proves itself with the same certificate', async () => {
    const authority = makeAuthority('citusdemo CA', 10, now);
    const { certificate: cert, key } = issue({ commonName: 'postgres', names, days: 5 }, authority, now);
    const ca = authority.certificate;
    const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const peer = await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca, cert, key, servername: 'citusdemo-0' }, () => {
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        resolve(String(CN));
      });
      socket.on('error', reject);
    });
    server.close();
    expect(peer).toBe('postgres');
  });
});
