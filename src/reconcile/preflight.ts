import { allNodes, databaseNodes } from '../cluster/topology.ts';
import { ledgerProblems } from '../initSql/ledgerTable.ts';
import { bookkeepingProblems } from '../objects/bookkeeping.ts';
import { carriedCodeProblems } from '../objects/carriedCode.ts';
import type { Problem } from '../objects/change.ts';
import { citusProblems } from '../objects/citusExtension.ts';
import { citusNodeProblems, undeclaredNodeProblems } from '../objects/citusNode.ts';
import { collationWarnings, templateProblems, unequalCollationWarnings } from '../objects/collationVersion.ts';
import { copiesTemplate, databaseProblems, templateDaemonProblem, templateOf } from '../objects/database.ts';
import { tablespaceProblems, unknownOptionProblems } from '../objects/databaseOptions.ts';
import { eventTriggerProblems } from '../objects/eventTrigger.ts';
import { type AvailableExtension, type MissingExtension, versionsLikeCoordinator } from '../objects/extension.ts';
import { availabilityProblems, extensionProblems, packageProblems } from '../objects/extensionProblems.ts';
import { harmfulParameterProblems, harmfulSettingProblems } from '../objects/harmfulSetting.ts';
import { outputPluginWarnings } from '../objects/outputPlugins.ts';
import { parameterProblems } from '../objects/parameter.ts';
import { missingLibraryProblems } from '../objects/preloadLibraries.ts';
import { ownersOf } from '../objects/role.ts';
import type { ServerSettings } from '../objects/server.ts';
import { untriedVersionWarnings, versionProblems } from '../objects/versions.ts';
import type { NodeSpec } from '../spec/types.ts';
import { changedCluster, changedWorkers } from './identity.ts';
import type { ServerObservation } from './observations.ts';
import { inside, label, type Situation, server } from './situation.ts';
import { carryingStep } from './steps.ts';
import { isDeclared, usersPreflight } from './userSteps.ts';
import { workerDatabaseWarnings, workerLocaleProblems } from './workerWarnings.ts';

/** Citus recovers prepared transactions across databases from here on; older ones leave them behind. */
const OLDEST_CITUS = [12, 1] as const;
/** Oldest PostgreSQL major version that OLDEST_CITUS supports. */
const OLDEST_POSTGRES = 14;

