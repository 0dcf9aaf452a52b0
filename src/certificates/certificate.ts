import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { bitString, integer, objectIdentifier, sequence, TAG, tagged, time, valuesOf } from './der.ts';

/** A certificate and its private key, both as PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface ServerCertificate {
  readonly commonName: string;
  /** DNS names, wildcards included, and IP addresses. */
  readonly names: readonly string[];
  readonly days: number;
}

const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const CRITICAL = tagged(TAG.boolean, Buffer.of(0xff));
/** RFC 5280, 4.2.1.3: bit 0 is digitalSignature; bits 5 and 6 are keyCertSign and cRLSign. */
const DIGITAL_SIGNATURE = bitString(Buffer.of(0x80), 7);
const SIGNS_CERTIFICATES = bitString(Buffer.of(0x06), 1);
const DAY_MS = 86_400_000;
/** Clocks of nodes differ a little. */
const BACKDATED_MS = 300_000;

/** A new certificate authority, which signs server certificates and no further authorities. */
export function makeAuthority(commonName: string, days: number, now: Date): Pair {
  const keys = newKeys();
  const name = distinguishedName(commonName);
  const certificate = signed(
    {
      issuer: name,
      subject: name,
      publicKey: keys.publicKey,
      days,
      now,
      extensions: [
        // Python 3.13, which runs Patroni on newer Debian, refuses an authority without key usage.
        extension(OID.basicConstraints, sequence(CRITICAL, integer(Buffer.of(0))), 'critical'),
        extension(OID.keyUsage, SIGNS_CERTIFICATES, 'critical'),
        extension(OID.subjectKeyIdentifier, tagged(TAG.octetString, keyIdentifier(keys.publicKey))),
      ],
    },
    keys.privateKey,
  );
  return { certificate, key: pemKey(keys.privateKey) };
}

/** A certificate for servers that serves as client certificate too, signed by the authority. */
export function issue(wanted: ServerCertificate, authority: Pair, now: Date): Pair {
  const keys = newKeys();
  const signer = new X509Certificate(authority.certificate);
  const { subject, identifier } = partsOf(signer);
  const names = wanted.names.map((name) =>
    isIP(name) === 0 ? tagged(0x82, Buffer.from(name, 'ascii')) : tagged(0x87, addressBytes(name)),
  );
  const certificate = signed(
    {
      issuer: subject,
      subject: distinguishedName(wanted.commonName),
      publicKey: keys.publicKey,
      days: wanted.days,
      now,
      extensions: [
        extension(OID.basicConstraints, sequence(), 'critical'),
        extension(OID.keyUsage, DIGITAL_SIGNATURE, 'critical'),
        extension(OID.extendedKeyUsage, sequence(objectIdentifier(OID.serverAuth), objectIdentifier(OID.clientAuth))),
        extension(OID.subjectKeyIdentifier, tagged(TAG.octetString, keyIdentifier(keys.publicKey))),
        extension(OID.authorityKeyIdentifier, sequence(tagged(0x80, identifier))),
        extension(OID.subjectAltName, sequence(...names)),
      ],
    },
    createPrivateKey(authority.key),
  );
  return { certificate, key: pemKey(keys.privateKey) };
}

interface Unsigned {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly days: number;
  readonly now: Date;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, 4.1: Certificate and TBSCertificate. */
function signed(parts: Unsigned, key: KeyObject): string {
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? sequence(objectIdentifier(OID.sha256WithRsa), tagged(0x05))
      : sequence(objectIdentifier(OID.ecdsaWithSha256));
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x01, 0);
  const notBefore = new Date(parts.now.getTime() - BACKDATED_MS);
  const notAfter = new Date(parts.now.getTime() + parts.days * DAY_MS);
  const body = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(serial),
    algorithm,
    parts.issuer,
    sequence(time(notBefore), time(notAfter)),
    parts.subject,
    parts.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...parts.extensions)),
  );
  const certificate = sequence(body, algorithm, bitString(sign('sha256', body, key)));
  return new X509Certificate(certificate).toString();
}

function extension(oid: string, value: Buffer, critical?: 'critical'): Buffer {
  const flag = critical === undefined ? [] : [CRITICAL];
  return sequence(objectIdentifier(oid), ...flag, tagged(TAG.octetString, value));
}

function distinguishedName(commonName: string): Buffer {
  const attribute = sequence(objectIdentifier(OID.commonName), tagged(TAG.utf8String, Buffer.from(commonName)));
  return sequence(tagged(TAG.set, attribute));
}

/** The authority's name and key identifier exactly as its certificate has them, whoever made it. */
function partsOf(certificate: X509Certificate): { readonly subject: Buffer; readonly identifier: Buffer } {
  const [outer] = valuesOf(certificate.raw);
  const [body] = valuesOf(outer?.content ?? Buffer.alloc(0));
  const fields = valuesOf(body?.content ?? Buffer.alloc(0)).filter(({ tag }) => tag !== 0xa0);
  // serialNumber, signature, issuer, validity, subject
  const subject = fields[4]?.whole;
  if (subject === undefined) throw new Error('the certificate of the authority has no subject');
  return {
    subject,
    identifier: identifierOf(fields.find(({ tag }) => tag === 0xa3)?.content) ?? keyIdentifier(certificate.publicKey),
  };
}

function identifierOf(extensions: Buffer | undefined): Buffer | undefined {
  const oid = objectIdentifier(OID.subjectKeyIdentifier);
  for (const { content } of valuesOf(valuesOf(extensions ?? Buffer.alloc(0))[0]?.content ?? Buffer.alloc(0))) {
    const parts = valuesOf(content);
    const value = parts.at(-1)?.content;
    if (parts[0]?.whole.equals(oid) === true && value !== undefined) return valuesOf(value)[0]?.content;
  }
  return undefined;
}

/** RFC 5280, 4.2.1.2, method (1): SHA-1 of the key's bits. */
function keyIdentifier(key: KeyObject): Buffer {
  const [info] = valuesOf(
    createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'der' }),
  );
  const bits = valuesOf(info?.content ?? Buffer.alloc(0))[1]?.content ?? Buffer.alloc(0);
  return createHash('sha1').update(bits.subarray(1)).digest();
}

function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function pemKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const [first, last] = [words(head), words(tail)];
  const bytes = Buffer.alloc(16);
  for (const [index, word] of [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last].entries()) {
    bytes.writeUInt16BE(word, index * 2);
  }
  return bytes;
}
