import { quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { jsonRows, observationScript } from './observe.ts';
import {
  AS_OURSELVES,
  assertTrusted,
  CREATED_MEANWHILE,
  distrustProblem,
  ensureOwnTable,
  type OwnTable,
  qualified,
} from './ownTable.ts';
import { type OwnTableQuestion, observeOwnTables } from './ownTableObserved.ts';
import { SYSTEM_IDENTIFIER } from './server.ts';
import { wording } from './wording.ts';

/**
 * Which servers the cluster is made of. initdb gives each its system identifier, which standbys and physical backups keep
 * (PostgreSQL documentation, "Control Data Functions"); so another one behind a worker's name means that an empty or a
 * foreign server has taken its place. The coordinator's maintenance database remembers those of the workers; its own is
 * remembered outside of it (cluster/release.ts).
 */
export interface RecordedServer {
  readonly name: string;
  readonly port: number;
  readonly systemIdentifier: string;
}

export interface ObservedIdentities {
  /** Why the table is not to be trusted: then no row of it was read. */
  readonly distrust: string | null;
  readonly rows: readonly RecordedServer[];
}

/** A worker as it answers now. */
export interface SeenServer {
  readonly node: NodeSpec;
  readonly label: string;
  readonly systemIdentifier: string;
  /** Whether the database that is worked on has it in its pg_dist_node, or does not exist yet. */
  readonly relied: boolean;
}

const IDENTITIES: OwnTable = {
  name: 'node_identity',
  columns: [
    ['node_name', 'text'],
    ['node_port', 'integer'],
    ['system_identifier', 'text'],
    ['recorded_at', 'timestamp with time zone'],
  ],
};
const TABLE = qualified(IDENTITIES);

const ENSURE = ensureOwnTable(`${TABLE} (
    node_name pg_catalog.text,
    node_port pg_catalog.int4,
    system_identifier pg_catalog.text NOT NULL,
    recorded_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (node_name, node_port))`);

/** What a server says of itself, and the coordinator of the others: for commands that observe no database. */
export interface ServerIdentity {
  readonly systemIdentifier: string;
  /** Patroni's scope. */
  readonly clusterName: string;
  /** Of the coordinator alone. */
  readonly identities?: ObservedIdentities;
}

export function identityScript(coordinator: boolean): string {
  return observationScript([
    { key: 'systemIdentifier', value: `pg_catalog.to_jsonb(${SYSTEM_IDENTIFIER})` },
    { key: 'clusterName', value: "pg_catalog.to_jsonb(pg_catalog.current_setting('cluster_name'))" },
    ...(coordinator ? observeOwnTables([askIdentities()]) : []),
  ]);
}

export function readIdentity(observed: string): ServerIdentity {
  return JSON.parse(observed) as ServerIdentity;
}

/** On the coordinator only. */
export function askIdentities(): OwnTableQuestion {
  const rows = jsonRows(
    `SELECT node_name AS name, node_port AS port, system_identifier AS "systemIdentifier" FROM ${TABLE}`,
  );
  return {
    key: 'identities',
    table: IDENTITIES,
    value: `pg_catalog.jsonb_build_object('distrust', NULL, 'rows', ${rows})`,
    otherwise: (distrust) => `pg_catalog.jsonb_build_object('distrust', ${distrust}, 'rows', '[]'::pg_catalog.jsonb)`,
  };
}

/** Workers that are other servers than those that hold the shards. */
export function identityProblems(
  recorded: ObservedIdentities | undefined,
  workers: readonly SeenServer[],
  coordinator: string,
): readonly Problem[] {
  if (recorded === undefined) return [];
  if (recorded.distrust !== null) return [distrustProblem(recorded.distrust, coordinator)];
  return workers.flatMap((seen) => {
    const before = recordOf(recorded, seen);
    if (before === undefined || before.systemIdentifier === seen.systemIdentifier || !seen.relied) return [];
    const where = `node_name = ${quoteLiteral(seen.node.nodeName)} AND node_port = ${seen.node.nodePort}`;
    return [
      {
        kind: 'refused',
        what: `This is another server than before: its system identifier is ${seen.systemIdentifier}, and that of the server with the shards was ${before.systemIdentifier}`,
        node: seen.label,
        next:
          'Give the group its volumes back, or restore them from a physical backup. If the server was replaced on purpose ' +
          `(pg_upgrade, a restored dump, an empty group), on the coordinator in ${MAINTENANCE}: DELETE FROM ${TABLE} WHERE ${where}`,
      },
    ];
  });
}

const MAINTENANCE = 'database postgres';

/** Remembers the workers that are not remembered as they are; nothing where they are. */
export function recordIdentities(
  recorded: ObservedIdentities | undefined,
  workers: readonly SeenServer[],
  coordinator: NodeSpec,
): readonly Change[] {
  if (recorded === undefined) return [];
  const news = workers.filter((seen) => recordOf(recorded, seen)?.systemIdentifier !== seen.systemIdentifier);
  if (news.length === 0) return [];
  const rows = news.map(
    ({ node, systemIdentifier }) =>
      `(${quoteLiteral(node.nodeName)}, ${node.nodePort}, ${quoteLiteral(systemIdentifier)})`,
  );
  const names = news.map(({ label }) => label).join(', ');
  const statement = `INSERT INTO ${TABLE} (node_name, node_port, system_identifier) VALUES ${rows.join(', ')}
     ON CONFLICT (node_name, node_port)
     DO UPDATE SET system_identifier = EXCLUDED.system_identifier, recorded_at = pg_catalog.now()`;
  return [
    {
      kind: 'change',
      node: coordinator,
      scope: 'server',
      ...wording('record', `the system identifiers of ${names} (${TABLE})`),
      statements: [...AS_OURSELVES, ...ENSURE, assertTrusted(IDENTITIES), statement].map((text) => ({ text })),
      failure: `Failed to record the system identifiers of the workers in ${TABLE}`,
      doneOnRetry: [],
      retryOn: CREATED_MEANWHILE,
      batch: 'bookkeeping',
      secret: false,
    },
  ];
}

function recordOf({ rows }: ObservedIdentities, { node }: SeenServer): RecordedServer | undefined {
  return rows.find(({ name, port }) => name === node.nodeName && port === node.nodePort);
}
