import { request } from 'node:https';
import { PEM, readText, SHORT } from '../files/read.ts';
import { Failure } from '../report/errors.ts';

/** Where a pod finds its service account (Kubernetes documentation, "Accessing the Kubernetes API from a Pod"). */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const DEADLINE_MS = 10_000;
/** Some thousand pods, each with its managed fields. Whoever may make Events decides how many there are. */
const LARGEST_REPLY_MB = 32;

/** Kubernetes' API as the pod's own service account may use it. */
export interface Kubernetes {
  readonly namespace: string;
  call(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<Reply>;
}

export interface Reply {
  readonly status: number;
  /** Parsed where it is JSON; otherwise undefined. */
  readonly body: unknown;
}

/** Undefined outside a pod, and in a pod without a service account's token. */
export async function inCluster(signal: AbortSignal, account = ACCOUNT): Promise<Kubernetes | undefined> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (host === undefined || port === undefined) return undefined;
  try {
    const [ca, namespace] = await Promise.all(
      ['ca.crt', 'namespace'].map((file) => readText(`${account}/${file}`, PEM)),
    );
    if (ca === undefined || namespace === undefined) return undefined;
    return {
      namespace: namespace.trim(),
      call: async (method, path, body) => {
        // Read each time: the kubelet renews the token.
        const token = (await readText(`${account}/token`, SHORT)).trim();
        return await send({ host, port, ca, token, signal }, method, path, body);
      },
    };
  } catch {
    return undefined;
  }
}

interface Server {
  readonly host: string;
  readonly port: string;
  readonly ca: string;
  readonly token: string;
  readonly signal: AbortSignal;
}

function send(server: Server, method: string, path: string, body: unknown): Promise<Reply> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: server.host,
      port: server.port,
      ca: server.ca,
      // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise decide.
      rejectUnauthorized: true,
      method,
      path,
      agent: false,
      signal: AbortSignal.any([server.signal, AbortSignal.timeout(DEADLINE_MS)]),
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${server.token}`,
        ...(text === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
      },
    });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > LARGEST_REPLY_MB * 1024 * 1024) incoming.destroy(tooLarge(method, path));
        else chunks.push(chunk);
      });
      incoming.once('error', reject);
      incoming.once('end', () =>
        resolve({ status: incoming.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString('utf8')) }),
      );
    });
    outgoing.end(text);
  });
}

function tooLarge(method: string, path: string): Failure {
  return new Failure({
    kind: 'failed',
    what: 'The answer of Kubernetes is larger than this program reads',
    cause: `${method} ${path}: more than ${LARGEST_REPLY_MB} MB`,
    next: 'Look at what there is so much of in the namespace (kubectl get), remove it, and run again',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A Failure for an answer that is none: what was asked for, and the API server's own words. */
export function refusedByKubernetes(what: string, reply: Reply): Failure {
  return new Failure({
    kind: 'failed',
    what: `Failed to ask Kubernetes to ${what}`,
    cause: `HTTP ${reply.status}: ${textAt(reply.body, 'message') ?? 'no message'}`,
    next:
      reply.status === 403
        ? 'Give the service account of this pod the rights that the chart gives it (rbac.create)'
        : 'Look at the API server, and run again',
  });
}

/** The text at a path of keys, where there is one. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

export function valueAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Readonly<Record<string, unknown>>)[key] : undefined),
    value,
  );
}

export function itemsOf(value: unknown): readonly unknown[] {
  const items = valueAt(value, 'items');
  return Array.isArray(items) ? items : [];
}
