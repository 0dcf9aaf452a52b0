import path from 'node:path';
import { certificateRemarks } from '../certificates/remarks.ts';
import { PEM, readText } from '../files/read.ts';
import { ownNamespace } from '../kubernetes/namespace.ts';
import type { NodeSpec, SslSpec } from '../spec/types.ts';

/**
 * Of the servers' certificate, which serves the program as its own, where it is at hand. The names are those that nodes and
 * clients connect to; in Kubernetes the connection Secrets have the coordinator's with the namespace.
 */
export async function certificateWarnings(
  ssl: SslSpec,
  nodes: readonly NodeSpec[],
  now: Date,
): Promise<readonly string[]> {
  if (!ssl.enabled) return [];
  let pem: string;
  try {
    pem = await readText(path.join(ssl.directory, ssl.certificate), PEM);
  } catch {
    return [];
  }
  const hosts = nodes.map(({ host }) => host).filter((host) => !host.startsWith('/'));
  const namespace = await ownNamespace();
  const [coordinator] = hosts;
  const outside =
    namespace === undefined || coordinator === undefined || coordinator.includes('.')
      ? []
      : [`${coordinator}.${namespace}.svc`];
  const names = ssl.mode === 'verify-full' ? [...new Set([...hosts, ...outside])] : [];
  return certificateRemarks(pem, names, now);
}
