import type { ObservedLedger } from '../initSql/ledgerTable.ts';
import type { ObservedAccess, ObservedDatabaseGrants } from '../objects/accessObserved.ts';
import type { ObservedAuthinfo } from '../objects/authinfo.ts';
import type { Bookkeeping } from '../objects/bookkeeping.ts';
import type { ObservedMetadata } from '../objects/citusMetadata.ts';
import type { ObservedUpgrade } from '../objects/citusUpgrade.ts';
import type { Leftovers } from '../objects/cleanup.ts';
import type { ObservedCollationVersion } from '../objects/collationVersion.ts';
import type { ObservedDatabase } from '../objects/database.ts';
import type { UnknownOptions } from '../objects/databaseOptions.ts';
import type { ObservedTypes } from '../objects/distributedType.ts';
import type { ForeignEventTrigger } from '../objects/eventTrigger.ts';
import type { ObservedExporter } from '../objects/exporter.ts';
import type { ObservedExtension } from '../objects/extension.ts';
import type { ObservedHarmfulSetting } from '../objects/harmfulSetting.ts';
import type { ObservedIdentities } from '../objects/identity.ts';
import type { InvalidIndexes } from '../objects/invalidIndex.ts';
import type { ObservedMembers, ObservedMemberships } from '../objects/membership.ts';
import type { MetadataDigests } from '../objects/metadataParts.ts';
import type { ObservedPosition, RecordedPosition, RecordedTimeline } from '../objects/nodePosition.ts';
import type { OpenExtension } from '../objects/openExtension.ts';
import type { KnownParameter, ObservedParameters } from '../objects/parameter.ts';
import type { MissingLibraries } from '../objects/preloadLibraries.ts';
import type { PreparedTransaction } from '../objects/preparedTransaction.ts';
import type { ObservedRole } from '../objects/role.ts';
import type { ObservedSchema, ObservedTenantSchema } from '../objects/schema.ts';
import type { ServerSettings } from '../objects/server.ts';
import type { ObservedSetting } from '../objects/setting.ts';
import type { ObservedShards, TableRights } from '../objects/shard.ts';
import type { ShardGap } from '../objects/shardGap.ts';
import type { CitusOwner } from '../objects/superuserSetting.ts';
import type { ObservedUserParameters } from '../objects/userParameter.ts';

/** What a node's maintenance database tells about itself and about one database. */
export interface ServerObservation extends UnknownOptions, MissingLibraries {
  readonly settings: ServerSettings;
  readonly roles: readonly ObservedRole[];
  readonly memberships: ObservedMemberships;
  /** Absent: not observed. */
  readonly members?: ObservedMembers;
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
  /** Absent: none is declared. */
  readonly exporter?: ObservedExporter;
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
  /** pg_partman's background worker runs in the database, as superuser. Absent: not observed. */
  readonly partmanWorker?: boolean;
  /** Likewise; of those that are not on their first timeline. */
  readonly recordedTimelines?: readonly RecordedTimeline[];
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
  readonly authinfo?: readonly ObservedAuthinfo[];
  /** Members of pg_read_all_data could see its rows. Absent: there are none. */
  readonly authinfoShown?: boolean;
  readonly ledger?: ObservedLedger;
  /** Roles that Citus manages in this database. */
  readonly distributedRoles?: readonly string[];
  /** Who owns distributed tables. */
  readonly tableOwners?: readonly string[];
  readonly citusUpgrade?: ObservedUpgrade;
  readonly foreignEventTriggers?: readonly ForeignEventTrigger[];
  /** Somebody else than a superuser may make objects, or has made functions. */
  readonly open?: boolean;
  /** Absent: not observed. */
  readonly openExtensions?: readonly OpenExtension[];
  /** Absent, or null: whoever logs in, or no superuser. */
  readonly citusOwner?: CitusOwner | null;
  /** Absent: no users are declared. */
  readonly access?: ObservedAccess;
}

/** A new database: schema public belongs to whoever owns the database (PostgreSQL documentation, "Predefined Roles"). */
export const EMPTY_DATABASE: DatabaseObservation = {
  extensions: [],
  schemas: [],
  access: { schemas: [{ name: 'public', owner: 'pg_database_owner', grants: {} }], relations: [], defaults: [] },
};

/** What initSQL may have changed on a server: settings of one database, of users in it, and rights on it. */
export type ParametersObservation = Pick<ServerObservation, 'parameters' | 'userParameters' | 'databaseGrants'>;

/** What is asked only where the digests of shards differ: how tables and their shards are, and what single shards lack. */
export interface ShardDetails {
  readonly rights: readonly TableRights[];
  readonly gaps: readonly ShardGap[];
}

/** Some roles of one server, with what they are members of, and who is a member of them. */
export interface RolesObservation {
  readonly roles: readonly ObservedRole[];
  readonly memberships: ObservedMemberships;
  readonly members: ObservedMembers;
}
