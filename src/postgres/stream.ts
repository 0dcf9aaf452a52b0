import { connect, type Socket } from 'node:net';
import { Failure } from '../report/errors.ts';
import { asError } from './limit.ts';
import type { ServerAddress } from './serverAddress.ts';
import { type OLDER, requiresTls, secure, TlsRefused, type TlsSettings } from './tls.ts';

/** With TLS when the server offers it, or without asking. */
export type Way = 'plain' | 'tls';

export interface Stream {
  /** The TCP connection below. */
  readonly tcp: Socket;
  /** The TLS socket over it, or the same. */
  readonly socket: Socket;
  readonly encrypted: boolean;
}

/** The handshake failed; in sslmode prefer a connection without TLS may still work. */
export class HandshakeFailed extends Error {}

const KEEPALIVE_DELAY_MS = 10_000;
/** Long enough for a slow network; Node's quarter of a second moves on to the next address too early. */
const ADDRESS_ATTEMPT_MS = 2_500;

/** `host:port`, as messages name a server. */
export function placeOf(node: ServerAddress): string {
  return `${node.host}:${node.port}`;
}

export function isSocketDirectory(host: string): boolean {
  return host.startsWith('/');
}

/**
 * A connection up to the point where the startup message goes out (PostgreSQL documentation, "SSL Session
 * Encryption"). `address` is where to connect, `node.host` the name that the certificate has to have. Whatever is open
 * when `limit` aborts is torn down, the session that is built on it included.
 */
export async function openStream(
  node: ServerAddress,
  address: string,
  tls: TlsSettings,
  way: Way,
  limit: AbortSignal,
  newest?: typeof OLDER,
): Promise<Stream> {
  const tcp = await openTcp(node, address, limit);
  try {
    if (way === 'plain') return { tcp, socket: tcp, encrypted: false };
    if (!(await serverSpeaksTls(tcp))) {
      if (requiresTls(tls.mode)) throw refused(node, tls);
      return { tcp, socket: tcp, encrypted: false };
    }
    const socket = await secure(tcp, tls, { host: node.host, port: node.port, newest }).catch((error: unknown) => {
      throw new HandshakeFailed('The TLS handshake failed', { cause: error });
    });
    return { tcp, socket, encrypted: true };
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

async function openTcp(node: ServerAddress, address: string, limit: AbortSignal): Promise<Socket> {
  limit.throwIfAborted();
  const tcp = isSocketDirectory(address)
    ? connect({ path: `${address}/.s.PGSQL.${node.port}` })
    : connect({ host: address, port: node.port, autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS });
  limit.addEventListener('abort', () => tcp.destroy(asError(limit.reason)), { once: true });
  await new Promise<void>((resolve, reject) => {
    tcp.once('connect', resolve);
    tcp.once('error', reject);
  });
  // stays attached: an error between two owners of the socket must not become an uncaught exception
  tcp.on('error', () => undefined);
  tcp.setNoDelay(true);
  tcp.setKeepAlive(true, KEEPALIVE_DELAY_MS);
  return tcp;
}

const SSL_REQUEST_CODE = 80877103;

async function serverSpeaksTls(tcp: Socket): Promise<boolean> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    tcp.once('data', resolve);
    tcp.once('error', reject);
    tcp.once('close', () => reject(connectionCut('The server closed the connection instead of answering')));
  });
  tcp.write(message(SSL_REQUEST_CODE));
  const bytes = await answer;
  // the TLS layer reads from here on
  tcp.pause();
  const letter = bytes.toString('latin1');
  if (letter === 'S') return true;
  if (letter === 'N') return false;
  // more than one byte after 'S' could have been slipped in unencrypted (CVE-2021-23222)
  throw connectionCut('The server answered the request for TLS with something else (an error of its own, most often)');
}

function connectionCut(text: string): Error {
  return Object.assign(new Error(text), { code: 'ECONNRESET' });
}

function refused(node: ServerAddress, tls: TlsSettings): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `The server does not speak TLS, and sslmode ${tls.mode} requires it`,
      node: placeOf(node),
      next: 'Turn ssl on at that server (ssl, ssl_cert_file, ssl_key_file), or choose sslmode prefer or disable',
    },
    { cause: new TlsRefused('The server does not support TLS') },
  );
}

const CANCEL_REQUEST_CODE = 80877102;

/** Sends a CancelRequest and waits until the server has taken it, which it tells by closing the connection. */
export async function sendCancel(stream: Stream, backendPid: number, secretKey: number): Promise<void> {
  const closed = new Promise<void>((resolve) => stream.tcp.once('close', resolve));
  stream.socket.resume();
  stream.socket.end(message(CANCEL_REQUEST_CODE, backendPid, secretKey));
  await closed;
}

/** The protocol's messages without a type byte: the length, then 32-bit numbers. */
function message(...numbers: readonly number[]): Buffer {
  const buffer = Buffer.alloc(4 * (numbers.length + 1));
  buffer.writeInt32BE(buffer.length, 0);
  for (const [index, number] of numbers.entries()) buffer.writeInt32BE(number, 4 * (index + 1));
  return buffer;
}
