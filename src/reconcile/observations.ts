import { type ObservedLedger, observeLedger } from '../initSql/ledgerTable.ts';
import { observeMarkedSessions } from '../initSql/marker.ts';
import {
  type ObservedAccess,
  type ObservedDatabaseGrants,
  observeAccess,
  observeDatabaseGrants,
  observeTableOwners,
  readAccess,
  type SentAccess,
} from '../objects/accessObserved.ts';
import { type ObservedAuthinfo, observeAuthinfo } from '../objects/authinfo.ts';
import { type Bookkeeping, observeBookkeeping, observeOutstandingProof } from '../objects/bookkeeping.ts';
import { type CarriedCode, observeCarriedCode } from '../objects/carriedCode.ts';
import { type ObservedMetadata, observeMetadata } from '../objects/citusNode.ts';
import { type ObservedUpgrade, observeCitusUpgrade } from '../objects/citusUpgrade.ts';
import { type Leftovers, observeLeftovers } from '../objects/cleanup.ts';
import { type ObservedCollationVersion, observeCollationVersions } from '../objects/collationVersion.ts';
import { observeDaemon } from '../objects/daemon.ts';
import { type ObservedDatabase, observeDatabase, observeTemplateDaemon, templateOf } from '../objects/database.ts';
import { observeUnknownOptions, type UnknownOptions } from '../objects/databaseOptions.ts';
import { observeDistributedRoles } from '../objects/distributedRole.ts';
import { type ObservedTypes, observeDistributedTypes } from '../objects/distributedType.ts';
import { type ForeignEventTrigger, observeForeignEventTriggers } from '../objects/eventTrigger.ts';
import {
  type AvailableExtension,
  type MissingExtension,
  type ObservedExtension,
  observeAvailableExtensions,
  observeExtensions,
} from '../objects/extension.ts';
import { type ObservedHarmfulSetting, observeHarmfulSettings } from '../objects/harmfulSetting.ts';
import { type ObservedIdentities, observeIdentities } from '../objects/identity.ts';
import { type InvalidIndexes, observeInvalidIndexes } from '../objects/invalidIndex.ts';
import { type AnyKind, fragmentsOf } from '../objects/kind.ts';
import { type ObservedMemberships, observeMemberships } from '../objects/membership.ts';
import { type MetadataDigests, observeMetadataParts } from '../objects/metadataParts.ts';
import {
  type ObservedPosition,
  observePosition,
  observeRecordedPositions,
  type RecordedPosition,
} from '../objects/nodePosition.ts';
import { observationScript } from '../objects/observe.ts';
import {
  type KnownParameter,
  type ObservedParameters,
  observeKnownParameters,
  observeParameters,
} from '../objects/parameter.ts';
import { type MissingLibraries, observeMissingLibraries } from '../objects/preloadLibraries.ts';
import { observePreparedTransactions, type PreparedTransaction } from '../objects/preparedTransaction.ts';
import { type ObservedRole, observeRoles } from '../objects/role.ts';
import {
  type ObservedSchema,
  type ObservedTenantSchema,
  observeSchemas,
  observeTenantSchemas,
} from '../objects/schema.ts';
import { observeServer, type ServerSettings } from '../objects/server.ts';
import { type ObservedSetting, observeSettings } from '../objects/setting.ts';
import { type ObservedShards, observeShards, observeTableRights, type TableRights } from '../objects/shard.ts';
import { observeShardGaps, type ShardGap } from '../objects/shardGap.ts';
import { type ObservedUserParameters, observeUserParameters } from '../objects/userParameter.ts';
import type { DatabaseSpec } from '../spec/types.ts';

/** What a node's maintenance database tells about itself and about one database. */
export interface ServerObservation extends UnknownOptions, MissingLibraries {
  readonly settings: ServerSettings;
  readonly roles: readonly ObservedRole[];
  readonly memberships: ObservedMemberships;
  /** null: the database is not there. */
  readonly databaseGrants: ObservedDatabaseGrants | null;
  readonly userParameters: ObservedUserParameters;
  readonly database: ObservedDatabase | null;
  /** What a new database is copied from. */
  readonly template: ObservedDatabase | null;
  /** Of the database and of its template. Absent before PostgreSQL 15. */
  readonly collationVersions?: readonly ObservedCollationVersion[];
  /** Citus' daemon is at work in the template. */
  readonly templateDaemon?: boolean;
  /** Absent: not observed. */
  readonly decisiveSettings?: readonly ObservedSetting[];
  /** Absent: not observed. */
  readonly harmfulSettings?: readonly ObservedHarmfulSetting[];
  readonly parameters: ObservedParameters;
  readonly knownParameters: readonly KnownParameter[];
  /** The table stands on the coordinator only. */
  readonly bookkeeping?: Bookkeeping;
  /** On the coordinator only. */
  readonly identities?: ObservedIdentities;
  /** Sessions that execute initSQL in the database; under the lock they are what a killed run left behind. */
  readonly initSqlSessions?: number;
  /** Older than a minute. Absent: not observed. */
  readonly preparedTransactions?: readonly PreparedTransaction[];
  /** Absent: a standby. */
  readonly position?: ObservedPosition;
  /** On the coordinator. Absent: no run has recorded any. */
  readonly recordedPositions?: readonly RecordedPosition[];
  /** Whether Citus' maintenance daemon runs for the database. */
  readonly daemon?: boolean;
  /** An earlier run made changes, and their proof failed. */
  readonly unproved?: boolean;
}

