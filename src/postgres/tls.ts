import { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { PEM, readText } from '../files/read.ts';
import { Failure } from '../report/errors.ts';
import { certificateNamesHost, namesOf } from './serverName.ts';

/** libpq's sslmode values, with libpq's meanings (PostgreSQL documentation, "SSL Support" in libpq). */
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** What to use for TLS: a mode, and files in one directory. */
export interface TlsFiles {
  readonly enabled: boolean;
  readonly mode: SslMode;
  readonly directory: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * TLS with libpq's meanings (PostgreSQL documentation, "SSL Support" in libpq): what is verified follows from the
 * mode and from whether the file of the certificate authority exists, and a certificate of our own is shown when its
 * file exists.
 */
export interface TlsSettings {
  readonly mode: SslMode;
  /** As the messages name it. */
  readonly caFile: string;
  /** The chain is verified: in verify-ca and verify-full, and in the other modes when the file is there. */
  readonly verifiesChain: boolean;
  /** undefined only when the mode is `disable`. */
  readonly context: SecureContext | undefined;
  /** The same for TLS 1.2 and older; see alertOf in connection.ts. */
  readonly olderContext?: () => SecureContext;
}

/** The server answered that it does not speak TLS, and the mode requires it. */
export class TlsRefused extends Error {
  readonly code = 'TLS_REFUSED';
}

export async function loadTls(ssl: TlsFiles): Promise<TlsSettings> {
  const { mode } = ssl;
  const caFile = join(ssl.directory, ssl.ca);
  if (mode === 'disable') return { mode, caFile, verifiesChain: false, context: undefined };
  // The cluster has no certificates of its own: the mode alone, as libpq does when it finds no file.
  if (!ssl.enabled) return { mode, caFile, verifiesChain: false, ...contextsOf(caFile, {}) };
  const certificateFile = join(ssl.directory, ssl.certificate);
  const keyFile = join(ssl.directory, ssl.key);
  const [ca, certificate] = await Promise.all([readIfThere(caFile), readIfThere(certificateFile)]);
  const key = certificate === undefined ? undefined : await readIfThere(keyFile);
  if (ca === undefined && isVerifying(mode)) {
    throw invalid(`sslmode ${mode} needs the certificate of the authority, and ${caFile} does not exist`);
  }
  if (certificate !== undefined && key === undefined) {
    throw invalid(`The certificate ${certificateFile} is there, but its private key ${keyFile} is not`);
  }
  if (ca !== undefined) checkAuthorities(caFile, ca);
  return {
    mode,
    caFile,
    verifiesChain: ca !== undefined,
    ...contextsOf(certificateFile, {
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined || key === undefined ? {} : { cert: certificate, key }),
    }),
  };
}

export function isVerifying(mode: SslMode): boolean {
  return mode === 'verify-ca' || mode === 'verify-full';
}

export function requiresTls(mode: SslMode): boolean {
  return mode === 'require' || isVerifying(mode);
}

export const OLDER = 'TLSv1.2';

export interface Peer {
  readonly host: string;
  readonly port: number;
  /** The newest version of TLS to agree to; undefined for the newest there is. */
  readonly newest?: typeof OLDER | undefined;
}

/**
 * The handshake on a connection whose server has agreed to it. Fails with a Failure when the certificate does not
 * verify, and with the system's error otherwise.
 */
export async function secure(socket: Socket, tls: TlsSettings, peer: Peer): Promise<TLSSocket> {
  const { host, port, newest } = peer;
  const secured = connectTls({
    socket,
    host,
    secureContext: newest === OLDER ? tls.olderContext?.() : tls.context,
    // explicit, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise decide
    rejectUnauthorized: tls.verifiesChain,
    checkServerIdentity: (name, { raw }) =>
      tls.mode === 'verify-full' ? nameMismatch(new X509Certificate(raw), name) : undefined,
    // a name only: RFC 6066, section 3, excludes addresses
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
  // stays attached: an alert that follows the handshake must not become an uncaught exception
  secured.on('error', () => undefined);
  try {
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve);
      secured.once('error', reject);
      secured.once('close', () => reject(new Error('The server closed the connection during the TLS handshake')));
    });
    return secured;
  } catch (error) {
    throw certificateFailure(error, tls, `${host}:${port}`) ?? error;
  }
}

