import { nodeLabels, topologyOf } from '../../../src/cluster/topology.ts';
import type { Item } from '../../../src/objects/change.ts';
import type { ObservedCitusNode, ObservedMetadata } from '../../../src/objects/citusMetadata.ts';
import type { ObservedDatabase } from '../../../src/objects/database.ts';
import type { ObservedRole } from '../../../src/objects/role.ts';
import type { ServerSettings } from '../../../src/objects/server.ts';
import type { DatabaseObservation, ServerObservation } from '../../../src/reconcile/observations.ts';
import { NO_SHARD_FAULTS } from '../../../src/reconcile/shardFaults.ts';
import type { Situation } from '../../../src/reconcile/situation.ts';
import type { DatabaseSpec, NodeSpec } from '../../../src/spec/types.ts';
import { parse } from '../spec/support.ts';

/** Test data: a cluster of a coordinator `c` and workers `w1`, `w2`, as it is seen by a run. */

export const COORDINATOR = node(0, 'c');
export const W1 = node(1, 'w1');
export const W2 = node(2, 'w2');

export function node(group: number, nodeName: string, nodePort = 5432): NodeSpec {
  return { group, host: nodeName, port: nodePort, nodeName, nodePort };
}

/** What an item says and does, in few words. */
export function shown(item: Item): unknown {
  if (item.kind === 'procedure') return { on: item.node.nodeName, summaries: item.summaries };
  if (item.kind !== 'change') return `${item.kind}: ${item.kind === 'refusal' ? item.failure.what : item.text}`;
  return { on: item.node.nodeName, summary: item.summary, sql: sqlOf(item) };
}

export function sqlOf(item: Item): readonly string[] {
  return item.kind === 'change' ? item.statements.map(({ text }) => text.replaceAll(/\s+/g, ' ').trim()) : [];
}

/** pg_dist_node of a whole cluster: groups 0 to `workers`. */
export function citusNodes(workers: number): readonly ObservedCitusNode[] {
  return Array.from({ length: workers + 1 }, (_, group) => citusNode(group));
}

export function citusNode(group: number, changed: Partial<ObservedCitusNode> = {}): ObservedCitusNode {
  return {
    nodeid: group + 1,
    groupid: group,
    nodename: group === 0 ? 'c' : `w${group}`,
    nodeport: 5432,
    noderole: 'primary',
    isactive: true,
    hasmetadata: true,
    metadatasynced: true,
    ...changed,
  };
}

/** The digest of no distributed table: md5 of an empty string. */
const NO_TABLES = 'd41d8cd98f00b204e9800998ecf8427e';

export function metadata(localGroup: number, changed: Partial<ObservedMetadata> = {}): ObservedMetadata {
  return { nodes: citusNodes(2), localGroup, tables: NO_TABLES, ...changed };
}

export function role(name: string, changed: Partial<ObservedRole> = {}): ObservedRole {
  return {
    name,
    superuser: false,
    inherit: true,
    createRole: false,
    createDatabase: false,
    login: true,
    replication: false,
    bypassRls: false,
    connectionLimit: -1,
    verifier: null,
    ...changed,
  };
}

export function observedDatabase(changed: Partial<ObservedDatabase> = {}): ObservedDatabase {
  return {
    oid: 16_400,
    owner: 'postgres',
    encoding: 'UTF8',
    collate: 'en_US.utf8',
    ctype: 'en_US.utf8',
    provider: 'libc',
    providerLocale: null,
    icuRules: null,
    connectionLimit: -1,
    allowConnections: true,
    ...changed,
  };
}

export const SETTINGS: ServerSettings = {
  version: 150_020,
  systemIdentifier: '7000000000000000000',
  clusterName: '',
  superuser: true,
  preloadLibraries: 'citus,pg_stat_statements',
  maxWorkerProcesses: 16,
  maxConnections: 100,
  reservedConnections: 3,
  connections: 5,
  backgroundWorkers: 4,
  nodeConninfo: 'sslmode=require',
  citusVersion: '13.2-1',
  loadedCitus: '13.2.2',
  columnarVersion: '13.2-1',
  outputPlugins: null,
  databases: [{ name: 'postgres', connectable: true }],
};

export function serverObservation(changed: Partial<ServerObservation> = {}): ServerObservation {
  return {
    settings: SETTINGS,
    roles: [role('postgres', { superuser: true })],
    database: null,
    template: observedDatabase({ oid: 1 }),
    parameters: {},
    knownParameters: [],
    memberships: {},
    databaseGrants: null,
    userParameters: {},
    ...changed,
  };
}

export interface SituationOptions {
  /** YAML flow mapping of the database's entry. */
  readonly database?: string;
  /** More of the spec, in YAML. */
  readonly spec?: string;
  readonly citus?: boolean;
  readonly servers?: Readonly<Record<number, Partial<ServerObservation>>>;
  readonly inside?: Readonly<Record<number, DatabaseObservation>>;
  readonly password?: string;
  readonly initSql?: Situation['initSql'];
}

/** Nothing is there yet, save for the servers, unless the options say otherwise. */
export function situation(options: SituationOptions = {}): Situation {
  const { citus = true } = options;
  const cluster = citus
    ? '{ coordinator: { host: c }, workers: [{ group: 1, host: w1 }, { group: 2, host: w2 }] }'
    : '{ citus: false, coordinator: { host: c } }';
  const spec = parse(`
cluster: ${cluster}
databases: [${options.database ?? '{ name: skymap }'}]
${options.spec ?? ''}
`);
  const [database] = spec.databases;
  if (database === undefined) throw new Error('Expected a database');
  const nodes = citus ? [COORDINATOR, W1, W2] : [COORDINATOR];
  return {
    spec,
    database,
    topology: topologyOf(spec, nodes.slice(1), database),
    labels: nodeLabels(nodes),
    servers: new Map(nodes.map(({ group }) => [group, serverObservation(options.servers?.[group])])),
    shardFaults: NO_SHARD_FAULTS,
    inside: new Map(Object.entries(options.inside ?? {}).map(([group, observed]) => [Number(group), observed])),
    password: options.password,
    users: [],
    initSql: options.initSql ?? { kind: 'none' },
  };
}

export function wanted(fields: string): DatabaseSpec {
  return situation({ database: fields }).database;
}

export const READY_EXTENSIONS = [{ name: 'citus', version: '13.2-1', schema: 'pg_catalog' }];

/** A database `skymap` that is ready on all three nodes, made by this program, with nothing but citus in it. */
export function readySituation(options: SituationOptions = {}): Situation {
  const groups = [0, 1, 2];
  const row = { oid: 16_400, state: 'managed' } as const;
  return situation({
    ...options,
    servers: Object.fromEntries(
      groups.map((group) => [
        group,
        {
          database: observedDatabase(),
          ...(group === 0 ? { bookkeeping: { distrust: null, row } } : {}),
          ...options.servers?.[group],
        },
      ]),
    ),
    inside: Object.fromEntries(
      groups.map((group) => [
        group,
        options.inside?.[group] ?? {
          extensions: READY_EXTENSIONS,
          schemas: [],
          metadata: metadata(group),
          authinfo: [],
        },
      ]),
    ),
  });
}
