import { SESSIONS } from './daemon.ts';
import { INVALID } from './database.ts';
import { type Fragment, observationScript } from './observe.ts';

/** What one server says of itself, in its maintenance database. */
export interface ServerSettings {
  /** server_version_num, for example 150020. */
  readonly version: number;
  /** pg_control_system(): what initdb gave this server, the same on its standbys. */
  readonly systemIdentifier: string;
  /** cluster_name, which Patroni sets to its scope. */
  readonly clusterName: string;
  readonly superuser: boolean;
  readonly preloadLibraries: string;
  readonly maxWorkerProcesses: number;
  readonly maxConnections: number;
  readonly reservedConnections: number;
  readonly connections: number;
  /** Background workers that stay: Citus' maintenance daemons, the logical replication launcher and the like. */
  readonly backgroundWorkers: number;
  /** citus.node_conninfo; null where the citus library is not loaded. */
  readonly nodeConninfo: string | null;
  /** Default version of the citus extension that is installed; null where there is none. */
  readonly citusVersion: string | null;
  /** Of the library that is loaded, for example 13.2.2: it lags behind until the server restarts. */
  readonly loadedCitus: string | null;
  /** Default version of citus_columnar. */
  readonly columnarVersion: string | null;
  readonly databases: readonly ServerDatabase[];
  /** output_plugin_libraries; null on servers that do not have the setting. */
  readonly outputPlugins: string | null;
}

export interface ServerDatabase {
  readonly name: string;
  readonly connectable: boolean;
}

/**
 * Templates too, for their owners make them templates and go on working in them. Nothing is ever made in template0, and
 * nothing is left in a database whose DROP was cut off, which nobody can enter.
 */
const DATABASES = `pg_catalog.pg_database d WHERE d.datname <> 'template0' AND d.datconnlimit <> ${INVALID}`;

/** SQL expression of type text: what initdb gave this server, the same on its standbys. */
export const SYSTEM_IDENTIFIER = '(SELECT c.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() c)';

/** In the order of their names. */
export const SERVER_DATABASES = `SELECT d.datname AS name, d.datallowconn AS connectable FROM ${DATABASES} ORDER BY d.datname`;

export interface ServerDatabases {
  readonly open: readonly string[];
  /** Nobody new can connect to these (ALLOW_CONNECTIONS false), and whoever is in may go on. */
  readonly closed: readonly string[];
}

export function splitDatabases(databases: readonly ServerDatabase[]): ServerDatabases {
  const names = (wanted: boolean) =>
    databases.filter(({ connectable }) => connectable === wanted).map(({ name }) => name);
  return { open: names(true), closed: names(false) };
}

/**
 * Backend types that are no background worker, or one that comes and goes with a query (PostgreSQL documentation,
 * "The Cumulative Statistics System", pg_stat_activity.backend_type).
 */
const NO_LASTING_WORKER = `'client backend', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer',
  'walwriter', 'walsender', 'walreceiver', 'walsummarizer', 'startup', 'archiver', 'logger', 'standalone backend',
  'slotsync worker', 'io worker', 'parallel worker'`;

export function observeServer(): Fragment {
  const number = (name: string) => `pg_catalog.current_setting('${name}')::pg_catalog.int4`;
  return {
    key: 'settings',
    value: `pg_catalog.jsonb_build_object(
      'version', ${number('server_version_num')},
      'systemIdentifier', ${SYSTEM_IDENTIFIER},
      'clusterName', pg_catalog.current_setting('cluster_name'),
      'superuser', (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
      'preloadLibraries', pg_catalog.current_setting('shared_preload_libraries'),
      'maxWorkerProcesses', ${number('max_worker_processes')},
      'maxConnections', ${number('max_connections')},
      'reservedConnections', ${number('superuser_reserved_connections')},
      'nodeConninfo', pg_catalog.current_setting('citus.node_conninfo', true),
      'loadedCitus', pg_catalog.current_setting('citus.version', true),
      'databases', (SELECT coalesce(pg_catalog.jsonb_agg(
           pg_catalog.jsonb_build_object('name', d.datname, 'connectable', d.datallowconn) ORDER BY d.datname), '[]')
         FROM ${DATABASES}),
      'outputPlugins', pg_catalog.current_setting('output_plugin_libraries', true))
      || (SELECT pg_catalog.jsonb_build_object(
            'connections', pg_catalog.count(*) FILTER (WHERE a.backend_type = 'client backend'),
            'backgroundWorkers', pg_catalog.count(*) FILTER (WHERE a.backend_type NOT IN (${NO_LASTING_WORKER})))
          FROM ${SESSIONS} a)
      || (SELECT pg_catalog.jsonb_build_object(
            'citusVersion', pg_catalog.max(a.default_version) FILTER (WHERE a.name = 'citus'),
            'columnarVersion', pg_catalog.max(a.default_version) FILTER (WHERE a.name = 'citus_columnar'))
          FROM pg_catalog.pg_available_extensions() a WHERE a.name IN ('citus', 'citus_columnar'))`,
  };
}

/** The settings alone. */
export function serverSettingsScript(): string {
  return observationScript([observeServer()]);
}

export function readServerSettings(observed: string): ServerSettings {
  return (JSON.parse(observed) as { settings: ServerSettings }).settings;
}
