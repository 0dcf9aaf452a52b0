import { quoteLiteral } from '../postgres/quote.ts';
import { type ObservedMetadata, observeMetadata } from './citusMetadata.ts';
import { observeOwnDaemon } from './daemon.ts';
import { type ObservedExtension, observeExtensions } from './extension.ts';
import { type MetadataDigests, observeMetadataParts } from './metadataParts.ts';
import { jsonRows, observationScript, PIN_SEARCH_PATH } from './observe.ts';
import { type ObservedShards, observeShards } from './shard.ts';

/** What became of reaching one node from another. */
export interface Link {
  readonly nodeid: number;
  readonly success: boolean;
  /** in_hot_standby over there, `on` or `off`, and from the coordinator its start, behind a space; without success what went wrong. */
  readonly result: string;
}

/** What one node says when it is asked to prove itself. */
export interface VerificationReport {
  readonly links: readonly Link[];
  /** When this server was started. */
  readonly startedAt: string;
  readonly metadata: ObservedMetadata;
  readonly extensions: readonly ObservedExtension[];
  /** Whether Citus' maintenance daemon runs. Absent: there is none. */
  readonly daemon?: boolean;
  /** After a change only: what was observed before it holds else. */
  readonly metadataParts?: MetadataDigests;
  readonly shards?: ObservedShards;
}

/**
 * Says whether whoever answers is a standby: an address that leads to one proves nothing. It needs no plan, for which a
 * fresh session would read Citus' catalog first (2 ms of CPU for each connection). PostgreSQL 14, "Preset Options".
 */
const ROLE_OF_SERVER = 'SHOW in_hot_standby';

/** Microseconds. A copy of a server has its system identifier, but not this. */
const STARTED_AT = `(pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8::pg_catalog.text`;

/**
 * The nodes reach a worker by another address than this program, or by the same name and another answer of the name server:
 * what the program has made and seen may be on another server, such as an old primary that still runs. The coordinator's word
 * is enough, as its sessions are those that work; each of these takes 2 ms more.
 */
const ROLE_AND_START = `SELECT pg_catalog.concat(pg_catalog.current_setting('in_hot_standby'), ' ', ${STARTED_AT})`;

export interface VerificationAsked {
  readonly afterChange: boolean;
  /** Of the coordinator. */
  readonly coordinator: boolean;
}

/**
 * One statement that reaches every node from the node it runs on. citus_check_cluster_node_health() proves the same from
 * the coordinator alone, one link after the other, which takes 24 s with 32 workers; asked on all nodes at the same time
 * this takes as long as one node needs for its own links.
 */
export function verificationScript({ afterChange, coordinator }: VerificationAsked): string {
  const command = quoteLiteral(coordinator ? ROLE_AND_START : ROLE_OF_SERVER);
  return observationScript([
    {
      key: 'links',
      value: jsonRows(`SELECT nodeid, success, result FROM pg_catalog.run_command_on_all_nodes(${command})`),
    },
    { key: 'startedAt', value: `pg_catalog.to_jsonb(${STARTED_AT})` },
    ...observeMetadata(),
    observeExtensions(),
    observeOwnDaemon(),
    ...(afterChange ? [...observeMetadataParts(), ...observeShards()] : []),
  ]);
}

/** As a user: every node that Citus reaches for this role, and whether transactions there can write. */
export const LINKS_OF_USER = {
  citus: "SELECT nodeid, success, result FROM pg_catalog.run_command_on_all_nodes('SHOW transaction_read_only')",
  plain: "SELECT 0 AS nodeid, true AS success, pg_catalog.current_setting('transaction_read_only') AS result",
} as const;

export function daemonScript(): string {
  return observationScript([observeOwnDaemon()]);
}

/** Without Citus there is nothing to reach: the database answers, and says what it holds. */
export function plainVerificationScript(): string {
  return observationScript([observeExtensions()]);
}

export function readVerification(observed: string): VerificationReport {
  return JSON.parse(observed) as VerificationReport;
}

/** What a database's own settings could make of the statements below. On a server without Citus they are placeholders. */
const NEUTRAL = [
  'SET LOCAL citus.propagate_set_commands = none',
  'SET LOCAL citus.enable_ddl_propagation = on',
  'SET LOCAL citus.enable_schema_based_sharding = off',
  'SET LOCAL citus.use_citus_managed_tables = off',
  'SET LOCAL citus.shard_replication_factor = 1',
];

/**
 * A distributed table with a shard for each worker, made, written and read in a transaction that is rolled back. Flags
 * do not prove that it works: they are all true for a worker whose database was dropped and made again. The schema's name
 * ends with the caller's `tag`, so that nobody can be there first.
 */
export function probeScript(workers: number, rows: number, tag: string): string {
  const schema = `citus_databases_probe_${tag}`;
  const table = `${schema}.probe`;
  return [
    'BEGIN',
    PIN_SEARCH_PATH,
    ...NEUTRAL,
    `CREATE SCHEMA ${schema}`,
    `CREATE TABLE ${table} (id pg_catalog.int8 NOT NULL)`,
    `SELECT pg_catalog.create_distributed_table('${table}', 'id', shard_count => ${workers}, colocate_with => 'none')`,
    `INSERT INTO ${table} SELECT pg_catalog.generate_series(1, ${rows})`,
    `SELECT pg_catalog.count(*)::pg_catalog.int4 AS rows FROM ${table}`,
  ].join(';\n');
}

/** Of event triggers that are no extension's: what may refuse the probe, and the function's name as errors show it. */
export const EVENT_TRIGGERS = `SELECT t.evtname AS name, n.nspname || '.' || p.proname AS function
  FROM pg_catalog.pg_event_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.evtfoid
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE t.evtenabled <> 'D' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e')
  ORDER BY 1`;

export interface EventTrigger {
  readonly name: string;
  readonly function: string;
}

export const CLUSTER_HEALTH = `${PIN_SEARCH_PATH};
SELECT from_nodename || ':' || from_nodeport AS "from", to_nodename || ':' || to_nodeport AS "to"
  FROM pg_catalog.citus_check_cluster_node_health() WHERE result IS NOT TRUE`;
