import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { NoAnswer, withLimit } from '../postgres/limit.ts';
import { describe } from '../postgres/sqlstate.ts';
import type { TlsSettings } from '../postgres/tls.ts';
import { Failure } from '../report/errors.ts';

/** Where one member's REST API is. */
export interface RestAddress {
  readonly host: string;
  readonly port: number;
  /** As messages name it. */
  readonly label: string;
}

export interface RestAccess {
  /** Patroni's; a member of any other is no member of the cluster. */
  readonly scope: string;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** Hides the credentials, in each form in which they are sent. */
  readonly redact: (text: string) => string;
  readonly tls: TlsSettings;
  readonly signal: AbortSignal;
}

export interface Reply {
  readonly status: number;
  /** Parsed where it is JSON, else its text. */
  readonly body: unknown;
}

export interface RestRequest {
  readonly method: 'GET' | 'PATCH' | 'POST';
  readonly path: '/patroni' | '/cluster' | '/config' | '/restart' | '/switchover';
  readonly body?: unknown;
  /** Default 10 seconds. */
  readonly deadlineMs?: number | undefined;
}

const DEADLINE_MS = 10_000;
/** /config of a large cluster has a few kilobytes; anything beyond this is no Patroni. */
const LARGEST_REPLY = 4 * 1024 * 1024;

/**
 * One request to one member. Throws a Failure when nobody answers in time or when the answer is that we may not;
 * every other status is the caller's to judge.
 */
export async function callPatroni(address: RestAddress, access: RestAccess, request: RestRequest): Promise<Reply> {
  const milliseconds = request.deadlineMs ?? DEADLINE_MS;
  const expired = () => new NoAnswer(`no answer within ${milliseconds / 1000} s`);
  let reply: Reply;
  try {
    reply = await withLimit({ milliseconds, signal: access.signal, expired }, (limit) =>
      send(address, access, request, limit),
    );
  } catch (error) {
    access.signal.throwIfAborted();
    throw unreachable(address, access, error);
  }
  if (reply.status === 401 || reply.status === 403) throw denied(address, access, reply);
  return reply;
}

function send(address: RestAddress, access: RestAccess, request: RestRequest, limit: AbortSignal): Promise<Reply> {
  const { method, path, body } = request;
  const { tls, redact } = access;
  // Patroni asks nobody who reads for a password (patroni/api.py, check_access), and whom to read from a reply may say (group.ts).
  const credentials = method === 'GET' ? undefined : access.credentials;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const options = {
    host: address.host,
    port: address.port,
    method,
    path,
    // a connection of its own: an idle one may have been closed by a restart meanwhile
    agent: false as const,
    signal: limit,
    headers: {
      accept: 'application/json',
      ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...(credentials === undefined ? {} : { authorization: basic(credentials) }),
    },
  };
  return new Promise((resolve, reject) => {
    const outgoing =
      tls.context === undefined ? requestHttp(options) : requestHttps({ ...options, ...tlsOptions(tls) });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > LARGEST_REPLY) incoming.destroy(new Error('the answer is larger than 4 MB'));
        else chunks.push(chunk);
      });
      incoming.once('error', reject);
      incoming.once('end', () => {
        const answered = Buffer.concat(chunks).toString('utf8');
        // A proxy may repeat the request. Messages have the first 300 characters, and half a secret would not be recognised there.
        const body = parse(credentials === undefined ? answered : redact(answered));
        resolve({ status: incoming.statusCode ?? 0, body });
      });
    });
    outgoing.end(text);
  });
}

function tlsOptions(tls: TlsSettings) {
  return {
    secureContext: tls.context,
    // explicit, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise decide
    rejectUnauthorized: tls.verifiesChain,
    // verify-full leaves the name to Node's own check
    ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function basic(credentials: NonNullable<RestAccess['credentials']>): string {
  return `Basic ${basicCredentials(credentials)}`;
}

/** RFC 7617, section 2. */
export function basicCredentials({ username, password }: NonNullable<RestAccess['credentials']>): string {
  return Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
}

/** Patroni answers errors in HTML or in plain text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}

function unreachable(address: RestAddress, access: RestAccess, error: unknown): Failure {
  const scheme = access.tls.context === undefined ? 'HTTP' : 'HTTPS';
  return new Failure(
    {
      kind: 'failed',
      what: `Patroni's REST API does not answer (${scheme}, port ${address.port})`,
      node: address.label,
      cause: describe(error),
      next:
        'Look at the member (kubectl logs of its pod), and compare patroni.tls and restPort with restapi in its ' +
        'configuration',
    },
    { cause: error },
  );
}

function denied(address: RestAddress, access: RestAccess, reply: Reply): Failure {
  const cause = `HTTP ${reply.status}: ${bodyText(reply)}`;
  if (reply.status === 403) {
    return new Failure({
      kind: 'failed',
      what: "Patroni's REST API does not let this program change anything",
      node: address.label,
      cause,
      next: 'Look at restapi.allowlist and restapi.verify_client in the configuration of that member',
    });
  }
  return new Failure({
    kind: 'failed',
    what:
      access.credentials === undefined
        ? "Patroni's REST API asks for credentials, and the spec has none"
        : `Patroni's REST API does not accept the credentials of user ${access.credentials.username}`,
    node: address.label,
    cause,
    next:
      'Compare patroni.credentials (username and the content of passwordFile) with restapi.authentication of that ' +
      'member; a member reads a changed Secret only when its pod starts again',
  });
}

/** Patroni's words stand in the first few hundred characters; a pattern that goes over 4 MB again and again takes hours. */
const LONGEST_TEXT = 4_096;

/** The answer in one short line, for a cause. */
export function bodyText(reply: Reply): string {
  const whole = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  const text = whole.slice(0, LONGEST_TEXT);
  const words = /<p>Message: (.*?)<\/p>/.exec(text)?.[1] ?? text.replaceAll(/<[^<>]*>/g, ' ');
  const line = words.replaceAll(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 297)}...` : line;
}

/** What a reply means, by one of the schemas of replies.ts. */
export function readReply<T>(address: RestAddress, request: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: `The answer to ${request} is not what Patroni answers`,
        node: address.label,
        next: "Check that the host and restPort are those of a Patroni member's REST API (patroni.groups)",
      },
      { cause: error },
    );
  }
}
