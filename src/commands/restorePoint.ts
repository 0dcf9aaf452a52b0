import { type Joined, joinCluster } from '../cluster/join.ts';
import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import { byGroup, forAll } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import { ACTIVE_WORKERS } from '../objects/citusNode.ts';
import {
  blockWrites,
  type CreatedPoint,
  createRestorePoint,
  DATABASE_HAS_CITUS,
  type RegisteredNode,
  restorePointNameProblem,
  WAL_SETTINGS,
  type WalSettings,
} from '../objects/restorePoint.ts';
import type { ServerDatabases } from '../objects/server.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import type { Sessions } from '../postgres/sessions.ts';
import { describe } from '../postgres/sqlstate.ts';
import { archivePoints, type PointOnNode } from '../reconcile/archivePoint.ts';
import { problemsFailure } from '../reconcile/problemsFailure.ts';
import { type BlockedDatabase, restorePointOrder, unreachableNodeProblems } from '../reconcile/restorePointOrder.ts';
import { refuseOtherServers } from '../reconcile/sameServers.ts';
import { serverDatabases } from '../reconcile/serverDatabases.ts';
import { openUnlessRefused, WriteBlock } from '../reconcile/writeBlock.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { ReportOptions } from './forEachDatabase.ts';

export interface RestorePointOptions extends Pick<ReportOptions, 'output'> {
  readonly name: string;
  /** How long to wait for all locks together, in seconds. */
  readonly lockTimeout: number;
  /** How long to wait for the archive, in seconds. */
  readonly archiveTimeout: number;
}

interface Blocked {
  readonly points: readonly PointOnNode[];
  /** Milliseconds, from the first lock that they wait for. */
  readonly ddlBlocked: number;
  readonly writesBlocked: number;
}

const CREATE_DEADLINE_MS = 5_000;

/** Creates a named point in the WAL of every node that is one moment for all databases with Citus, declared or not. */
export async function restorePoint(context: Context, options: RestorePointOptions): Promise<void> {
  const { name } = options;
  const problem = restorePointNameProblem(name);
  if (problem !== undefined) {
    throw new Failure({
      kind: 'invalid',
      what: `A restore point cannot have this name: ${problem}`,
      next: 'Give it a name of 1 to 63 bytes',
    });
  }
  const { log } = context;
  const joined = await joinCluster(context);
  const nodes = [joined.coordinator, ...joined.workers];
  const label = (node: NodeSpec) => joined.labels.get(node.group) ?? node.nodeName;
  const locks = joined.moreSessions();
  try {
    await refuseOtherServers(joined);
    const archives = await checkWal(context, joined, nodes);
    const found = await databasesWithCitus(context, joined, locks);
    const block = new WriteBlock({
      sessions: locks,
      maintenance: joined.sessions,
      label,
      waitMs: options.lockTimeout * 1000,
      signal: context.signal,
    });
    const refused = await block.open(
      found.databases.flatMap((database) => joined.workers.map((node) => ({ node, database }))),
    );
    const notLocked = [...new Set([...found.refused, ...refused.map(({ database }) => database)])].toSorted();
    if (notLocked.length > 0) {
      log.warn(
        `Databases that accept no connections are not locked, and may be of another moment: ${notLocked.join(', ')}`,
      );
    }
    const databases = found.databases.filter((database) => !notLocked.includes(database));
    log.line(`Creating restore point '${name}' on ${count(nodes.length, 'node')}...`);
    log.line(`Databases with Citus: ${databases.length === 0 ? 'none' : databases.join(', ')}`, 1);
    const { points, ddlBlocked, writesBlocked } = await createBlocked(context, joined, {
      ...{ name, databases, block },
      before: found.all,
    });
    for (const { node, lsn, walFile } of points) log.line(`✓ ${label(node)}: ${lsn} in ${walFile}`, 1);
    log.line(`Writes waited for at most ${writesBlocked} ms, DDL for at most ${ddlBlocked} ms`, 1);
    const archiving = points.filter(({ node }) => archives.has(node.group));
    const archived = await archivePoints(context, joined, archiving, options.archiveTimeout);
    if (archived.size === nodes.length) log.line('✓ its WAL is archived on every node', 1);
    log.line(`Restore point '${name}' is on every node`);
    if (options.output !== 'json') return;
    const report = {
      name,
      databases,
      notLocked,
      ddlBlockedMilliseconds: ddlBlocked,
      writesBlockedMilliseconds: writesBlocked,
      nodes: points.map(({ node, lsn, walFile }) => ({
        node: label(node),
        group: node.group,
        lsn,
        walFile,
        archived: archived.has(node.group),
      })),
    };
    context.print(`${JSON.stringify(report, undefined, 2)}\n`);
  } finally {
    await Promise.all([locks.close(), joined.sessions.close()]);
  }
}

