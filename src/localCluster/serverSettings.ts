import path from 'node:path';

/** PostgreSQL parameters by name. */
export type Settings = Readonly<Record<string, string>>;

export interface SettingsPlan {
  /** What the chosen Citus needs. */
  readonly flavour: Settings;
  readonly sslDirectory: string | undefined;
  readonly certificateAuthority: boolean;
  readonly logStatements: boolean;
  /** The caller's, which win. */
  readonly own: Settings;
}

/**
 * Small and fast. Data survives the crash of a server, not of the machine: without fsync the kernel still has every
 * committed write (PostgreSQL documentation, "Non-Durable Settings").
 */
const defaults: Settings = {
  listen_addresses: '127.0.0.1',
  // Everything over TCP, as between the nodes of a real cluster.
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '16MB',
  max_connections: '100',
  // Citus takes a worker for each database (and each node has a few of PostgreSQL's own).
  max_worker_processes: '32',
  wal_level: 'logical',
  min_wal_size: '32MB',
  max_wal_size: '256MB',
  log_line_prefix: '%m [%p] %u@%d %e ',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

export function serverSettings(plan: SettingsPlan): Settings {
  const { flavour, sslDirectory, certificateAuthority, logStatements, own } = plan;
  return {
    ...defaults,
    ...flavour,
    ...(sslDirectory === undefined ? {} : sslSettings(sslDirectory, certificateAuthority)),
    ...(logStatements ? { log_statement: 'all', log_connections: 'on' } : {}),
    ...own,
  };
}

function sslSettings(directory: string, certificateAuthority: boolean): Settings {
  return {
    ssl: 'on',
    ssl_cert_file: path.join(directory, 'server.crt'),
    ssl_key_file: path.join(directory, 'server.key'),
    ...(certificateAuthority ? { ssl_ca_file: path.join(directory, 'ca.crt') } : {}),
  };
}

/** A configuration file (PostgreSQL documentation, "Parameter Interaction via the Configuration File"). */
export function settingsFile(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`)
    .join('');
}
