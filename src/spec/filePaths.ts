import path from 'node:path';
import type { Spec, SslSpec, UserSpec } from './types.ts';

/**
 * The spec with every file that this program reads as an absolute path: what the document names is relative to
 * `folder`, so that a spec and its files can be moved together and used from anywhere.
 */
export function withAbsolutePaths(spec: Spec, folder: string): Spec {
  const absolute = (file: string): string => path.resolve(folder, file);
  // Not nodeDirectory: that one is of the nodes' machines.
  const files = (ssl: SslSpec): SslSpec => ({ ...ssl, directory: absolute(ssl.directory) });
  const user = (given: UserSpec): UserSpec =>
    given.passwordFile === undefined ? given : { ...given, passwordFile: absolute(given.passwordFile) };
  const { cluster, databases, patroni } = spec;
  return {
    cluster: {
      ...cluster,
      passwordFile: cluster.passwordFile === undefined ? undefined : absolute(cluster.passwordFile),
      exporter:
        cluster.exporter === undefined
          ? undefined
          : { ...cluster.exporter, passwordFile: absolute(cluster.exporter.passwordFile) },
    },
    ssl: files(spec.ssl),
    databases: databases.map((database) => ({
      ...database,
      users: database.users.map(user),
      initSQLFrom: database.initSQLFrom.map((script) => ({ ...script, file: absolute(script.file) })),
    })),
    patroni:
      patroni === undefined
        ? undefined
        : {
            ...patroni,
            tls: files(patroni.tls),
            credentials:
              patroni.credentials === undefined
                ? undefined
                : { ...patroni.credentials, passwordFile: absolute(patroni.credentials.passwordFile) },
          },
  };
}
