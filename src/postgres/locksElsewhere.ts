import { poll } from '../concurrency/poll.ts';
import type { Session } from './connection.ts';
import { type HolderRow, holderOf, type LockHolder, type LockKey } from './lockHolder.ts';
import { quoteLiteral } from './quote.ts';

/**
 * A run without superuser (cluster.withoutSuperuser) may not be let into the maintenance database, and takes its lock in
 * the declared one. pg_locks shows the locks of all databases, so each kind of run looks for the other where that takes
 * its own. A superuser's run keeps its lock while it waits, and one without lets go, so that neither waits for ever.
 */
export interface LocksElsewhere {
  readonly database: string;
  /** Whose locks count there: anybody may take one to hold up the runs of superusers, or in their name. */
  readonly of: 'superusers' | 'others';
}

/** SQL expression: somebody holds it there, whoever it is. */
export function heldElsewhere({ key }: LockKey, { database }: LocksElsewhere): string {
  return `EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
    AND (l.classid::bigint << 32 | l.objid::bigint) = '${key}'::bigint
    AND l.database = (SELECT oid FROM pg_database WHERE datname = ${quoteLiteral(database)}))`;
}

/** Parameters: key, database, whether superusers' sessions are meant. */
const HOLDERS = `SELECT l.pid, r.rolname AS role, a.application_name, host(a.client_addr) AS client_addr, a.backend_start AS since,
          ${mayRun('r')} AS may_run
     FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_roles r ON r.oid = a.usesysid
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
      AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
      AND l.database = (SELECT oid FROM pg_database WHERE datname = $2) AND r.rolsuper = $3`;

/**
 * A run without superuser logs in as whoever owns the database, or makes roles (docs/DATABASE_MANAGEMENT.md). Anybody else
 * who may connect takes the lock only to hold up a superuser.
 */
function mayRun(role: string): string {
  return `(${role}.rolcreaterole OR pg_has_role(${role}.oid, (SELECT datdba FROM pg_database WHERE datname = $2), 'USAGE'))`;
}

/** Materialized: a planner that calls the function first would end every session. */
const endHolders = (whom: string) => `WITH others AS MATERIALIZED (${HOLDERS})
     SELECT o.*, CASE WHEN ${whom} THEN pg_terminate_backend(o.pid) END AS ended FROM others o`;

interface ElsewhereRow extends HolderRow {
  /** null: it was let be. */
  readonly ended: boolean | null;
}

export async function findElsewhere(
  session: Session,
  lock: LockKey,
  { database, of }: LocksElsewhere,
): Promise<readonly LockHolder[]> {
  const { rows } = await session.query<HolderRow>(HOLDERS, [lock.key, database, of === 'superusers']);
  return rows.map(holderOf);
}

interface Waiting {
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  readonly heldUpMs?: number | undefined;
  readonly onWait?: ((holder: LockHolder) => void) | undefined;
  readonly onEnded?: ((holder: LockHolder) => void) | undefined;
}

const PATIENCE_MS = 60_000;

/**
 * For a superuser's run that has its own lock: until runs of others are through. After a minute their sessions are ended,
 * since an owner is not to hold up a superuser; a run can be ended after any statement. Sessions that are no runs are ended
 * at once.
 */
export async function waitForOthers(
  session: Session,
  lock: LockKey,
  elsewhere: LocksElsewhere,
  { deadline, signal, heldUpMs = PATIENCE_MS, onWait, onEnded }: Waiting,
): Promise<void> {
  const endAndReport = async (whom: 'true' | 'NOT o.may_run') => {
    const parameters = [lock.key, elsewhere.database, elsewhere.of === 'superusers'];
    const { rows } = await session.query<ElsewhereRow>(endHolders(whom), parameters);
    for (const row of rows) if (row.ended !== null) onEnded?.(holderOf(row));
    return rows.filter(({ ended }) => ended === null).map(holderOf);
  };
  let told: number | undefined;
  const gone = await poll(
    async () => {
      const [first] = await endAndReport('NOT o.may_run');
      if (first === undefined) return true;
      if (first.pid !== told) onWait?.(first);
      told = first.pid;
      return undefined;
    },
    { everyMs: 500, deadline: Math.min(deadline, performance.now() + heldUpMs), signal },
  );
  if (gone !== true) await endAndReport('true');
}
