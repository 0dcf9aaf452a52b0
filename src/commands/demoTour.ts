import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { EXAMPLE } from '../localCluster/example.ts';
import { connect } from '../postgres/connection.ts';
import { loadTls } from '../postgres/tls.ts';
import type { StepLog } from '../report/stepLog.ts';
import type { NodeSpec, Spec, UserSpec } from '../spec/types.ts';

/** The end of the demo: what its user has now, and what to type next. */

interface Tour {
  readonly log: StepLog;
  readonly nodes: readonly NodeSpec[];
  readonly password: string | undefined;
  readonly signal: AbortSignal;
}

/** The example's own query as its owner, through each node: what a first look with psql would show. */
export async function queryEveryNode({ log, nodes, password, signal }: Tour): Promise<void> {
  log.blank();
  log.line(`The same query through every node, as ${EXAMPLE.owner}:`);
  log.line(EXAMPLE.query, 1);
  const tls = await loadTls({
    enabled: false,
    mode: 'disable',
    directory: '',
    ca: '',
    certificate: '',
    key: '',
  });
  for (const node of nodes) {
    const target = { node, database: EXAMPLE.database };
    const session = await connect(
      target,
      { user: EXAMPLE.owner, password, tls, acceptServerWithoutProof: false },
      { pinned: false, signal },
    );
    try {
      const { rows } = await session.query<{ events: string; users: string }>(EXAMPLE.query);
      const [row] = rows;
      log.line(
        `${node.host}:${node.port}  ${roleOf(node).padEnd(11)}  ${row?.events} events of ${row?.users} users`,
        2,
      );
    } finally {
      await session.close();
    }
  }
}

export interface Directions {
  readonly spec: Spec;
  /** As a user types it. */
  readonly specFile: string;
  readonly pgpass: string;
  readonly invokedAs: string;
}

/**
 * The password is in a file, here too: psql reads it from there, and no terminal, history or process list ever shows it.
 */
export async function sayWhatToType(log: StepLog, { spec, specFile, pgpass, invokedAs }: Directions): Promise<void> {
  const [database] = spec.databases;
  const user = database?.users.find((candidate) => candidate.access === 'owner' && hasPassword(candidate));
  const login = user?.name ?? spec.cluster.user;
  const name = database?.name ?? spec.cluster.database;
  log.blank();
  log.line(
    user === undefined
      ? `Connect as the superuser ${login}; the password is in ${pgpass}:`
      : `Connect as ${login}, who owns database ${name}; the password is in ${pgpass}:`,
  );
  for (const node of [spec.cluster.coordinator, ...(spec.cluster.workers ?? [])]) {
    log.line(`PGPASSFILE=${pgpass} psql -h ${node.host} -p ${node.port} -U ${login} -d ${name}   # ${roleOf(node)}`, 1);
  }
  if (!(await onPath('psql'))) {
    log.line('There is no psql on this machine: apt install postgresql-client, or brew install libpq.', 1);
  }
  log.blank();
  log.line(`Change ${specFile}, for instance add a database to it, and:`);
  for (const command of ['plan', 'apply', 'verify']) log.line(`${invokedAs} ${command} -f ${specFile}`, 1);
}

function hasPassword({ passwordFile, login }: UserSpec): boolean {
  return login && passwordFile !== undefined;
}

function roleOf(node: NodeSpec): string {
  return node.group === 0 ? 'coordinator' : `worker ${node.group}`;
}

async function onPath(program: string): Promise<boolean> {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const found = await Promise.all(
    folders.map((folder) =>
      access(path.join(folder, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}