/** What the database on a node holds. Absent keys: the tables are not there. */
export interface DatabaseObservation {
  readonly extensions: readonly ObservedExtension[];
  readonly schemas: readonly ObservedSchema[];
  /** Absent: none is declared, or there is no Citus. */
  readonly tenantSchemas?: readonly ObservedTenantSchema[];
  readonly metadata?: ObservedMetadata;
  readonly metadataParts?: MetadataDigests;
  readonly distributedTypes?: ObservedTypes;
  readonly shards?: ObservedShards;
  readonly invalidIndexes?: InvalidIndexes;
  /** On the coordinator. */
  readonly leftovers?: readonly Leftovers[];
  /** On the coordinator. */
  readonly carriedCode?: readonly CarriedCode[];
  readonly authinfo?: readonly ObservedAuthinfo[];
  readonly ledger?: ObservedLedger;
  /** Roles that Citus manages in this database. */
  readonly distributedRoles?: readonly string[];
  /** Who owns distributed tables. */
  readonly tableOwners?: readonly string[];
  readonly citusUpgrade?: ObservedUpgrade;
  readonly foreignEventTriggers?: readonly ForeignEventTrigger[];
  /** Absent: no users are declared. */
  readonly access?: ObservedAccess;
}

/** A new database: schema public belongs to whoever owns the database (PostgreSQL documentation, "Predefined Roles"). */
export const EMPTY_DATABASE: DatabaseObservation = {
  extensions: [],
  schemas: [],
  access: { schemas: [{ name: 'public', owner: 'pg_database_owner', grants: {} }], relations: [], defaults: [] },
};

export function serverScript(
  database: DatabaseSpec,
  roles: readonly string[],
  kinds: readonly AnyKind[],
  coordinator: boolean,
): string {
  const users = database.users.map((user) => user.name);
  return observationScript([
    observeServer(),
    observeRoles(roles),
    observeMemberships(users),
    observeDatabaseGrants(database.name),
    observeUserParameters(database.name, users),
    observeSettings(database.name, users),
    observeHarmfulSettings(database.name, users),
    ...observeMissingLibraries(database),
    observeDatabase(database.name),
    observeDatabase(templateOf(database), 'template'),
    observeTemplateDaemon(templateOf(database)),
    ...observeUnknownOptions(database),
    observeCollationVersions([database.name, templateOf(database)]),
    observeParameters(database.name),
    observeKnownParameters([database, ...database.users].flatMap(({ parameters }) => Object.keys(parameters))),
    ...observeBookkeeping(database.name),
    ...(coordinator ? [observeOutstandingProof(database.name)] : []),
    ...(coordinator ? observeIdentities() : []),
    observeMarkedSessions(database),
    observePreparedTransactions(database.name),
    observeDaemon(database.name),
    observePosition(),
    observeRecordedPositions(),
    ...fragmentsOf(kinds, 'server', database),
  ]);
}

export function databaseScript(database: DatabaseSpec, coordinator: boolean, kinds: readonly AnyKind[]): string {
  const users = database.users.map((user) => user.name);
  return observationScript([
    observeExtensions(),
    observeSchemas(database.schemas.map((schema) => schema.name)),
    ...observeTenantSchemas(database),
    observeMetadata(),
    ...observeMetadataParts(),
    observeDistributedTypes(),
    ...observeShards(),
    observeInvalidIndexes(),
    ...(coordinator ? [observeLeftovers(), observeCarriedCode()] : []),
    observeAuthinfo(),
    ...observeLedger(coordinator),
    observeForeignEventTriggers(),
    observeDistributedRoles(),
    observeTableOwners(),
    observeCitusUpgrade(),
    ...(users.length === 0 ? [] : [observeAccess(users)]),
    ...fragmentsOf(kinds, 'database', database),
  ]);
}

export function availabilityScript(wanted: readonly MissingExtension[]): string {
  return observationScript([observeAvailableExtensions(wanted)]);
}

/** What initSQL may have changed on a server: settings of one database, of users in it, and rights on it. */
export type ParametersObservation = Pick<ServerObservation, 'parameters' | 'userParameters' | 'databaseGrants'>;

export function parametersScript({ name, users }: DatabaseSpec): string {
  const names = users.map((user) => user.name);
  return observationScript([observeParameters(name), observeUserParameters(name, names), observeDatabaseGrants(name)]);
}

/** What is asked only where the digests of shards differ: how tables and their shards are, and what single shards lack. */
export interface ShardDetails {
  readonly rights: readonly TableRights[];
  readonly gaps: readonly ShardGap[];
}

export function shardDetailsScript(): string {
  return observationScript([observeTableRights(), observeShardGaps()]);
}

export function readShardDetails(observed: string): ShardDetails {
  return JSON.parse(observed) as ShardDetails;
}

/** Some roles of one server, with what they are members of. */
export interface RolesObservation {
  readonly roles: readonly ObservedRole[];
  readonly memberships: ObservedMemberships;
}

export function rolesScript(names: readonly string[]): string {
  return observationScript([observeRoles(names), observeMemberships(names)]);
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

export function readParameters(observed: string): ParametersObservation {
  return JSON.parse(observed) as ParametersObservation;
}

export function readRoles(observed: string): RolesObservation {
  return JSON.parse(observed) as RolesObservation;
}
