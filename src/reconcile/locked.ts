import type { Joined } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import { databaseLock, describeHolder, endedLine, registrationLock, withLock } from '../postgres/advisoryLock.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { createRun, type Run, retryDeadline } from './run.ts';

/**
 * One run at a time for one database; who comes second waits, says for whom, and gives up at its deadline. The caller
 * closes the sessions when it is through with the spec.
 */
export async function locked<Result>(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  body: (run: Run) => Promise<Result>,
): Promise<Result> {
  const { withoutSuperuser } = context.spec.cluster;
  // Without a superuser there is no way into the maintenance database, as a rule.
  const place = withoutSuperuser ? database.name : MAINTENANCE_DATABASE;
  const session = await joined.sessions.get(joined.coordinator, place);
  const log = context.log.about({ database: database.name });
  return await withLock(
    session,
    databaseLock(database.name),
    {
      deadline: performance.now() + database.maxAttempts * database.retryDelaySeconds * 1000,
      signal: context.signal,
      elsewhere: withoutSuperuser
        ? { database: MAINTENANCE_DATABASE, of: 'superusers' }
        : { database: database.name, of: 'others' },
      endsWithSession: context.spec.databases.length <= 1,
      onWait: (holder) => log.line(`Waiting for another run on database '${database.name}': ${describeHolder(holder)}`),
      onEnded: (holder) => log.line(endedLine(holder)),
    },
    (lock) =>
      body(
        createRun({
          ...joined,
          ...{ database, signal: context.signal, assertLock: () => lock.assertHeld(), withoutSuperuser },
        }),
      ),
  );
}

/**
 * One registration at a time in the whole cluster: while a node is added, Citus copies roles to it, and two such copies
 * at once end in "tuple concurrently updated".
 */
export async function withRegistrationLock<Result>(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  body: () => Promise<Result>,
): Promise<Result> {
  const log = context.log.about({ database: database.name });
  return await joined.registrations.take(async () =>
    withLock(
      await joined.sessions.get(joined.coordinator, MAINTENANCE_DATABASE),
      registrationLock(),
      {
        deadline: retryDeadline(database),
        signal: context.signal,
        onWait: (holder) => log.line(`Waiting for another registration of workers: ${describeHolder(holder)}`, 1),
        onEnded: (holder) => log.line(endedLine(holder), 1),
      },
      body,
    ),
  );
}
