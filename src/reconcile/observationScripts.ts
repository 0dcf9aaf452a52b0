import { type LedgerRowsAsked, observeLedger } from '../initSql/ledgerTable.ts';
import { observeMarkedSessions } from '../initSql/marker.ts';
import {
  observeAccess,
  observeDatabaseGrants,
  observeTableOwners,
  readAccess,
  type SentAccess,
} from '../objects/accessObserved.ts';
import { observeAuthinfo, observeShownAuthinfo } from '../objects/authinfo.ts';
import { askBookkeeping, askOutstandingProof } from '../objects/bookkeeping.ts';
import { observeMetadata } from '../objects/citusMetadata.ts';
import { observeCitusUpgrade } from '../objects/citusUpgrade.ts';
import { observeLeftovers } from '../objects/cleanup.ts';
import { observeCollationVersions } from '../objects/collationVersion.ts';
import { observeDaemon } from '../objects/daemon.ts';
import { observeDatabase, observeTemplateDaemon, templateOf } from '../objects/database.ts';
import { observeUnknownOptions } from '../objects/databaseOptions.ts';
import { observeDistributedRoles } from '../objects/distributedRole.ts';
import { observeDistributedTypes } from '../objects/distributedType.ts';
import { observeForeignEventTriggers } from '../objects/eventTrigger.ts';
import { observeExporter } from '../objects/exporter.ts';
import {
  type AvailableExtension,
  type MissingExtension,
  observeAvailableExtensions,
  observeExtensions,
} from '../objects/extension.ts';
import { observeHarmfulSettings } from '../objects/harmfulSetting.ts';
import { askIdentities } from '../objects/identity.ts';
import { observeInvalidIndexes } from '../objects/invalidIndex.ts';
import { type AnyKind, fragmentsOf } from '../objects/kind.ts';
import { observeMembers, observeMemberships } from '../objects/membership.ts';
import { observeMetadataParts } from '../objects/metadataParts.ts';
import { askRecordedPositions, askRecordedTimelines, observePosition } from '../objects/nodePosition.ts';
import { observationScript } from '../objects/observe.ts';
import { observeOpenExtensions } from '../objects/openExtension.ts';
import { observeOpen } from '../objects/openSchemas.ts';
import { observeOwnTables } from '../objects/ownTableObserved.ts';
import { observeKnownParameters, observeParameters } from '../objects/parameter.ts';
import { observePartmanWorker } from '../objects/partmanWorker.ts';
import { observeMissingLibraries } from '../objects/preloadLibraries.ts';
import { observePreparedTransactions } from '../objects/preparedTransaction.ts';
import { observeRoles } from '../objects/role.ts';
import { observeSchemas, observeTenantSchemas } from '../objects/schema.ts';
import { type MistakenNames, observeMistakenNames } from '../objects/scriptNames.ts';
import { observeServer } from '../objects/server.ts';
import { observeSettings } from '../objects/setting.ts';
import { observeShards, observeTableRights } from '../objects/shard.ts';
import { observeShardGaps } from '../objects/shardGap.ts';
import { observeCitusOwner } from '../objects/superuserSetting.ts';
import { observeUserParameters } from '../objects/userParameter.ts';
import type { DatabaseSpec, ExporterSpec } from '../spec/types.ts';
import type {
  DatabaseObservation,
  ParametersObservation,
  RolesObservation,
  ServerObservation,
  ShardDetails,
} from './observations.ts';

/** What is asked of a node in one message, and what its answer is read as. */

