import type { Problem } from './change.ts';
import type { ServerSettings } from './server.ts';

/** Citus recovers prepared transactions across databases from here on; older ones leave them behind. */
const OLDEST_CITUS = [12, 1] as const;
/** Oldest PostgreSQL major version that OLDEST_CITUS supports. */
const OLDEST_POSTGRES = 14;

export function serverProblems(
  settings: ServerSettings,
  citus: boolean,
  user: string,
  node: string,
): readonly Problem[] {
  const problems: Problem[] = [];
  if (!settings.superuser) {
    problems.push({
      kind: 'invalid',
      what: `Role '${user}' is no superuser, which extensions, pg_dist_authinfo and node registration need`,
      node,
      next: 'Name a superuser in cluster.user. Where there is none (managed services): cluster.withoutSuperuser: true',
    });
  }
  const major = Math.floor(settings.version / 10_000);
  if (major < OLDEST_POSTGRES) {
    problems.push({
      kind: 'failed',
      what: `PostgreSQL ${major} is too old: ${OLDEST_POSTGRES} or newer is needed`,
      node,
      next: 'Upgrade the server',
    });
  }
  if (!citus) return problems;
  if (settings.citusVersion === null) {
    problems.push({
      kind: 'failed',
      what: 'Citus is not installed on the server',
      node,
      next: 'Use an image that has Citus, or set cluster.citus to false for plain PostgreSQL',
    });
    return problems;
  }
  const [major_ = 0, minor = 0] = settings.citusVersion.split(/[.-]/).map(Number);
  if (major_ < OLDEST_CITUS[0] || (major_ === OLDEST_CITUS[0] && minor < OLDEST_CITUS[1])) {
    problems.push({
      kind: 'failed',
      what: `Citus ${settings.citusVersion} is too old: it does not recover prepared transactions of several databases`,
      node,
      next: `Upgrade Citus to ${OLDEST_CITUS.join('.')} or newer`,
    });
  }
  const libraries = settings.preloadLibraries.split(',').map((library) => library.trim().replaceAll('"', ''));
  if (libraries[0] !== 'citus') {
    problems.push({
      kind: 'failed',
      what: `shared_preload_libraries does not begin with citus: '${settings.preloadLibraries}'`,
      node,
      next: 'Put citus first in shared_preload_libraries and restart the server',
    });
  }
  return problems;
}

export function capacityProblems(settings: ServerSettings, citus: boolean, node: string): readonly Problem[] {
  if (!citus || settings.backgroundWorkers + 1 <= settings.maxWorkerProcesses) return [];
  return [
    {
      kind: 'failed',
      what: `max_worker_processes is ${settings.maxWorkerProcesses} and all are in use: Citus needs one for each database, else it has no deadlock detection and no recovery of prepared transactions there`,
      node,
      next: `Raise max_worker_processes to ${settings.maxWorkerProcesses + 8} or more (patroni.postgresql.parameters in the chart) and restart the server`,
    },
  ];
}

export function capacityWarnings(settings: ServerSettings, nodes: number, node: string): readonly string[] {
  const free = settings.maxConnections - settings.reservedConnections - settings.connections;
  // Each node's daemon and this program may each hold a connection here, for this database.
  const needed = nodes + 3;
  if (free >= needed) return [];
  return [
    `${node} has ${free} of ${settings.maxConnections} connections left; one more database may take ${needed}: raise max_connections`,
  ];
}
