/** What a session is doing, as another session sees it. */
export interface Activity {
  /** When the server process of the session started, as text: processes' numbers come again. */
  readonly started: string;
  /** Since the statement under way began. */
  readonly seconds: number;
  /** Who holds the lock that it waits for; null when it does not wait for a lock of this server. */
  readonly blockers: string | null;
}

/**
 * Values: process id and database. The statements of others are left out: they may have passwords in them. PostgreSQL
 * documentation, "The Cumulative Statistics System" (pg_stat_activity) and "System Information Functions"
 * (pg_blocking_pids).
 */
export const ACTIVITY_OF = `
  SELECT a.backend_start::pg_catalog.text AS started,
         pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.query_start)::pg_catalog.int4 AS seconds,
         (SELECT pg_catalog.string_agg(pg_catalog.format('%s (%s)', b.pid,
                   pg_catalog.concat_ws(', ', b.usename, NULLIF(b.application_name, ''))), ', ' ORDER BY b.pid)
            FROM pg_catalog.pg_stat_activity b
           WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid))) AS blockers
    FROM pg_catalog.pg_stat_activity a
   WHERE a.pid = $1 AND a.datname = $2`;

/** For the log, while it lasts. */
export function describeActivity({ seconds, blockers }: Activity): string {
  const since = `Still at it after ${seconds} s`;
  return blockers === null ? since : `${since}: waits for a lock that process ${blockers} holds`;
}