export function serverScript(
  database: DatabaseSpec,
  roles: readonly string[],
  kinds: readonly AnyKind[],
  coordinator: boolean,
  exporter: ExporterSpec | undefined,
): string {
  const users = database.users.map((user) => user.name);
  const monitors = exporter === undefined ? [] : [exporter.name];
  return observationScript([
    observeServer(),
    observeRoles([...roles, ...monitors]),
    observeMemberships([...users, ...monitors]),
    observeMembers([...roles, ...monitors]),
    ...(exporter === undefined ? [] : [observeExporter(exporter)]),
    observeDatabaseGrants(database.name),
    observeUserParameters(database),
    observeSettings(database.name, users),
    observeHarmfulSettings(database.name, users),
    ...observeMissingLibraries(database),
    observeDatabase(database.name),
    observeDatabase(templateOf(database), 'template'),
    observeTemplateDaemon(templateOf(database)),
    ...observeUnknownOptions(database),
    observeCollationVersions([database.name, templateOf(database)]),
    observeParameters(database),
    observeKnownParameters([database, ...database.users].flatMap(({ parameters }) => Object.keys(parameters))),
    ...(coordinator
      ? observeOwnTables([
          askBookkeeping(database.name),
          askOutstandingProof(database.name),
          askIdentities(),
          askRecordedPositions(),
          askRecordedTimelines(),
        ])
      : []),
    observeMarkedSessions(database),
    observePreparedTransactions(database.name),
    observeDaemon(database.name),
    observePartmanWorker(database.name),
    observePosition(),
    ...fragmentsOf(kinds, 'server', database),
  ]);
}

export function databaseScript(
  database: DatabaseSpec,
  coordinator: boolean,
  kinds: readonly AnyKind[],
  ledgerRows: LedgerRowsAsked,
): string {
  const users = database.users.map((user) => user.name);
  return observationScript([
    observeExtensions(),
    observeSchemas(database.schemas.map((schema) => schema.name)),
    ...observeTenantSchemas(database),
    ...observeMetadata(),
    ...observeMetadataParts(),
    observeDistributedTypes(),
    ...observeShards(),
    observeInvalidIndexes(),
    ...(coordinator ? [observeLeftovers()] : []),
    observeAuthinfo(),
    observeShownAuthinfo(),
    ...observeLedger(coordinator, ledgerRows),
    observeForeignEventTriggers(),
    observeOpen(),
    observeOpenExtensions(),
    observeCitusOwner(),
    observeDistributedRoles(),
    observeTableOwners(),
    observeCitusUpgrade(),
    ...(users.length === 0 ? [] : [observeAccess(users)]),
    ...fragmentsOf(kinds, 'database', database),
  ]);
}

export function mistakenNamesScript(wanted: readonly MissingExtension[]): string {
  return observationScript([observeMistakenNames(wanted)]);
}

export function availabilityScript(wanted: readonly MissingExtension[]): string {
  return observationScript([observeAvailableExtensions(wanted)]);
}

export function parametersScript(database: DatabaseSpec): string {
  return observationScript([
    observeParameters(database),
    observeUserParameters(database),
    observeDatabaseGrants(database.name),
  ]);
}

export function shardDetailsScript(): string {
  return observationScript([observeTableRights(), observeShardGaps()]);
}

export function rolesScript(names: readonly string[]): string {
  return observationScript([observeRoles(names), observeMemberships(names), observeMembers(names)]);
}

/**
 * The observation comes back as one JSON document that our own SQL composed; its shape is held by the integration
 * tests rather than checked again at run time.
 */
export function readServerObservation(observed: string): ServerObservation {
  return JSON.parse(observed) as ServerObservation;
}

export function readDatabaseObservation(observed: string): DatabaseObservation {
  const { access, ...rest } = JSON.parse(observed) as Omit<DatabaseObservation, 'access'> & { access?: SentAccess };
  return access === undefined ? rest : { ...rest, access: readAccess(access) };
}

export function readAvailability(observed: string): readonly AvailableExtension[] {
  return (JSON.parse(observed) as { availableExtensions: readonly AvailableExtension[] }).availableExtensions;
}

export function readMistakenNames(observed: string): readonly MistakenNames[] {
  return (JSON.parse(observed) as { mistakenNames: readonly MistakenNames[] }).mistakenNames;
}

export function readParameters(observed: string): ParametersObservation {
  return JSON.parse(observed) as ParametersObservation;
}

export function readRoles(observed: string): RolesObservation {
  return JSON.parse(observed) as RolesObservation;
}

export function readShardDetails(observed: string): ShardDetails {
  return JSON.parse(observed) as ShardDetails;
}
