import { assertExtensions, nameDroppedCitus } from '../initSql/keptExtensions.ts';
import { type LedgerEntry, recordDone, recordOutcome, recordRunning } from '../initSql/ledgerTable.ts';
import type { BlockUnit, RecordedUnit, SqlPart, StatementUnit } from '../initSql/types.ts';
import { ONLY_AUTHORS_RIGHTS } from '../objects/extensionRights.ts';
import { type Session, UNLIMITED } from '../postgres/connection.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { Guard } from './guardInitSql.ts';
import { statementFailure, triedAgain } from './initSqlFailure.ts';
import { executeInTransaction } from './initSqlTransaction.ts';
import {
  bringsExtension,
  endsFailure,
  entryOf,
  lookUpOutcome,
  RUN_IT_ALONE,
  rollBack,
  send,
  sendBlock,
} from './initSqlUnits.ts';
import type { Run } from './run.ts';

export interface Executor {
  readonly run: Run;
  readonly session: Session;
  readonly log: LineLog;
  readonly extensions: readonly string[];
  readonly guard: Guard;
}

/** recorded: with its row in the ledger. */
export type Mode = 'recorded' | 'unrecorded';

/** Executes one unit as superuser, by itself. */
export async function executeUnit(executor: Executor, unit: RecordedUnit, mode: Mode): Promise<void> {
  await executor.guard.check(unit);
  if (unit.kind === 'block') await executeBlock(executor, unit, mode);
  else await executeStatement(executor, unit, mode);
}

async function executeStatement(executor: Executor, unit: StatementUnit, mode: Mode): Promise<void> {
  const { run, session } = executor;
  const alone = mode === 'recorded' ? () => executeAlone(run, session, unit) : () => send(run, session, unit.sql, unit);
  // Rights that have to be taken back go in the same transaction, as the row does.
  if (unit.expectation === 'alone' || (mode === 'unrecorded' && !bringsExtension(unit))) return await alone();
  const begin = { sql: 'BEGIN', line: unit.line, column: unit.column };
  try {
    await executeTransaction(executor, unit, [begin, unit], mode);
  } catch (error) {
    if (!RUN_IT_ALONE.has(codeOf(error) ?? '')) throw error;
    await alone();
  }
}

async function executeBlock(executor: Executor, unit: BlockUnit, mode: Mode): Promise<void> {
  const { run, session } = executor;
  const parts = [unit.begin, ...unit.statements];
  if (mode === 'recorded' && !parts.some(endsFailure)) return await executeTransaction(executor, unit, parts, mode);
  await sendBlock(run, session, unit, endOf(executor, unit, mode));
}

/**
 * The statement by itself: Citus hands the text of the whole message to its workers, which take one command only
 * (Citus: commands/utility_hook.c, queryString). All messages go out at once, since a failed statement fails the ones
 * behind it, COMMIT included. What is rolled back for a reason that passes runs again.
 */
async function executeTransaction(
  executor: Executor,
  unit: RecordedUnit,
  parts: readonly SqlPart[],
  mode: Mode,
): Promise<void> {
  const { run, session, log } = executor;
  const messages = [...parts.map(({ sql }) => sql), endOf(executor, unit, mode)];
  await executeInTransaction(run, unit, {
    statements: parts,
    send: (onDone) => run.interruptible(() => session.pipeline(messages, { onDone })),
    undo: () => rollBack(session),
    explain: nameDroppedCitus,
    // A read-only session stays one, and after a lost connection the ledger has to be asked first.
    unless: (error) => !session.isAlive || codeOf(error) === SQLSTATE.readOnlySqlTransaction,
    onRetry: ({ error }) => log.line(triedAgain(unit, error.cause ?? error), 2),
  });
}

/** The last message of a unit's transaction. */
function endOf({ extensions }: Executor, unit: RecordedUnit, mode: Mode): string {
  const row = mode === 'recorded' ? [recordDone(entryOf(unit))] : [];
  // What has no such word in it is looked at when all of initSQL is through. The shown text of a Secret lacks its strings.
  const kept = /\bdrop\b/i.test(unit.sql) ? assertExtensions(extensions) : [];
  const rights = bringsExtension(unit) ? ONLY_AUTHORS_RIGHTS : [];
  return [...row, ...rights, ...kept, 'COMMIT'].join(';\n');
}

/**
 * Outside a transaction nothing ties the statement to its row: an intent goes before it, and a run that finds the intent
 * without an end has to look up what became of it.
 */
async function executeAlone(run: Run, session: Session, unit: StatementUnit): Promise<void> {
  const entry = entryOf(unit);
  await send(run, session, recordRunning(entry), unit);
  try {
    await run.interruptible(() => session.script(unit.sql, { dropsRows: true, deadlineMs: UNLIMITED }));
  } catch (error) {
    const leftovers = await leftBehind(session, unit, entry);
    throw statementFailure(run, unit, error, { located: true, next: leftovers });
  }
  await send(run, session, recordOutcome(entry, 'done'), unit);
}

/**
 * Such a statement may fail and yet leave something (CREATE INDEX CONCURRENTLY an invalid index, a procedure what it had
 * committed). Only when it is certain that nothing is left does its intent go; returns what to say otherwise.
 */
async function leftBehind(session: Session, unit: StatementUnit, entry: LedgerEntry): Promise<string | undefined> {
  const { lookup } = unit;
  const unknown =
    lookup.kind === 'query'
      ? `${lookup.whenUnclear} Then run again.`
      : 'It ran outside a transaction, so part of it may have taken effect: look at the database';
  if (!session.isAlive) return unknown;
  try {
    const outcome = await lookUpOutcome(session, lookup);
    if (outcome !== 'notDone') return unknown;
    await session.script(recordOutcome(entry, 'failed'));
    return undefined;
  } catch {
    return unknown;
  }
}
