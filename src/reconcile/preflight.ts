import { allNodes, databaseNodes } from '../cluster/topology.ts';
import { ledgerProblems } from '../initSql/ledgerTable.ts';
import { bookkeepingProblems } from '../objects/bookkeepingProblems.ts';
import type { Problem } from '../objects/change.ts';
import { citusProblems } from '../objects/citusExtension.ts';
import { citusNodeProblems, undeclaredNodeProblems } from '../objects/citusNodeProblems.ts';
import { databaseProblems } from '../objects/database.ts';
import { tablespaceProblems, unknownOptionProblems } from '../objects/databaseOptions.ts';
import { eventTriggerProblems } from '../objects/eventTrigger.ts';
import type { AvailableExtension } from '../objects/extension.ts';
import { availabilityProblems, extensionProblems } from '../objects/extensionProblems.ts';
import { harmfulParameterProblems, harmfulSettingProblems } from '../objects/harmfulSetting.ts';
import { parameterProblems } from '../objects/parameter.ts';
import { missingLibraryProblems } from '../objects/preloadLibraries.ts';
import { ownersOf } from '../objects/role.ts';
import { capacityProblems, capacityWarnings, serverProblems } from '../objects/serverProblems.ts';
import { settingProblems } from '../objects/setting.ts';
import type { NodeSpec } from '../spec/types.ts';
import { type Carried, carriedProblems } from './carrying.ts';
import { unknownProblems } from './findingsOfShards.ts';
import { changedCluster, changedWorkers } from './identity.ts';
import { missingExtensions } from './missingExtensions.ts';
import { newDatabaseProblems } from './newDatabaseProblems.ts';
import type { ServerObservation } from './observations.ts';
import { partmanProblems } from './partmanProblems.ts';
import { positionFindings } from './positions.ts';
import { mixedVersions, serverWarnings } from './serverWarnings.ts';
import { inside, isDeclared, label, type Situation, server } from './situation.ts';
import { usersPreflight } from './usersPreflight.ts';
import { workerDatabaseWarnings, workerLocaleProblems } from './workerWarnings.ts';

