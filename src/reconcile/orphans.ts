import { poll } from '../concurrency/poll.ts';
import { endMarkedSessions } from '../initSql/marker.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Run } from './run.ts';

const PAUSE_MILLISECONDS = 200;

/**
 * Ends what a killed run left behind in initSQL, which rolls its statement back, before anybody looks at the ledger.
 * Whoever calls this holds the database's lock, so no marked session is a living run's.
 */
export async function endOrphans(run: Run, database: DatabaseSpec, coordinator: NodeSpec, log: LineLog): Promise<void> {
  let told = false;
  const ended = await poll(
    async () => {
      const session = await run.session({ node: coordinator, scope: 'server' });
      const { rows } = await session.query<{ sessions: number }>(endMarkedSessions(database));
      if (rows[0]?.sessions === 0) return true;
      if (!told)
        log.line('An earlier run was killed while it executed initSQL: its session is ended, its statement undone');
      told = true;
      return undefined;
    },
    { everyMs: PAUSE_MILLISECONDS, deadline: run.deadline(), signal: run.signal },
  );
  if (ended !== undefined) return;
  throw new Failure({
    kind: 'failed',
    what: 'The session in which an earlier run executed initSQL does not end',
    node: run.label(coordinator),
    database: run.database,
    next: 'Look for it in pg_stat_activity (its application_name says initSQL), and run again once it is gone',
  });
}