/** An error with which the server turned down our certificate, put in words; undefined for any other error. */
export function rejectedByServer(error: unknown, place: string): Failure | undefined {
  const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  if (typeof code !== 'string' || !/^ERR_SSL_.*ALERT/.test(code)) return undefined;
  return new Failure(
    {
      kind: 'failed',
      what: 'The server ended the TLS handshake',
      node: place,
      cause: `${alertText(code)} (${code})`,
      next:
        'Look into the log of that server for the reason. Most often it does not trust the authority that signed the ' +
        'certificate which this program shows (ssl.certificate), or it asks for a certificate and none is there',
    },
    { cause: error },
  );
}

function alertText(code: string): string {
  return code
    .replace(/^ERR_SSL_(SSLV3_|TLSV1_|TLSV13_)?/, '')
    .replaceAll('_', ' ')
    .toLowerCase();
}

function nameMismatch(certificate: X509Certificate, host: string): Error | undefined {
  if (certificateNamesHost(certificate, host)) return undefined;
  return Object.assign(new Error(`the certificate is for ${namesOf(certificate)}, not for ${host}`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'Renew the certificate of the server (or of its authority) and reload PostgreSQL'],
  ['CERT_NOT_YET_VALID', 'Compare the clocks of this machine and of the one that signed the certificate'],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'Sign a certificate whose subjectAltName has this host, connect by a name that it has, or use sslmode verify-ca',
  ],
]);

function certificateFailure(error: unknown, tls: TlsSettings, place: string): Failure | undefined {
  const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  if (!(error instanceof Error) || typeof code !== 'string' || code.startsWith('ERR_SSL_')) return undefined;
  // what the system reports when the connection breaks is not about the certificate
  if (/^E[A-Z]+$/.test(code)) return undefined;
  return new Failure(
    {
      kind: 'failed',
      what: 'The certificate of the server does not verify',
      node: place,
      cause: `${withoutHint(error.message)} (${code}), checked against ${tls.caFile}`,
      next: ADVICE.get(code) ?? `Compare ${tls.caFile} with the authority that signed the certificate of this server`,
    },
    { cause: error },
  );
}

/** Newer versions of Node append advice about their own command line. */
function withoutHint(message: string): string {
  return message.replace(/; if the root CA is installed locally.*$/s, '');
}

function contextsOf(certificateFile: string, files: { ca?: string; cert?: string; key?: string }) {
  // No authorities but the cluster's own: Node would read the world's, which are of no use here and take 2 ms.
  const options = { ca: [], ...files };
  try {
    return {
      context: createSecureContext(options),
      olderContext: () => createSecureContext({ ...options, maxVersion: OLDER }),
    };
  } catch (error) {
    throw invalid(`The certificate ${certificateFile} and its private key cannot be used`, error);
  }
}

/** Node ignores text without a certificate in it, which would leave an empty list of authorities. */
function checkAuthorities(caFile: string, text: string): void {
  const blocks = text.match(/-----BEGIN (TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (TRUSTED )?CERTIFICATE-----/g);
  if (blocks === null) throw invalid(`${caFile} holds no certificate`);
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch (error) {
    throw invalid(`${caFile} holds a certificate that cannot be read`, error);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readText(path, PEM);
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw invalid(`${path} cannot be read`, error);
  }
}

function invalid(what: string, error?: unknown): Failure {
  return new Failure(
    {
      kind: 'invalid',
      what,
      cause: error instanceof Error ? error.message : undefined,
      next: 'Check ssl.directory, ssl.ca, ssl.certificate and ssl.key, and the Secret that is mounted there',
    },
    { cause: error },
  );
}
