/**
 * Patroni for tests of `configure`: group 0 with a leader and a synchronous standby, group 1 with a leader alone. Either
 * real Patroni (realPatroni.ts) or a stand-in for its REST API over real PostgreSQL servers (fakePatroni.ts).
 */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface LabMember {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly restPort: number;
}

/** Certificates of the REST API, all PEM: it shows its own, and lets in only who shows one of the same authority. */
export interface LabTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface PatroniLab {
  readonly kind: 'real' | 'stand-in';
  /** One line: what runs here. */
  readonly description: string;
  readonly groups: readonly { readonly group: number; readonly members: readonly LabMember[] }[];
  readonly password: string;
  readonly restPassword: string;
  /** undefined: plain HTTP. */
  readonly tls?: LabTls | undefined;
  readonly stop: () => Promise<void>;
}

export const REST_USER = 'patroni';

/** A request as somebody with curl would make it; the body as JSON where it is. */
export async function rest(
  lab: PatroniLab,
  member: LabMember,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { tls } = lab;
  const options = {
    host: member.host,
    port: member.restPort,
    method,
    path,
    agent: false as const,
    auth: `${REST_USER}:${lab.restPassword}`,
    headers: { 'content-type': 'application/json' },
  };
  return await new Promise((resolve, reject) => {
    const outgoing =
      tls === undefined
        ? requestHttp(options)
        : requestHttps({ ...options, ca: tls.ca, cert: tls.certificate, key: tls.key });
    outgoing.once('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode ?? 0, body: asJson(text) });
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