export interface Preflight {
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** By group, for nodes where extensions may have to be made. */
type Available = ReadonlyMap<number, readonly AvailableExtension[]>;

/** Everything that would stop the run later, found before anything is made. */
export function preflight(situation: Situation, available: Available, carried: Carried = new Map()): Preflight {
  const { spec, database, topology } = situation;
  const nodes = databaseNodes(topology);
  const coordinator = server(situation, topology.coordinator);
  const users = usersPreflight(situation);
  return {
    problems: [
      ...nodes.flatMap((node) => nodeProblems(situation, node, available.get(node.group))),
      ...mixedVersions(situation),
      ...newDatabaseProblems(situation, available),
      ...topology.workers.flatMap((worker) => workerLocaleProblems(situation, worker)),
      ...ownerProblems(situation),
      ...users.problems,
      ...(spec.cluster.citus ? harmfulParameterProblems(database) : []),
      ...parameterProblems(database, coordinator.knownParameters),
      ...bookkeepingProblems(
        coordinator.bookkeeping,
        database.name,
        label(situation, topology.coordinator),
        nodes.map((node) => server(situation, node).database),
      ),
      ...nodes.flatMap((node) => ledgerProblems(inside(situation, node).ledger, label(situation, node))),
      ...nodes.flatMap((node) =>
        eventTriggerProblems(inside(situation, node).foreignEventTriggers ?? [], label(situation, node)),
      ),
      ...carriedProblems(situation, carried),
      ...clusterProblems(situation),
    ],
    warnings: [
      ...nodes.flatMap((node) => nodeWarnings(situation, node)),
      ...serverWarnings(situation),
      ...topology.workers.flatMap((worker) => workerDatabaseWarnings(situation, worker)),
      ...users.warnings,
      ...ownerWarnings(situation),
    ],
  };
}

/** What one node lacks, or has and must not have. */
function nodeProblems(
  situation: Situation,
  node: NodeSpec,
  available: readonly AvailableExtension[] | undefined,
): readonly Problem[] {
  const { spec, database, topology } = situation;
  const { citus, user } = spec.cluster;
  const observed = server(situation, node);
  const { extensions } = inside(situation, node);
  const name = label(situation, node);
  const isWorker = node !== topology.coordinator;
  const path = `databases[${spec.databases.indexOf(database)}]`;
  const isNew = observed.database === null;
  return [
    ...serverProblems(observed.settings, citus, user, name),
    ...databaseProblems(database, observed.database, name),
    ...(citus ? harmfulSettingProblems(database, observed.harmfulSettings ?? [], { label: name, isWorker }) : []),
    ...settingProblems(
      database,
      server(situation, topology.coordinator).decisiveSettings ?? [],
      observed.decisiveSettings ?? [],
      name,
    ),
    ...partmanProblems(situation, node),
    ...extensionProblems(database.extensions, extensions, name),
    ...citusProblems(extensions, observed.settings.citusVersion, name),
    ...(available === undefined ? [] : availabilityProblems(missingExtensions(situation, node), available, name)),
    ...(lacksDaemon(observed) ? capacityProblems(observed.settings, citus, name) : []),
    ...tablespaceProblems(database, observed, path, name),
    ...missingLibraryProblems(observed, name),
    ...(isNew ? unknownOptionProblems(database, observed, path, name) : []),
    ...(isNew ? capacityProblems(observed.settings, citus, name) : []),
  ];
}

function nodeWarnings(situation: Situation, node: NodeSpec): readonly string[] {
  const { database, settings } = server(situation, node);
  if (database !== null) return [];
  return capacityWarnings(settings, databaseNodes(situation.topology).length, label(situation, node));
}

function ownerProblems(situation: Situation): readonly Problem[] {
  const { database, topology } = situation;
  const { roles } = server(situation, topology.coordinator);
  return ownersOf(database).flatMap((name): readonly Problem[] => {
    if (roles.some((role) => role.name === name) || isDeclared(situation, name)) return [];
    const owned = database.owner === name ? `database '${database.name}'` : 'a schema';
    return [
      {
        kind: 'invalid',
        what: `Owner '${name}' of ${owned} does not exist`,
        node: label(situation, topology.coordinator),
        next: 'Declare it in `users`, create the role on the coordinator (CREATE ROLE ... LOGIN), or declare another owner',
      },
    ];
  });
}

function ownerWarnings(situation: Situation): readonly string[] {
  const { database, topology, spec, users } = situation;
  const owner =
    users.find((user) => user.spec.name === database.owner)?.role ??
    server(situation, topology.coordinator).roles.find((role) => role.name === database.owner);
  if (owner?.login !== false || !spec.cluster.citus) return [];
  return [
    `Owner '${owner.name}' cannot log in, so it cannot distribute tables: Citus opens connections as the role itself`,
  ];
}

/** Another cluster than before, or nodes that are not those that the coordinator knows. */
function clusterProblems(situation: Situation): readonly Problem[] {
  const { spec, topology } = situation;
  const { coordinator, workers } = topology;
  const undeclared =
    givesPasswords(situation) && !spec.cluster.acceptUndeclaredNodes
      ? undeclaredNodeProblems(allNodes(topology), inside(situation, coordinator).metadata)
      : [];
  const metadata = new Map(databaseNodes(topology).map((node) => [node.group, inside(situation, node).metadata]));
  return [
    ...changedCluster(situation),
    ...changedWorkers(situation),
    ...undeclared,
    ...unknownToCoordinator(situation),
    ...citusNodeProblems(coordinator, workers, metadata, (node) => label(situation, node)),
  ];
}

/** With what says that a server was set back, which may explain it. */
function unknownToCoordinator(situation: Situation): readonly Problem[] {
  const unknown = unknownProblems(situation);
  if (unknown.length === 0) return [];
  return [
    ...unknown,
    ...positionFindings(situation).map(
      ({ node, found, next }): Problem => ({ kind: 'refused', what: found, node, next }),
    ),
  ];
}

function givesPasswords({ password, users }: Situation): boolean {
  return password !== undefined || users.some((user) => user.password !== undefined);
}

/** Where one runs for the database, it has its background worker. */
function lacksDaemon({ database, daemon, settings }: ServerObservation): boolean {
  return database !== null && daemon === false && settings.loadedCitus !== null;
}
