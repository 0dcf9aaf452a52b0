import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateNamesHost, matchesHost } from '../../../src/postgres/serverName.ts';
import { loadTls } from '../../../src/postgres/tls.ts';
import { Failure } from '../../../src/report/errors.ts';
import type { SslMode, SslSpec } from '../../../src/spec/types.ts';
import { createAuthority } from '../../support/certificates.ts';

const authority = createAuthority('Authority');

describe('matchesHost, by the rules of libpq', () => {
  test.each<[string, string, boolean]>([
    ['db.example', 'db.example', true],
    ['DB.example', 'db.EXAMPLE', true],
    ['*.example', 'db.example', true],
    ['*.citusdemo-pods', 'citusdemo-0-0.citusdemo-pods', true],
    ['*.example', 'a.b.example', false],
    ['*.example', 'example', false],
    ['*.example', '.example', false],
    ['d*.example', 'db.example', false],
    ['db.*', 'db.example', false],
    ['*', 'db', false],
    ['*.', 'db.', false],
    ['db.example', 'db.example.org', false],
    ['ü.example', 'Ü.example', false],
  ])('%s for %s: %s', (pattern, host, expected) => {
    expect(matchesHost(pattern, host)).toBe(expected);
  });
});

describe('certificateNamesHost', () => {
  test.each<[string, { commonName: string; dns?: string[]; ip?: string[] }, string, boolean]>([
    ['alternative name', { commonName: 'x', dns: ['db'] }, 'db', true],
    ['common name beside alternative names', { commonName: 'db', dns: ['x'] }, 'db', false],
    ['common name beside an address', { commonName: 'db', ip: ['10.0.0.1'] }, 'db', true],
    ['common name alone', { commonName: 'db' }, 'db', true],
    ['address', { commonName: 'x', ip: ['10.0.0.1'] }, '10.0.0.1', true],
    ['other address', { commonName: '10.0.0.1', ip: ['10.0.0.2'] }, '10.0.0.1', false],
    ['address as alternative name', { commonName: 'x', dns: ['10.0.0.1'] }, '10.0.0.1', true],
    ['address as common name', { commonName: '10.0.0.1' }, '10.0.0.1', true],
    ['address by wildcard', { commonName: '*.0.0.1' }, '10.0.0.1', false],
    ['a name that pretends to be two', { commonName: 'x', dns: ['evil, DNS:db'] }, 'db', false],
    ['a name after an unusual one', { commonName: 'x', dns: ['a,"b', 'db'] }, 'db', true],
  ])('%s', (_, request, host, expected) => {
    expect(certificateNamesHost(new X509Certificate(authority.issue(request).certificate), host)).toBe(expected);
  });
});

describe('loadTls', () => {
  let directory: string;
  const identity = authority.issue({ commonName: 'postgres' });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'citus-databases-'));
    const files = {
      'ca.crt': authority.certificate,
      'own.crt': identity.certificate,
      'own.key': identity.key,
      'other.key': authority.issue({ commonName: 'other' }).key,
      'empty.crt': '',
      'broken.crt': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  });
  afterAll(() => rm(directory, { recursive: true }));

  function spec(mode: SslMode, more: Partial<SslSpec> = {}): SslSpec {
    const files = { ca: 'ca.crt', certificate: 'none.crt', key: 'none.key', nodeDirectory: '/nodes' };
    return { enabled: true, mode, directory, ...files, ...more };
  }

  async function failure(ssl: SslSpec): Promise<string> {
    const error = await loadTls(ssl).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Failure)) throw new Error(`Not a Failure: ${error}`);
    expect(error.details.kind).toBe('invalid');
    // the number differs between versions of OpenSSL
    return error.message.replaceAll(directory, '/ssl').replaceAll(/error:[0-9A-F]+:/g, 'error:');
  }

  test('the chain is verified when the authority is there, whatever the mode', async () => {
    expect((await loadTls(spec('require'))).verifiesChain).toBe(true);
    expect((await loadTls(spec('prefer'))).verifiesChain).toBe(true);
    expect((await loadTls(spec('require', { ca: 'none.crt' }))).verifiesChain).toBe(false);
    expect((await loadTls(spec('verify-ca'))).verifiesChain).toBe(true);
  });

  test('without TLS no file is read', async () => {
    const broken = { ca: 'broken.crt' };
    expect(await loadTls(spec('disable', broken))).toMatchObject({ mode: 'disable', context: undefined });
    expect(await loadTls(spec('prefer', { ...broken, enabled: false }))).toMatchObject({
      mode: 'prefer',
      verifiesChain: false,
    });
  });

  test('a certificate of our own is used when it is there', async () => {
    const settings = await loadTls(spec('require', { certificate: 'own.crt', key: 'own.key' }));
    expect(settings.context).not.toBe(undefined);
  });

  test.each<[string, Partial<SslSpec>]>([
    ['authority missing', { ca: 'none.crt' }],
    ['authority empty', { ca: 'empty.crt' }],
    ['authority broken', { ca: 'broken.crt' }],
    ['authority is a directory', { ca: '.' }],
    ['key missing', { certificate: 'own.crt' }],
    ['key of another certificate', { certificate: 'own.crt', key: 'other.key' }],
  ])('%s', async (_, more) => {
    expect(await failure(spec('verify-ca', more))).toMatchSnapshot();
  });
});
