import { resolveOutcome } from '../initSql/ledger.ts';
import {
  CREATE_LEDGER,
  LEDGER_TABLE,
  type LedgerEntry,
  recordDone,
  recordOutcome,
  recordRunning,
} from '../initSql/ledgerTable.ts';
import { locateError } from '../initSql/locateError.ts';
import type { InitSqlDecision } from '../initSql/policy.ts';
import type { BlockUnit, Lookup, LookupOutcome, RecordedUnit, SqlPart, StatementUnit, Unit } from '../initSql/types.ts';
import type { Session } from '../postgres/connection.ts';
import { ConnectionLost } from '../postgres/session.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { Run } from './run.ts';

/** Decisions that execute or record something; the others were turned into failures or warnings before. */
export type InitSqlWork = Extract<InitSqlDecision, { kind: 'record' | 'run' | 'runAlways' | 'unknownOutcome' }>;

/**
 * PostgreSQL refuses some statements within a transaction: active_sql_transaction, and invalid_transaction_termination
 * for procedures that commit by themselves (PostgreSQL documentation, "PostgreSQL Error Codes").
 */
const RUN_IT_ALONE: ReadonlySet<string> = new Set(['25001', '2D000']);

/**
 * Executes initSQL in a session of its own, which has the role's and the database's settings as any client has them.
 * Each statement commits together with its row in the ledger; nothing is tried twice, because a statement whose outcome
 * is in doubt must be looked up first. Returns how many statements were executed.
 */
export async function executeInitSql(run: Run, session: Session, work: InitSqlWork, log: LineLog): Promise<number> {
  if (work.kind === 'record') {
    await prepareLedger(run, session);
    for (const unit of work.units) {
      await send(run, session, `BEGIN;\n${recordDone(entryOf(unit))};\nCOMMIT`, unit);
    }
    return 0;
  }
  if (work.kind === 'runAlways') return await executeUnits(run, session, work.units, 'unrecorded', log);
  await prepareLedger(run, session);
  for (const part of work.replay) await send(run, session, part.sql, part);
  if (work.kind === 'run') return await executeUnits(run, session, work.pending, 'recorded', log);

  const outcome = await run
    .interruptible(session, () => lookUpOutcome(session, work.lookup))
    .catch((error: unknown) => {
      throw statementFailure(run, work.unit, error, undefined, 'Run again: what became of it is then looked up');
    });
  const resolved = resolveOutcome(work, outcome, run.database);
  if (resolved.kind === 'failure') throw resolved.failure;
  if (outcome === 'done') await send(run, session, recordOutcome(entryOf(work.unit), 'done'), work.unit);
  return await executeUnits(run, session, resolved.pending, 'recorded', log);
}

async function prepareLedger(run: Run, session: Session): Promise<void> {
  try {
    await run.interruptible(session, () => session.script(['BEGIN', ...CREATE_LEDGER, 'COMMIT'].join(';\n')));
  } catch (error) {
    if (error instanceof Failure || error instanceof Interrupted) throw error;
    throw new Failure(
      {
        kind: 'failed',
        what: `Failed to make ${LEDGER_TABLE}, where executed statements of initSQL are noted`,
        node: run.coordinator,
        database: run.database,
        cause: describe(error),
        next: 'Remove the cause and run again: nothing of initSQL was executed by this run',
      },
      { cause: error },
    );
  }
}

async function executeUnits(
  run: Run,
  session: Session,
  units: readonly Unit[],
  mode: 'recorded' | 'unrecorded',
  log: LineLog,
): Promise<number> {
  let executed = 0;
  for (const unit of units) {
    if (unit.kind === 'session') {
      await send(run, session, unit.sql, unit);
      continue;
    }
    await run.assertLock();
    log.line(`Line ${unit.line}: ${unit.display}`, 1);
    if (unit.kind === 'block') await executeBlock(run, session, unit, mode);
    else await executeStatement(run, session, unit, mode);
    executed += 1;
  }
  return executed;
}