export interface Preflight {
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** Everything that would stop the run later, found before anything is made. */
export function preflight(
  situation: Situation,
  /** By group, for nodes where extensions may have to be made. */
  available: ReadonlyMap<number, readonly AvailableExtension[]>,
): Preflight {
  const { spec, database, topology } = situation;
  const nodes = databaseNodes(topology);
  const coordinator = server(situation, topology.coordinator);
  const problems: Problem[] = [];
  const warnings: string[] = [];

  for (const node of nodes) {
    const observed = server(situation, node);
    const name = label(situation, node);
    problems.push(...serverProblems(observed.settings, spec.cluster.citus, spec.cluster.user, name));
    problems.push(...databaseProblems(database, observed.database, name));
    if (spec.cluster.citus) {
      const isWorker = node !== topology.coordinator;
      problems.push(...harmfulSettingProblems(database, observed.harmfulSettings ?? [], { label: name, isWorker }));
    }
    problems.push(...extensionProblems(database.extensions, inside(situation, node).extensions, name));
    problems.push(...citusProblems(inside(situation, node).extensions, observed.settings.citusVersion, name));
    const catalogue = available.get(node.group);
    if (catalogue !== undefined) {
      problems.push(...availabilityProblems(missingExtensions(situation, node), catalogue, name));
    }
    if (lacksDaemon(observed)) {
      problems.push(...capacityProblems(observed.settings, spec.cluster.citus, name));
    }
    const path = `databases[${spec.databases.indexOf(database)}]`;
    problems.push(...tablespaceProblems(database, observed, path, name), ...missingLibraryProblems(observed, name));
    if (observed.database === null) {
      problems.push(...unknownOptionProblems(database, observed, path, name));
      problems.push(...capacityProblems(observed.settings, spec.cluster.citus, name));
      warnings.push(...capacityWarnings(observed.settings, nodes.length, name));
    }
  }
  problems.push(...mixedVersions(situation), ...newDatabaseProblems(situation, available));
  warnings.push(...serverWarnings(situation));
  warnings.push(...topology.workers.flatMap((worker) => workerDatabaseWarnings(situation, worker)));
  problems.push(...topology.workers.flatMap((worker) => workerLocaleProblems(situation, worker)));

  for (const name of ownersOf(database)) {
    if (coordinator.roles.some((role) => role.name === name) || isDeclared(situation, name)) continue;
    const owned = database.owner === name ? `database '${database.name}'` : 'a schema';
    problems.push({
      kind: 'invalid',
      what: `Owner '${name}' of ${owned} does not exist`,
      node: label(situation, topology.coordinator),
      next: 'Declare it in `users`, create the role on the coordinator (CREATE ROLE ... LOGIN), or declare another owner',
    });
  }
  const users = usersPreflight(situation);
  problems.push(...users.problems);
  warnings.push(...users.warnings);
  const owner =
    situation.users.find((user) => user.spec.name === database.owner)?.role ??
    coordinator.roles.find((role) => role.name === database.owner);
  if (owner?.login === false && spec.cluster.citus) {
    warnings.push(
      `Owner '${owner.name}' cannot log in, so it cannot distribute tables: Citus opens connections as the role itself`,
    );
  }
  if (spec.cluster.citus) problems.push(...harmfulParameterProblems(database));
  problems.push(...parameterProblems(database, coordinator.knownParameters));
  problems.push(
    ...bookkeepingProblems(coordinator.bookkeeping, database.name, label(situation, topology.coordinator)),
    ...nodes.flatMap((node) => ledgerProblems(inside(situation, node).ledger, label(situation, node))),
    ...nodes.flatMap((node) =>
      eventTriggerProblems(inside(situation, node).foreignEventTriggers ?? [], label(situation, node)),
    ),
    ...carriedProblems(situation),
  );
  problems.push(
    ...changedCluster(situation),
    ...changedWorkers(situation),
    ...(givesPasswords(situation) && !spec.cluster.acceptUndeclaredNodes
      ? undeclaredNodeProblems(allNodes(topology), inside(situation, topology.coordinator).metadata)
      : []),
    ...citusNodeProblems(
      topology.coordinator,
      topology.workers,
      new Map(nodes.map((node) => [node.group, inside(situation, node).metadata])),
      (node) => label(situation, node),
    ),
  );
  return { problems, warnings };
}

/** Owner's code that Citus would run as superuser on other nodes. */
function carriedProblems(situation: Situation): readonly Problem[] {
  const { coordinator } = situation.topology;
  const carried = inside(situation, coordinator).carriedCode ?? [];
  const due = carried.length === 0 ? undefined : carryingStep(situation);
  return due === undefined ? [] : carriedCodeProblems(carried, due, label(situation, coordinator));
}

function givesPasswords({ password, users }: Situation): boolean {
  return password !== undefined || users.some((user) => user.password !== undefined);
}

/** Declared extensions that a node does not have yet, or has in another version. */
export function missingExtensions(situation: Situation, node: NodeSpec): readonly MissingExtension[] {
  const existing = inside(situation, node).extensions;
  const { extensions } = inside(situation, situation.topology.coordinator);
  return versionsLikeCoordinator(situation.database.extensions, extensions).flatMap((wanted) => {
    const found = existing.find((candidate) => candidate.name === wanted.name);
    if (found === undefined) return [wanted];
    return wanted.version === undefined || wanted.version === found.version ? [] : [{ ...wanted, from: found.version }];
  });
}

function serverProblems(settings: ServerSettings, citus: boolean, user: string, node: string): readonly Problem[] {
  const problems: Problem[] = [];
  if (!settings.superuser) {
    problems.push({
      kind: 'invalid',
      what: `Role '${user}' is no superuser, which extensions, pg_dist_authinfo and node registration need`,
      node,
      next: 'Name a superuser in cluster.user',
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

/** Nodes of a rolling update, for a while. */
export function mixedVersions(situation: Situation): readonly Problem[] {
  const nodes = databaseNodes(situation.topology).map((node) => ({
    label: label(situation, node),
    settings: server(situation, node).settings,
  }));
  return versionProblems(nodes, situation.spec.cluster.citus);
}

/** What the servers are not fit for, though the database works: `verify` says it too. */
export function serverWarnings(situation: Situation): readonly string[] {
  const { database, topology, spec } = situation;
  const nodes = databaseNodes(topology).map((node) => ({ label: label(situation, node), ...server(situation, node) }));
  const versions = nodes.map((node) => ({
    label: node.label,
    found: node.collationVersions ?? [],
  }));
  const { settings } = server(situation, topology.coordinator);
  return [
    ...untriedVersionWarnings(settings, spec.cluster.citus),
    ...versions.flatMap(({ label, found }) => collationWarnings(database.name, found, label)),
    ...unequalCollationWarnings(
      versions.map(({ label, found }) => ({
        label,
        actual: (found.find((entry) => entry.database === database.name) ?? found[0])?.actual,
      })),
    ),
    ...(spec.cluster.citus
      ? outputPluginWarnings(nodes.map(({ label, settings }) => ({ label, outputPlugins: settings.outputPlugins })))
      : []),
  ];
}

/** Nodes whose packages differ, and templates that cannot be copied. */
function newDatabaseProblems(
  situation: Situation,
  available: ReadonlyMap<number, readonly AvailableExtension[]>,
): readonly Problem[] {
  const { database, topology } = situation;
  const nodes = databaseNodes(topology);
  const template = templateOf(database);
  const like = server(situation, topology.coordinator).database ?? server(situation, topology.coordinator).template;
  const known = inside(situation, topology.coordinator).extensions;
  const catalogues = nodes.flatMap((node) => {
    const catalogue = available.get(node.group);
    return catalogue === undefined ? [] : [{ label: label(situation, node), available: catalogue }];
  });
  return [
    ...nodes.flatMap((node) => {
      const observed = server(situation, node);
      if (observed.database !== null) return [];
      if (!copiesTemplate(database, { template: observed.template, like })) return [];
      return [
        ...templateProblems(template, observed.collationVersions ?? [], label(situation, node)),
        ...(observed.templateDaemon === true ? [templateDaemonProblem(template, label(situation, node))] : []),
      ];
    }),
    ...packageProblems(versionsLikeCoordinator(database.extensions, known), catalogues),
  ];
}

/** Where one runs for the database, it has its background worker. */
function lacksDaemon({ database, daemon, settings }: ServerObservation): boolean {
  return database !== null && daemon === false && settings.loadedCitus !== null;
}

function capacityProblems(settings: ServerSettings, citus: boolean, node: string): readonly Problem[] {
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

function capacityWarnings(settings: ServerSettings, nodes: number, node: string): readonly string[] {
  const free = settings.maxConnections - settings.reservedConnections - settings.connections;
  // Each node's daemon and this program may each hold a connection here, for this database.
  const needed = nodes + 3;
  if (free >= needed) return [];
  return [
    `${node} has ${free} of ${settings.maxConnections} connections left; one more database may take ${needed}: raise max_connections`,
  ];
}
