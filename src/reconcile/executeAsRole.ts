import { CREATE_ATTEMPTS, recordAttempt } from '../initSql/attempt.ts';
import { resolveOutcome } from '../initSql/ledger.ts';
import { recordOutcome, recordRunning } from '../initSql/ledgerTable.ts';
import type { RecordedUnit, SqlPart, StatementUnit, Unit } from '../initSql/types.ts';
import { type Session, UNLIMITED } from '../postgres/connection.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import type { LineLog } from '../report/stepLog.ts';
import { outcomeOfAttempt } from './attemptOutcome.ts';
import type { InitSqlWork } from './executeInitSql.ts';
import { statementFailure } from './initSqlFailure.ts';
import { executeInTransaction } from './initSqlTransaction.ts';
import {
  endsFailure,
  entryOf,
  executeEach,
  lookUpOutcome,
  prepareLedger,
  RUN_IT_ALONE,
  rollBack,
  send,
  sendBlock,
  setUp,
} from './initSqlUnits.ts';
import type { Run } from './run.ts';

interface Executor {
  readonly run: Run;
  readonly log: LineLog;
  /** As the role: the server itself does not let it become more. */
  readonly session: Session;
  /** As the superuser, to whom the ledger belongs. */
  readonly ledger: Session;
}

/**
 * initSQLRole: statements run in a session that logged in as that role, the ledger is written in another one. Both cannot
 * commit together, so each transaction's number is written down before its first statement (attempt.ts).
 */
export async function executeAsRole(
  executor: Executor,
  work: Exclude<InitSqlWork, { readonly kind: 'record' }>,
): Promise<number> {
  const { run, session, ledger } = executor;
  if (work.kind === 'runAlways') return await executeUnits(executor, work.units, 'unrecorded');
  await prepareLedger(run, ledger, CREATE_ATTEMPTS);
  for (const part of work.replay) await setUp(run, session, part);
  if (work.kind === 'run') return await executeUnits(executor, work.pending, 'recorded');

  const outcome =
    (await outcomeOfAttempt(run, ledger, work.unit)) ??
    (await run.interruptible(() => lookUpOutcome(session, work.lookup)));
  const resolved = resolveOutcome(work, outcome, run.database);
  if (resolved.kind === 'failure') throw resolved.failure;
  await send(run, ledger, recordOutcome(entryOf(work.unit), outcome === 'done' ? 'done' : 'failed'), work.unit);
  return await executeUnits(executor, resolved.pending, 'recorded');
}

async function executeUnits(
  executor: Executor,
  units: readonly Unit[],
  mode: 'recorded' | 'unrecorded',
): Promise<number> {
  const execute = mode === 'recorded' ? executeRecorded : executeUnrecorded;
  return await executeEach(executor, units, (unit) => execute(executor, unit));
}

async function executeUnrecorded({ run, session }: Executor, unit: RecordedUnit): Promise<void> {
  if (unit.kind === 'statement') return await send(run, session, unit.sql, unit);
  await sendBlock(run, session, unit, 'COMMIT');
}

async function executeRecorded(executor: Executor, unit: RecordedUnit): Promise<void> {
  if (unit.kind === 'block') return await executeTransaction(executor, unit, [unit.begin, ...unit.statements]);
  if (unit.expectation === 'alone') return await executeAlone(executor, unit);
  try {
    await executeTransaction(executor, unit, [{ sql: 'BEGIN', line: unit.line, column: unit.column }, unit]);
  } catch (error) {
    if (!RUN_IT_ALONE.has(codeOf(error) ?? '')) throw error;
    await executeAlone(executor, unit);
  }
}

/** SET TRANSACTION has to come before the first query (PostgreSQL documentation, SET TRANSACTION). */
const OF_TRANSACTION = /^(?:begin|start|set\s+transaction)\b/i;

async function executeTransaction(
  { run, session, ledger }: Executor,
  unit: RecordedUnit,
  parts: readonly SqlPart[],
): Promise<void> {
  const first = parts.findIndex(({ sql }) => !OF_TRANSACTION.test(sql));
  const statements = first === -1 ? [] : parts.slice(first);
  await executeInTransaction(run, unit, {
    statements,
    send: async (onDone) => {
      for (const part of parts.slice(0, first === -1 ? undefined : first)) await send(run, session, part.sql, part);
      const { rows } = await session.query<{ readonly transaction: string }>(
        'SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS transaction',
      );
      const attempt = recordAttempt(unit, rows[0]?.transaction ?? '');
      await send(run, ledger, recordRunning(entryOf(unit), attempt), unit);
      const messages = [...statements.map(({ sql }) => sql), 'COMMIT'];
      await run.interruptible(() =>
        parts.some(endsFailure) ? oneByOne(session, messages, onDone) : session.pipeline(messages, { onDone }),
      );
    },
    undo: async () => {
      // A server that answers has rolled it back; with a lost connection the number is what there is to ask for.
      if (!session.isAlive) return;
      await rollBack(session);
      if (session.isAlive && ledger.isAlive) await ledger.script(recordOutcome(entryOf(unit), 'failed'));
    },
    unless: () => !session.isAlive || !ledger.isAlive,
  });
  // It is committed: whatever fails here must not execute it again.
  try {
    await run.interruptible(() => ledger.script(recordOutcome(entryOf(unit), 'done')));
  } catch (error) {
    throw statementFailure(run, unit, error, {
      located: false,
      next: 'Run again: the statement took effect, and the next run finds that out by the number of its transaction',
    });
  }
}

/** Where ROLLBACK TO would end a failure, what comes behind it must not be sent before the answer. */
async function oneByOne(session: Session, messages: readonly string[], onDone: () => void): Promise<void> {
  for (const message of messages) {
    await session.script(message, { dropsRows: true, deadlineMs: UNLIMITED });
    onDone();
  }
}

/** As a statement of the superuser's that runs outside a transaction: an intent goes before it. */
async function executeAlone({ run, session, ledger }: Executor, unit: StatementUnit): Promise<void> {
  const entry = entryOf(unit);
  await send(run, ledger, recordRunning(entry), unit);
  try {
    await run.interruptible(() => session.script(unit.sql, { dropsRows: true, deadlineMs: UNLIMITED }));
  } catch (error) {
    const notDone =
      session.isAlive && (await lookUpOutcome(session, unit.lookup).catch(() => 'unclear' as const)) === 'notDone';
    if (notDone) await ledger.script(recordOutcome(entry, 'failed'));
    const next = notDone
      ? undefined
      : 'It ran outside a transaction, so part of it may have taken effect: look at the database. Then run again';
    throw statementFailure(run, unit, error, { located: true, next });
  }
  await send(run, ledger, recordOutcome(entry, 'done'), unit);
}