async function executeStatement(
  run: Run,
  session: Session,
  unit: StatementUnit,
  mode: 'recorded' | 'unrecorded',
): Promise<void> {
  if (mode === 'unrecorded') return await send(run, session, unit.sql, unit);
  if (unit.expectation === 'alone') return await executeAlone(run, session, unit);
  // The statement by itself: Citus hands the text of the whole message to its workers, which take one command only
  // (Citus: commands/utility_hook.c, queryString). A failed statement fails the message behind it, COMMIT included.
  const messages = ['BEGIN', unit.sql, `${recordDone(entryOf(unit))};\nCOMMIT`];
  let done = -1;
  try {
    await run.interruptible(session, () =>
      session.pipeline(messages, {
        onDone: (index) => {
          done = index;
        },
      }),
    );
  } catch (error) {
    await rollBack(session);
    if (RUN_IT_ALONE.has(codeOf(error) ?? '')) return await executeAlone(run, session, unit);
    throw statementFailure(run, unit, error, done === 0 ? 0 : undefined);
  }
}

/**
 * Outside a transaction nothing ties the statement to its row: an intent goes before it, and a run that finds the intent
 * without an end has to look up what became of it.
 */
async function executeAlone(run: Run, session: Session, unit: StatementUnit): Promise<void> {
  const entry = entryOf(unit);
  await send(run, session, recordRunning(entry), unit);
  try {
    await run.interruptible(session, () => session.script(unit.sql));
  } catch (error) {
    const leftovers = await leftBehind(session, unit, entry);
    throw statementFailure(run, unit, error, 0, leftovers);
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

async function executeBlock(
  run: Run,
  session: Session,
  unit: BlockUnit,
  mode: 'recorded' | 'unrecorded',
): Promise<void> {
  try {
    await send(run, session, unit.begin.sql, unit.begin);
    for (const part of unit.statements) await send(run, session, part.sql, part);
    await send(run, session, mode === 'recorded' ? `${recordDone(entryOf(unit))};\nCOMMIT` : 'COMMIT', unit);
  } catch (error) {
    await rollBack(session);
    throw error;
  }
}

async function send(run: Run, session: Session, sql: string, part: SqlPart): Promise<void> {
  try {
    await run.interruptible(session, () => session.script(sql));
  } catch (error) {
    throw statementFailure(run, part, error, sql === part.sql ? 0 : undefined);
  }
}

async function rollBack(session: Session): Promise<void> {
  if (session.isAlive) await session.query('ROLLBACK').catch(() => undefined);
}

async function lookUpOutcome(session: Session, lookup: Lookup): Promise<LookupOutcome> {
  if (lookup.kind === 'runAgain') return 'notDone';
  if (lookup.kind === 'none') return 'unclear';
  const result = await session.query<{ outcome: LookupOutcome }>(lookup.text, [...lookup.values]);
  return result.rows[0]?.outcome ?? 'unclear';
}

/** The answer to COMMIT may be what was lost. */
const AFTER_LOSS =
  'Run again: the ledger knows whether the statement took effect, and only if not is it executed again';

/** `skipped`: how many characters stood before the statement in the message; undefined: the position says nothing. */
function statementFailure(
  run: Run,
  part: SqlPart,
  error: unknown,
  skipped: number | undefined,
  leftovers?: string,
): unknown {
  if (error instanceof Failure || error instanceof Interrupted) return error;
  const position = positionOf(error);
  const place =
    position === undefined || skipped === undefined || position <= skipped
      ? undefined
      : locateError(part, position - skipped);
  const display = 'display' in part && typeof part.display === 'string' ? part.display : undefined;
  const cause = describe(error);
  const where = place === undefined ? '' : `\nAt line ${place.line}, column ${place.column}:\n${place.excerpt}`;
  return new Failure(
    {
      kind: 'failed',
      what: `initSQL failed at line ${place?.line ?? part.line}${display === undefined ? '' : `: ${display}`}`,
      node: run.coordinator,
      database: run.database,
      cause: `${cause}${where}`,
      next:
        leftovers ??
        (error instanceof ConnectionLost ? AFTER_LOSS : undefined) ??
        'Correct the statement and run again: statements before it are done and are not repeated, and this one left nothing behind',
    },
    { cause: error },
  );
}

function entryOf(unit: RecordedUnit): LedgerEntry {
  return { hash: unit.hash, occurrence: unit.occurrence, line: unit.line, text: unit.text };
}

/** PostgreSQL's own position: characters from 1 (PostgreSQL documentation, "Error and Notice Message Fields"). */
function positionOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const position = Number(Reflect.get(error, 'position'));
  return Number.isInteger(position) && position > 0 ? position : undefined;
}
