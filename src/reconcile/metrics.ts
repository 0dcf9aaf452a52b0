import { databaseNodes } from '../cluster/topology.ts';
import { missingWorkers, registration } from '../objects/citusMetadata.ts';
import type { VerificationReport } from '../objects/verification.ts';
import type { Gauge, Sample } from '../report/prometheus.ts';
import type { NodeSpec } from '../spec/types.ts';
import { findingsOf } from './findings.ts';
import { provedLinksFrom } from './judge.ts';
import type { DatabasePlan } from './planDatabase.ts';
import { inside, isPlain, label, type Situation, server } from './situation.ts';

/** What `verify` found out about one database until it ended; what it did not reach is absent. */
export interface VerifiedFacts {
  readonly database: string;
  readonly ready: boolean;
  readonly situation?: Situation | undefined;
  readonly plan?: DatabasePlan | undefined;
  readonly reports?: ReadonlyMap<number, VerificationReport> | undefined;
}

export interface ClusterFacts {
  readonly cluster: string;
  readonly databases: readonly VerifiedFacts[];
  /** Nodes by what the log calls them, and whether they accept writes. */
  readonly nodes: readonly { readonly node: string; readonly acceptsWrites: boolean }[];
  /** Milliseconds of the Unix epoch. */
  readonly now: number;
  /** When the certificate of the servers ends. undefined: there is none, or it is not at hand. */
  readonly certificateEnds: number | undefined;
}

interface Measured {
  readonly facts: VerifiedFacts;
  readonly situation: Situation;
}

/** Of one database: a value for each node. undefined: not known. */
type PerNode = (measured: Measured, node: NodeSpec) => number | undefined;
type PerDatabase = (facts: VerifiedFacts, now: number) => number | undefined;

/** What no exporter of PostgreSQL knows. Times are seconds of the Unix epoch, as Prometheus has them. */
const PER_DATABASE: readonly (readonly [name: string, help: string, value: PerDatabase])[] = [
  ['ready', 'Whether verify found the database ready.', ({ ready }) => Number(ready)],
  [
    'last_proof_timestamp_seconds',
    'When the database was last proved from every node. Absent: this run did not prove it.',
    ({ ready }, now) => (ready ? Math.floor(now / 1000) : undefined),
  ],
  [
    'changes_due',
    'What apply would change, initSQL included.',
    ({ plan }) => plan?.steps.reduce((sum, { changes }) => sum + changes.length, 0),
  ],
  ['workers_not_joined', "Declared workers that the coordinator's pg_dist_node lacks or has disabled.", notJoined],
  ['init_sql_pending_statements', 'Statements of initSQL that have not been executed.', pendingStatements],
];

const PER_NODE: readonly (readonly [name: string, help: string, value: PerNode])[] = [
  ['links_proved', 'Nodes that this node reached and that accept writes, itself included.', proved],
  ['links_expected', 'Nodes that this node has to reach, itself included.', expected],
  ['shards_missing', 'Shards that the coordinator places on the node and that have no table there.', missingShards],
  ['metadata_drift', "Parts of the node's Citus metadata that are not the coordinator's.", drift],
  [
    'prepared_transactions',
    'Prepared transactions that are older than a minute.',
    ({ situation }, node) => situation.servers.get(node.group)?.preparedTransactions?.length,
  ],
  [
    'maintenance_daemon_running',
    "Whether Citus' maintenance daemon runs for the database.",
    ({ facts, situation }, node) => {
      const seen = facts.reports?.get(node.group)?.daemon ?? situation.servers.get(node.group)?.daemon;
      return seen === undefined || isPlain(situation) ? undefined : Number(seen);
    },
  ],
];

export function metricsOf({ cluster, databases, nodes, now, certificateEnds }: ClusterFacts): readonly Gauge[] {
  const measured = databases.flatMap((facts) =>
    facts.situation === undefined ? [] : [{ facts, situation: facts.situation }],
  );
  return [
    gauge('verify_timestamp_seconds', 'When verify ran.', [{ labels: { cluster }, value: Math.floor(now / 1000) }]),
    gauge(
      'node_accepts_writes',
      'Whether the node can be reached and is no standby.',
      nodes.map(({ node, acceptsWrites }) => ({ labels: { cluster, node }, value: Number(acceptsWrites) })),
    ),
    gauge(
      'certificate_expiry_timestamp_seconds',
      "When the servers' certificate ends.",
      certificateEnds === undefined ? [] : [{ labels: { cluster }, value: Math.floor(certificateEnds / 1000) }],
    ),
    ...PER_DATABASE.map(([name, help, measure]) =>
      gauge(
        name,
        help,
        databases.flatMap((facts) => sample({ cluster, database: facts.database }, measure(facts, now))),
      ),
    ),
    ...PER_NODE.map(([name, help, measure]) =>
      gauge(
        name,
        help,
        measured.flatMap((each) =>
          databaseNodes(each.situation.topology).flatMap((node) =>
            sample({ cluster, database: each.facts.database, node: label(each.situation, node) }, measure(each, node)),
          ),
        ),
      ),
    ),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Gauge {
  return { name: `citus_databases_${name}`, help, samples };
}

function sample(labels: Readonly<Record<string, string>>, value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ labels, value }];
}

function notJoined({ situation }: VerifiedFacts): number | undefined {
  if (situation === undefined || isPlain(situation)) return undefined;
  const { workers, coordinator } = situation.topology;
  const { metadata } = inside(situation, coordinator);
  if (metadata === undefined) return workers.length;
  const disabled = workers.filter((worker) => registration(worker, metadata)?.isactive === false);
  return missingWorkers(workers, metadata).length + disabled.length;
}

/** Session statements (SET) are replayed and not recorded; with policy always nothing is ever pending. */
function pendingStatements({ situation, plan }: VerifiedFacts): number | undefined {
  // Before the plan initSQL has not been compared with its ledger.
  if (situation === undefined || plan === undefined) return undefined;
  const { initSql } = situation;
  if (initSql.kind === 'run') return initSql.pending.filter(({ kind }) => kind !== 'session').length;
  return initSql.kind === 'unknownOutcome' ? initSql.pending.length + 1 : 0;
}

function proved({ facts, situation }: Measured, node: NodeSpec): number | undefined {
  const report = facts.reports?.get(node.group);
  return report === undefined || isPlain(situation) ? undefined : provedLinksFrom(situation, report);
}

function expected({ situation }: Measured): number | undefined {
  return isPlain(situation) ? undefined : databaseNodes(situation.topology).length;
}

function missingShards({ situation }: Measured, node: NodeSpec): number | undefined {
  if (isPlain(situation)) return undefined;
  return situation.shardFaults.missing.filter(({ group }) => group === node.group).length;
}

function drift({ situation }: Measured, node: NodeSpec): number | undefined {
  if (isPlain(situation) || server(situation, node).database === null) return undefined;
  const name = label(situation, node);
  return findingsOf(situation).filter((finding) => finding.kind === 'metadata' && finding.node === name).length;
}
