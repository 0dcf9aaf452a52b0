import { randomInt } from 'node:crypto';
import {
  CHECK_LEDGER,
  CREATE_LEDGER,
  LEDGER_TABLE,
  type LedgerEntry,
  type LedgerVersion,
  ledgerText,
} from '../initSql/ledgerTable.ts';
import { markSession } from '../initSql/marker.ts';
import { lineOf } from '../initSql/place.ts';
import type { BlockUnit, Lookup, LookupOutcome, RecordedUnit, SqlPart, Unit } from '../initSql/types.ts';
import { failingWith } from '../postgres/asFailure.ts';
import { LONG_MS, type Session, UNLIMITED } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { Guard } from './guardInitSql.ts';
import { statementFailure } from './initSqlFailure.ts';
import type { Run } from './run.ts';

/** What both ways of executing initSQL share: as superuser (executeInitSql.ts) and as a role (executeAsRole.ts). */

/**
 * PostgreSQL refuses some statements within a transaction: active_sql_transaction, and invalid_transaction_termination
 * for procedures that commit by themselves (PostgreSQL documentation, "PostgreSQL Error Codes").
 */
export const RUN_IT_ALONE: ReadonlySet<string> = new Set([
  SQLSTATE.activeSqlTransaction,
  SQLSTATE.invalidTransactionTermination,
]);

export interface EachTools {
  readonly run: Run;
  readonly session: Session;
  readonly log: LineLog;
  /** Absent: the session cannot become more than its role. */
  readonly guard?: Guard;
}

/**
 * Executes units one after the other: statements that only set the session up as they are, all others by `execute`, each
 * after a check of the lock and with a line of the log. Returns how many were executed.
 */
export async function executeEach(
  { run, session, log, guard }: EachTools,
  units: readonly Unit[],
  execute: (unit: RecordedUnit) => Promise<void>,
  /** Their lines are in the log already. */
  announced = false,
): Promise<number> {
  for (const unit of units) {
    if (unit.kind === 'session') {
      await guard?.check(unit);
      await setUp(run, session, unit);
      continue;
    }
    await run.assertLock();
    if (!announced) log.line(announcementOf(unit), 1);
    await execute(unit);
    if (losesMark(unit)) await send(run, session, newMark(), unit);
  }
  return units.filter(({ kind }) => kind !== 'session').length;
}

/** Sends a statement that sets the session up. */
export async function setUp(run: Run, session: Session, part: SqlPart): Promise<void> {
  await send(run, session, part.sql, part);
  if (losesMark(part)) await send(run, session, newMark(), part);
}

/** Marks the session as one that executes initSQL (marker.ts). */
export function newMark(): string {
  return markSession(randomInt(2 ** 31));
}

/** What lets go of all advisory locks of the session lets go of the mark (PostgreSQL documentation, DISCARD). */
export function losesMark({ sql }: SqlPart): boolean {
  return /^discard\b|\bpg_advisory_unlock_all\b/i.test(sql);
}

/** Default privileges are in force by now (objects/extensionRights.ts). */
export function bringsExtension({ sql }: SqlPart): boolean {
  return /\bextension\b/i.test(sql);
}

/** In the log, before the unit is executed. */
export function announcementOf(unit: RecordedUnit): string {
  return `Line ${lineOf(unit)}: ${unit.display}`;
}

export async function prepareLedger(run: Run, session: Session, more: readonly string[] = []): Promise<LedgerVersion> {
  const statements = ['BEGIN', ...CREATE_LEDGER, ...more, 'COMMIT'].join(';\n');
  return await ledgerVersion(run, session, statements, {
    what: `Failed to make ${LEDGER_TABLE}, where executed statements of initSQL are noted`,
    next: 'Remove the cause and run again: nothing of initSQL was executed by this run',
  });
}

/** The same for a ledger that was there a moment ago. */
export async function checkLedger(run: Run, session: Session): Promise<LedgerVersion> {
  return await ledgerVersion(run, session, CHECK_LEDGER, {
    what: `Failed to check ${LEDGER_TABLE}, where executed statements of initSQL are noted`,
    next: 'Remove the cause and run again: what this run has executed is done and not repeated',
  });
}

async function ledgerVersion(
  run: Run,
  session: Session,
  statements: string,
  words: { readonly what: string; readonly next: string },
): Promise<LedgerVersion> {
  return await failingWith({ kind: 'failed', node: run.coordinator, database: run.database, ...words }, async () => {
    const results = await run.interruptible(() => session.script<LedgerVersion>(statements));
    const version = results.flatMap(({ rows }) => rows).find((row) => 'table_version' in row);
    if (version === undefined) throw new Error('it is not there');
    return version;
  });
}

/** ROLLBACK TO: what stands before it may have failed, and what comes after it would take effect all the same. */
export function endsFailure({ sql }: SqlPart): boolean {
  return /^(?:rollback|abort)\b/i.test(sql);
}

export async function send(run: Run, session: Session, sql: string, part: SqlPart): Promise<void> {
  try {
    const deadlineMs = sql === part.sql ? UNLIMITED : LONG_MS;
    await run.interruptible(() => session.script(sql, { dropsRows: true, deadlineMs }));
  } catch (error) {
    throw statementFailure(run, part, error, { located: sql === part.sql });
  }
}

/** A block without a retry: each of its statements is answered before the next one is sent. */
export async function sendBlock(run: Run, session: Session, unit: BlockUnit, end: string): Promise<void> {
  try {
    for (const part of [unit.begin, ...unit.statements]) await send(run, session, part.sql, part);
    await send(run, session, end, unit);
  } catch (error) {
    await rollBack(session);
    throw error;
  }
}

export async function rollBack(session: Session): Promise<void> {
  if (session.isAlive) await session.query('ROLLBACK').catch(() => undefined);
}

export async function lookUpOutcome(session: Session, lookup: Lookup): Promise<LookupOutcome> {
  if (lookup.kind === 'runAgain') return 'notDone';
  if (lookup.kind === 'none') return 'unclear';
  const result = await session.query<{ outcome: LookupOutcome }>(lookup.text, [...lookup.values]);
  return result.rows[0]?.outcome ?? 'unclear';
}

export function entryOf(unit: RecordedUnit): LedgerEntry {
  return { hash: unit.hash, occurrence: unit.occurrence, line: unit.line, text: ledgerText(unit.text) };
}