/** The groups whose servers archive. */
async function checkWal(context: Context, joined: Joined, nodes: readonly NodeSpec[]): Promise<ReadonlySet<number>> {
  const settings = await byGroup(nodes, async (node) => {
    const session = await joined.sessions.get(node, MAINTENANCE_DATABASE);
    return (await session.query<WalSettings>(WAL_SETTINGS)).rows[0];
  });
  const label = (node: NodeSpec) => joined.labels.get(node.group) ?? node.nodeName;
  const minimal = nodes.filter(({ group }) => settings.get(group)?.walLevel === 'minimal');
  if (minimal.length > 0) {
    throw new Failure({
      kind: 'refused',
      what: 'The WAL of a server has no restore points: wal_level is minimal',
      node: minimal.map(label).join(', '),
      next: 'Set wal_level to replica or logical and restart the server',
    });
  }
  const without = nodes.filter(({ group }) => settings.get(group)?.archiveMode === 'off');
  if (without.length > 0) {
    context.log.warn(
      `archive_mode is off on ${without.map(label).join(', ')}: the point can be restored only if something else keeps its WAL`,
    );
  }
  return new Set(nodes.filter((node) => !without.includes(node)).map(({ group }) => group));
}

interface FoundDatabases {
  /** With Citus. */
  readonly databases: readonly string[];
  /** They accept no connections, so that nobody knows. */
  readonly refused: readonly string[];
  /** Whatever the server had when it was asked. */
  readonly all: readonly string[];
}

async function databasesWithCitus(context: Context, joined: Joined, locks: Sessions): Promise<FoundDatabases> {
  const { open, closed } = await serverDatabases(joined);
  const all = [...open, ...closed];
  if (!context.spec.cluster.citus) return { databases: [], refused: [], all };
  const databases: string[] = [];
  const refused = [...closed];
  for (const name of open) {
    const session = await openUnlessRefused(() => locks.get(joined.coordinator, name));
    if (session === 'absent') continue;
    if (session === 'refused') {
      refused.push(name);
      continue;
    }
    const row = (await session.script<{ readonly citus?: boolean }>(DATABASE_HAS_CITUS)).at(-1)?.rows[0];
    if (row?.citus === true) databases.push(name);
    else await locks.closeDatabase(name, joined.coordinator);
  }
  return { databases, refused, all };
}

interface Blocking {
  /** Of the point. */
  readonly name: string;
  readonly databases: readonly string[];
  readonly block: WriteBlock;
  /** All databases, when they were asked for: one that is made since is not locked, and not known to be left out. */
  readonly before: readonly string[];
}

/** Whatever happens, nothing stays locked: the transactions end with their sessions. */
async function createBlocked(
  context: Context,
  joined: Joined,
  { name, databases, block, before }: Blocking,
): Promise<Blocked> {
  const { coordinator, workers } = joined;
  const ddlFrom = performance.now();
  let writesFrom = ddlFrom;
  // One database after the other, as every other run does: two runs cannot wait for each other.
  const blocked: BlockedDatabase[] = [];
  for (const database of databases) {
    const [results] = await block.take(
      [{ node: coordinator, database }],
      () => `${blockWrites('metadata', true)}; ${ACTIVE_WORKERS}`,
    );
    blocked.push({ name: database, registered: (results?.at(-1)?.rows ?? []) as unknown as readonly RegisteredNode[] });
  }
  const problems = unreachableNodeProblems(workers, blocked);
  if (problems.length > 0) {
    throw problemsFailure(problems, { what: 'The spec does not name every node', after: 'There is no restore point' });
  }
  let points: readonly PointOnNode[] = [];
  for (const step of restorePointOrder(coordinator, workers, blocked)) {
    if (step.kind === 'lock') {
      if (step.lock === 'decisions') writesFrom = performance.now();
      await block.take(step.blockings, ({ node }) => blockWrites(step.lock, node === coordinator));
    } else if (step.kind === 'create') {
      sameDatabases(before, await serverDatabases(joined));
      throwIfInterrupted(context.signal);
      points = await createPoints(context, joined, step.nodes, name);
    } else {
      await block.release();
    }
  }
  const until = performance.now();
  return { points, ddlBlocked: Math.ceil(until - ddlFrom), writesBlocked: Math.ceil(until - writesFrom) };
}

/** A database that was made after the others were locked may be in the middle of a two-phase commit. */
function sameDatabases(before: readonly string[], { open, closed }: ServerDatabases): void {
  const added = [...open, ...closed].filter((name) => !before.includes(name));
  if (added.length === 0) return;
  throw new Failure({
    kind: 'failed',
    what: 'A database was created while the others were being locked',
    database: added.join(', '),
    next: 'There is no restore point: run again',
  });
}

async function createPoints(
  { log }: Context,
  joined: Joined,
  nodes: readonly NodeSpec[],
  name: string,
): Promise<readonly PointOnNode[]> {
  const text = createRestorePoint(name);
  return await forAll(nodes, async (node) => {
    try {
      const session = await joined.sessions.get(node, MAINTENANCE_DATABASE);
      const [point] = (await session.query<CreatedPoint>(text, [], { deadlineMs: CREATE_DEADLINE_MS })).rows;
      if (point === undefined) throw new Error('pg_create_restore_point() gave no row');
      return { node, ...point };
    } catch (error) {
      if (error instanceof Interrupted) {
        log.warn(`Some nodes may have a restore point '${name}' already: run again with another name`);
        throw error;
      }
      throw new Failure(
        {
          kind: 'failed',
          what: 'Failed to create the restore point on every node',
          node: joined.labels.get(node.group) ?? node.nodeName,
          cause: describe(error),
          next: 'Nothing is locked any more. Other nodes may have a point of that name: run again with another name',
        },
        { cause: error },
      );
    }
  });
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
