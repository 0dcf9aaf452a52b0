/** What a session is doing, as another session sees it. */
export interface Activity {
  /** When the server process of the session started, as text: processes' numbers come again. */
  readonly started: string;
  /** Since the statement under way began. */
  readonly seconds: number;
  /** The lock of this server that it waits for; null when it waits for none. */
  readonly lock: string | null;
  /** Who holds that lock. */
  readonly blockers: readonly Blocker[];
  /** Since when, and how, it waits for this program (to be sent something, or to get rid of it); null when it does not. */
  readonly client: string | null;
  /** The node where it waits, if that is another one. */
  readonly elsewhere?: string;
}

export interface Blocker {
  readonly holder: string;
  /** The statement that ends it. */
  readonly end: string;
}

const PROCESSES = `
  SELECT pg_catalog.format('process %s (%s)', b.pid,
           pg_catalog.concat_ws(', ', b.usename, NULLIF(b.application_name, ''))) AS holder,
         pg_catalog.format('SELECT pg_terminate_backend(%s)', b.pid) AS "end"
    FROM pg_catalog.pg_stat_activity b WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid))`;

/**
 * They have no process: pg_blocking_pids() has 0 for them. What they hold is in pg_locks without one, each with the
 * lock on its own transaction id.
 */
// It may hold the same object by several locks.
const PREPARED = `
  SELECT DISTINCT ON (x.gid) pg_catalog.format('prepared transaction %L (%s, database %s, %s s old)', x.gid, x.owner, x.database,
           pg_catalog.round(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - x.prepared))),
         pg_catalog.format('COMMIT PREPARED %1$L or ROLLBACK PREPARED %1$L in database %2$s', x.gid, x.database)
    FROM pg_catalog.pg_locks h
    JOIN pg_catalog.pg_locks t ON t.virtualtransaction = h.virtualtransaction AND t.pid IS NULL AND t.locktype = 'transactionid'
    JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = t.transactionid
   WHERE 0 = ANY (pg_catalog.pg_blocking_pids(a.pid)) AND h.granted AND h.pid IS NULL AND h.locktype = w.locktype
     AND h.database IS NOT DISTINCT FROM w.database AND h.relation IS NOT DISTINCT FROM w.relation
     AND h.page IS NOT DISTINCT FROM w.page AND h.tuple IS NOT DISTINCT FROM w.tuple
     AND h.transactionid IS NOT DISTINCT FROM w.transactionid AND h.classid IS NOT DISTINCT FROM w.classid
     AND h.objid IS NOT DISTINCT FROM w.objid AND h.objsubid IS NOT DISTINCT FROM w.objsubid`;

/**
 * Values: process id and database. The statements of others are left out: they may have passwords in them. PostgreSQL
 * documentation, "The Cumulative Statistics System" (pg_stat_activity), "pg_locks", "pg_prepared_xacts" and "System
 * Information Functions" (pg_blocking_pids). A relation of another database has a number here, and no name.
 */
const ACTIVITY = `
  SELECT a.backend_start::pg_catalog.text AS started,
         pg_catalog.round(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.query_start)) AS seconds,
         CASE WHEN a.wait_event_type = 'Client' THEN pg_catalog.concat_ws(' ', a.wait_event, a.state_change) END AS client,
         w.mode || ' on ' || CASE WHEN w.relation IS NULL THEN w.locktype
           ELSE pg_catalog.format('relation %s (SELECT %s::regclass)', w.relation, w.relation) END AS lock,
         (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f)), '[]')
            FROM (${PROCESSES} UNION ALL (${PREPARED})) f) AS blockers
    FROM pg_catalog.pg_stat_activity a
    LEFT JOIN LATERAL (SELECT l.* FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND NOT l.granted LIMIT 1) w ON true`;

export const ACTIVITY_OF = `${ACTIVITY} WHERE a.pid = $1 AND a.datname = $2`;

/**
 * On another node: what is done there for that session, which is a superuser's. The application name of Citus' own sessions
 * has the global process id of whoever they work for, whose last ten digits are the process id (Citus: backend_data.c,
 * GenerateGlobalPID; connection_configuration.c). Anybody may take that name, and wait for a lock in it, so that a
 * statement that works would be given up and a stranger named as its holder: superusers' sessions alone count.
 * Values as above.
 */
export const ACTIVITY_FOR = `${ACTIVITY}
   WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = a.usesysid AND r.rolsuper)
     AND a.application_name ~ '^citus_internal gpid=[0-9]{11,}$' AND w.mode IS NOT NULL
     AND pg_catalog."right"(a.application_name, 10)::pg_catalog.int8 = $1 AND a.datname = $2 LIMIT 1`;

/** For the log, while it lasts. */
export function describeActivity(activity: Activity): string {
  const since = `Still at it after ${activity.seconds} s`;
  return activity.lock === null ? since : `${since}: ${describeWait(activity)}`;
}

/** What a statement waits for, and how that can be ended. */
export function describeWait({ lock, blockers, elsewhere }: Activity): string {
  const what = elsewhere === undefined ? `${lock}` : `${lock} on ${elsewhere}`;
  if (blockers.length === 0) return `waits for ${what}`;
  const holders = blockers.map(({ holder }) => holder).join(', ');
  return `waits for ${what} that ${holders} holds; to end it: ${blockers.map(({ end }) => end).join('; ')}`;
}
