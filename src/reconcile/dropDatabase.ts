import {
  BELONGS_TO_CLUSTER,
  closeDoor,
  dropDatabase,
  dropSlot,
  endSessions,
  type Obstacles,
  observeObstacles,
  openDoor,
  readObstacles,
  rollBackPrepared,
} from '../objects/dropDatabase.ts';
import { observationScript } from '../objects/observe.ts';
import { retryTransient } from '../postgres/retry.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Run } from './run.ts';

export async function observeObstaclesOf(run: Run, node: NodeSpec): Promise<Obstacles> {
  const session = await run.session({ node, scope: 'server' });
  const result = await session.script(observationScript(observeObstacles(run.database)));
  const row = result.at(-1)?.rows[0] as { readonly observed: string } | undefined;
  return readObstacles(row?.observed ?? '{}');
}

/**
 * Drops the database on one node: prepared transactions are rolled back (from inside), the door is closed, sessions are
 * ended, slots removed. Any of it may come back until the door is shut, so all of it is done again while PostgreSQL says
 * that the database is in use (55006).
 */
export async function dropOnNode(run: Run, node: NodeSpec, systemIdentifier: string, log: LineLog): Promise<void> {
  await run.assertLock();
  const label = run.label(node);
  try {
    await retryTransient(
      async () => {
        const obstacles = await observeObstaclesOf(run, node);
        if (obstacles.systemIdentifier !== systemIdentifier) throw otherServer(label, obstacles.systemIdentifier);
        if (obstacles.database === null) return;
        const server = await run.session({ node, scope: 'server' });
        const dropIt = () => run.interruptible(() => server.query(dropDatabase(run.database)));
        if (obstacles.database.invalid) {
          await dropIt();
          return;
        }
        if (obstacles.prepared.length > 0) {
          if (!obstacles.database.allowConnections) await server.query(openDoor(run.database));
          log.line(`Rolling back ${counted(obstacles.prepared.length, 'prepared transaction')} on ${label}...`, 2);
          const within = await run.session({ node, scope: 'database' });
          for (const identifier of obstacles.prepared) await within.query(rollBackPrepared(identifier));
        }
        await run.sessions.closeDatabase(run.database, node);
        await server.query(closeDoor(run.database));
        if (obstacles.sessions > 0) log.line(`Ending ${counted(obstacles.sessions, 'session')} on ${label}...`, 2);
        await server.query(endSessions(run.database));
        for (const slot of obstacles.slots) {
          log.line(`Dropping logical replication slot ${slot} on ${label}...`, 2);
          await server.query(dropSlot(slot));
        }
        await dropIt();
      },
      {
        deadline: run.deadline(),
        signal: run.signal,
        onRetry: ({ error }) => log.line(`${describe(error)}; trying again`, 2),
      },
    );
  } catch (error) {
    if (error instanceof Failure || error instanceof Interrupted) throw error;
    throw new Failure(
      {
        kind: 'failed',
        what: `Failed to drop database '${run.database}'`,
        node: label,
        cause: describe(error),
        next: 'Remove the cause and run the same drop again: what is dropped stays dropped',
      },
      { cause: error },
    );
  }
}

function otherServer(node: string, systemIdentifier: string): Failure {
  return new Failure({
    kind: 'refused',
    what: `Another server has taken the place of this one meanwhile: its system identifier is ${systemIdentifier}`,
    node,
    next: 'Find out what happened to the node, and run the same drop again: what is dropped stays dropped',
  });
}

/** Where nobody can look into it, nobody knows. */
export async function belongsToCluster(run: Run, node: NodeSpec): Promise<boolean> {
  try {
    const session = await run.session({ node, scope: 'database' });
    return (await session.query<{ belongs: boolean }>(BELONGS_TO_CLUSTER)).rows[0]?.belongs === true;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  } finally {
    // Else it would be one of those that are in the way.
    await run.sessions.closeDatabase(run.database, node);
  }
}

function counted(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}
