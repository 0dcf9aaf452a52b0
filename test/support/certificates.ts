/**
 * X.509 certificates for tests, written out in DER with nothing but Node (RFC 5280): openssl is not on every machine
 * that runs the tests, and keys do not belong into a repository. ECDSA on P-256, so that making them takes no time.
 *
 *     const authority = createAuthority('Test CA');
 *     const { certificate, key } = authority.issue({ commonName: 'postgres', dns: ['localhost'], ip: ['127.0.0.1'] });
 *     authority.certificate                                     // ca.crt, all of them PEM
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface Identity {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  readonly dns?: readonly string[];
  /** IPv4 only. */
  readonly ip?: readonly string[];
  /** Default: from yesterday, for ten years. */
  readonly validFrom?: Date;
  readonly validTo?: Date;
}

export interface Authority {
  readonly certificate: string;
  issue(request: CertificateRequest): Identity;
}

const DAY_MS = 86_400_000;

export function createAuthority(commonName: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { commonName, key: keys.privateKey };
  return {
    certificate: signedCertificate({ commonName }, keys.publicKey, issuer, [
      extension('2.5.29.19', sequence(boolean(true)), true),
    ]),
    issue(request) {
      const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const usages = extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2')));
      return {
        certificate: signedCertificate(request, own.publicKey, issuer, [usages, ...alternativeNames(request)]),
        key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

function alternativeNames({ dns = [], ip = [] }: CertificateRequest): readonly Buffer[] {
  if (dns.length + ip.length === 0) return [];
  const names = [
    ...dns.map((each) => tagged(0x82, Buffer.from(each, 'latin1'))),
    ...ip.map((each) => {
      if (!isIPv4(each)) throw new Error(`Not an IPv4 address: ${each}`);
      return tagged(0x87, Buffer.from(each.split('.').map(Number)));
    }),
  ];
  return [extension('2.5.29.17', sequence(...names))];
}

function signedCertificate(
  { commonName, validFrom = new Date(Date.now() - DAY_MS), validTo }: CertificateRequest,
  publicKey: KeyObject,
  issuer: { readonly commonName: string; readonly key: KeyObject },
  extensions: readonly Buffer[],
): string {
  const end = validTo ?? new Date(Date.now() + 3650 * DAY_MS);
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    distinguishedName(issuer.commonName),
    sequence(time(validFrom), time(end)),
    distinguishedName(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const certificate = sequence(body, algorithm, bitString(sign('sha256', body, issuer.key)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('2.5.4.3'), tagged(0x0c, Buffer.from(commonName)))));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

function tagged(tag: number, content: Buffer): Buffer {
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]));
}

function bitString(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function time(date: Date): Buffer {
  return tagged(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]|\..*$/g, '')}Z`));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const digits = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tagged(0x06, Buffer.from([first * 40 + second, ...bytes]));
}
