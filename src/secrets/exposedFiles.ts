import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spec, SslSpec } from '../spec/types.ts';

/**
 * The files with secrets that more may read than have to, each with its mode. The rule is libpq's for private keys
 * (PostgreSQL documentation, "Client Certificates" in libpq): nobody but the owner, or also the group if root is the
 * owner, which is how Kubernetes mounts Secrets for a pod with fsGroup.
 */
export async function exposedFiles(spec: Pick<Spec, 'cluster' | 'ssl' | 'databases' | 'patroni'>): Promise<string[]> {
  // No owners and modes on Windows.
  if (process.getuid === undefined) return [];
  const found = await Promise.all(secretFiles(spec).map(describeExposed));
  return found.filter((text) => text !== undefined);
}

function secretFiles({ cluster, ssl, databases, patroni }: Parameters<typeof exposedFiles>[0]): readonly string[] {
  const files = [
    cluster.passwordFile,
    cluster.exporter?.passwordFile,
    ...databases.flatMap(({ users }) => users.map(({ passwordFile }) => passwordFile)),
    ...databases.flatMap(({ initSQLFrom }) => initSQLFrom.flatMap(({ file, secret }) => (secret ? [file] : []))),
    keyOf(ssl),
    patroni?.credentials?.passwordFile,
    keyOf(patroni?.tls),
  ];
  return [...new Set(files.filter((file) => file !== undefined))];
}

function keyOf(ssl: SslSpec | undefined): string | undefined {
  return ssl?.enabled === true && ssl.mode !== 'disable' ? join(ssl.directory, ssl.key) : undefined;
}

/** A file that cannot be looked at is reported by whoever needs it. */
async function describeExposed(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true || !isExposed(found)) return undefined;
  return `${file} (${(found.mode & 0o777).toString(8).padStart(4, '0')})`;
}

export function isExposed({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  const allowed = uid === 0 ? 0o640 : 0o600;
  return (mode & 0o077 & ~allowed) !== 0;
}
