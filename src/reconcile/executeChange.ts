import { poll } from '../concurrency/poll.ts';
import type { Change } from '../objects/change.ts';
import { PIN_SEARCH_PATH } from '../objects/observe.ts';
import { adviceOn } from '../postgres/advice.ts';
import { LONG_MS, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { retryTransient } from '../postgres/retry.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { placeOf } from '../postgres/stream.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { LockLimits, Run } from './run.ts';

/**
 * Carries out one change: again while the error is one that passes, with the deadline in sight. After a lost connection
 * the first attempt may have succeeded unseen; the change names the SQLSTATEs that then mean "done".
 */
export async function executeChange(
  run: Run,
  change: Change,
  log: LineLog,
  deadline: number = run.deadline(),
): Promise<void> {
  await run.assertLock();
  try {
    await retryTransient(
      async (attempt) => {
        const session = await run.session(change);
        await run
          .interruptible(() => executeStatements(run, session, change, run.lockLimits(deadline)))
          .catch(async (error: unknown) => {
            if (attempt === 1 || !change.doneOnRetry.includes(codeOf(error) ?? '')) throw error;
            const { confirm } = change;
            if (confirm !== undefined) await run.interruptible(() => session.script(confirm, run.lockLimits(deadline)));
          });
      },
      {
        deadline,
        signal: run.signal,
        alsoTransient: [...(change.retryOn ?? []), ...madeMeanwhile(change)],
        onRetry: ({ error }) => log.line(`${describe(error, { detail: false })}; trying again`, 2),
      },
    );
  } catch (error) {
    // Within the same time: an error that did not pass for all together is not waited for again with each.
    for (const part of change.oneByOne ?? []) await executeChange(run, part, log, deadline);
    if (change.oneByOne !== undefined) return;
    throw changeFailure(run, change, error);
  }
}

/**
 * What was absent when it was looked for may be there now: a server goes on with the statement of a run that was killed,
 * and its end shows as a duplicate (of an object, or of its row in the catalog when both were under way at once). The
 * second attempt then finds the object. Several changes in one are taken one by one instead: some may still be missing.
 */
function madeMeanwhile(change: Change): readonly string[] {
  if (change.doneOnRetry.length === 0 || change.oneByOne !== undefined) return [];
  return [...change.doneOnRetry, SQLSTATE.uniqueViolation];
}

async function executeStatements(run: Run, session: Session, change: Change, limits: LockLimits): Promise<void> {
  const secrecy = run.withoutSuperuser ? [] : NO_SERVER_LOG;
  if (change.secret) return await executeSecretly(run, session, change, limits, secrecy);
  const texts = change.statements.map((statement) => statement.text);
  if (change.separately === true) {
    for (const text of texts) await session.script(text, { ...limits, deadlineMs: LONG_MS });
    return;
  }
  // One simple-protocol message is one implicit transaction (PostgreSQL documentation, "Multiple Statements in a
  // Simple Query"): all or nothing, in one round trip. On the server's side of things (CREATE DATABASE) a statement
  // stands alone, and the session's search_path is pinned already.
  await session.script((change.scope === 'server' ? texts : [PIN_SEARCH_PATH, ...texts]).join(';\n'), {
    ...limits,
    deadlineMs: LONG_MS,
  });
}

/**
 * Nothing of these statements may reach the server's log: neither the statement, nor its parameters, nor an error's
 * DETAIL (PostgreSQL documentation, "Error Reporting and Logging"). The settings have to stand before the message that
 * carries the secret is sent, because a message is logged before it is executed.
 */
export const NO_SERVER_LOG = [
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

async function executeSecretly(
  run: Run,
  session: Session,
  change: Change,
  limits: LockLimits,
  secrecy: readonly string[],
): Promise<void> {
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

function nextStep(change: Change, error: unknown): string {
  const ofCode = change.nextOn?.[codeOf(error) ?? ''];
  return ofCode ?? adviceOn(error) ?? change.next ?? 'Remove the cause and run again: what is done stays done';
}

function changeFailure(run: Run, change: Change, error: unknown): unknown {
  if (error instanceof Failure || error instanceof Interrupted) return error;
  return new Failure(
    {
      kind: change.invalidOn?.includes(codeOf(error) ?? '') === true ? 'invalid' : 'failed',
      what: change.failure,
      node: run.label(change.node),
      database: change.scope === 'database' ? run.database : undefined,
      cause: describe(error, { detail: !change.secret }),
      next: nextStep(change, error),
    },
    { cause: error },
  );
}
