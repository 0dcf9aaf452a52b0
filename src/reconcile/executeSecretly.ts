import { poll } from '../concurrency/poll.ts';
import type { Change } from '../objects/change.ts';
import { PIN_SEARCH_PATH } from '../objects/observe.ts';
import { MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { placeOf } from '../postgres/stream.ts';
import { Failure } from '../report/errors.ts';
import type { LockLimits, Run } from './run.ts';

/**
 * Nothing of these statements may reach the server's log: neither the statement, nor its parameters, nor an error's
 * DETAIL (PostgreSQL documentation, "Error Reporting and Logging"). The settings have to stand before the message that
 * carries the secret is sent, because a message is logged before it is executed.
 */
const NO_SERVER_LOG = [
  "SET LOCAL log_statement = 'none'",
  'SET LOCAL log_min_duration_statement = -1',
  'SET LOCAL log_min_duration_sample = -1',
  'SET LOCAL log_transaction_sample_rate = 0',
  "SET LOCAL log_min_error_statement = 'panic'",
  "SET LOCAL log_min_messages = 'panic'",
  "SET LOCAL log_error_verbosity = 'terse'",
  'SET LOCAL debug_print_parse = off',
  'SET LOCAL debug_print_rewritten = off',
  'SET LOCAL debug_print_plan = off',
  "SET LOCAL pgaudit.log = 'none'",
  "SET LOCAL pg_stat_statements.track = 'none'",
  'SET LOCAL auto_explain.log_min_duration = -1',
] as const;

/** After ALTER SYSTEM and pg_reload_conf() the postmaster accepts TLS when it comes to it; sessions see the setting before. */
const TLS_COMES_MS = 5_000;
const TLS_POLL_MS = 200;

/**
 * Statements that carry a secret: nothing of them reaches the server's log, and none is sent where somebody in between may
 * listen to a server that speaks TLS.
 */
export async function executeSecretly(run: Run, session: Session, change: Change, limits: LockLimits): Promise<void> {
  const secrecy = run.withoutSuperuser ? [] : NO_SERVER_LOG;
  if (await executeUnheard(session, change, limits, secrecy)) return;
  // The first CREATE EXTENSION citus of a server turns its TLS on (Citus: utils/enable_ssl.c); sessions from before have none.
  let last = session;
  const done = await poll(
    async () => {
      const { fresh, release } = await sessionInPlaceOf(run, session, change);
      last = fresh;
      try {
        return (await executeUnheard(fresh, change, limits, secrecy)) ? true : undefined;
      } finally {
        await release();
      }
    },
    { everyMs: TLS_POLL_MS, deadline: performance.now() + TLS_COMES_MS, signal: run.signal },
  );
  if (done === undefined) throw overheard(last);
}

/** The session in the maintenance database stays, because the lock may be in it; another one is for this change alone. */
async function sessionInPlaceOf(
  run: Run,
  session: Session,
  change: Change,
): Promise<{ readonly fresh: Session; readonly release: () => Promise<void> }> {
  if (session.database === MAINTENANCE_DATABASE) {
    const fresh = await run.sessions.another(change.node, session.database);
    return { fresh, release: () => fresh.close() };
  }
  await run.sessions.closeDatabase(session.database, change.node);
  return { fresh: await run.session(change), release: async () => undefined };
}

/** False: nothing was sent, because the server offers TLS and the session may be overheard all the same. */
async function executeUnheard(
  session: Session,
  change: Change,
  limits: LockLimits,
  secrecy: readonly string[],
): Promise<boolean> {
  const asked = session.mayBeOverheard ? [OFFERS_TLS] : [];
  const begun = await session.script<{ ssl?: string }>(['BEGIN', PIN_SEARCH_PATH, ...secrecy, ...asked].join(';\n'));
  try {
    if (session.mayBeOverheard && begun.at(-1)?.rows[0]?.ssl === 'on') {
      await session.query('ROLLBACK');
      return false;
    }
    for (const statement of change.statements) await session.query(statement.text, statement.values, limits);
    await session.query('COMMIT');
    return true;
  } catch (error) {
    if (session.isAlive) await session.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Asked in the message that has to come before a secret anyway. */
const OFFERS_TLS = "SELECT pg_catalog.current_setting('ssl') AS ssl";

/**
 * The login was SCRAM, in which the password is not to be heard; the statement would say it aloud. A server that offers
 * TLS did not decline it, unless its pg_hba.conf did.
 */
function overheard({ node, database, encrypted }: Session): Failure {
  return new Failure({
    kind: 'refused',
    what: 'The server offers TLS, and somebody in between could read this connection: no password is sent over it',
    node: placeOf(node),
    database,
    cause: encrypted
      ? "The login is not bound to the server's certificate (no SCRAM-SHA-256-PLUS)"
      : 'TLS was declined on the way, or a line hostnossl of its pg_hba.conf let nobody in with it',
    next: 'Find out why, and set ssl.mode: require. With ssl.mode: disable, passwords go over the network in clear text',
  });
}
