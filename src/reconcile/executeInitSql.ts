import { assertExtensions, EXTENSION_DROPPED, nameDroppedCitus } from '../initSql/keptExtensions.ts';
import { resolveOutcome } from '../initSql/ledger.ts';
import { type LedgerEntry, recordDone, recordOutcome, recordRunning } from '../initSql/ledgerTable.ts';
import type { InitSqlDecision } from '../initSql/policy.ts';
import type { BlockUnit, RecordedUnit, SqlPart, StatementUnit, Unit } from '../initSql/types.ts';
import type { Session } from '../postgres/connection.ts';
import { retryTransient } from '../postgres/retry.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { outcomeOfAttempt } from './attemptOutcome.ts';
import { type Guard, guardedParts } from './guardInitSql.ts';
import { statementFailure } from './initSqlFailure.ts';
import {
  endsFailure,
  entryOf,
  executeEach,
  lookUpOutcome,
  prepareLedger,
  RUN_IT_ALONE,
  rollBack,
  send,
} from './initSqlUnits.ts';
import type { Run } from './run.ts';

/** Decisions that execute or record something; the others were turned into failures or warnings before. */
export type InitSqlWork = Extract<InitSqlDecision, { kind: 'record' | 'run' | 'runAlways' | 'unknownOutcome' }>;

interface Executor {
  readonly run: Run;
  readonly session: Session;
  readonly log: LineLog;
  readonly extensions: readonly string[];
  readonly guard: Guard | undefined;
}

/**
 * Executes initSQL in a session of its own, which has the role's and the database's settings as any client has them.
 * Each statement commits together with its row in the ledger. What passes is tried again, as long as it is certain that
 * nothing took effect: a statement whose outcome is in doubt must be looked up first. Returns how many statements were
 * executed.
 */
export async function executeInitSql(
  run: Run,
  session: Session,
  work: InitSqlWork,
  log: LineLog,
  /** Extensions that initSQL must leave in place. */
  extensions: readonly string[] = [],
  guard?: Guard,
): Promise<number> {
  const executor: Executor = { run, session, log, extensions, guard };
  if (work.kind === 'record') {
    await prepareLedger(run, session);
    for (const unit of work.units) {
      await send(run, session, `BEGIN;\n${recordDone(entryOf(unit))};\nCOMMIT`, unit);
    }
    return 0;
  }
  if (work.kind === 'runAlways') return await executeUnits(executor, work.units, 'unrecorded');
  await prepareLedger(run, session);
  for (const part of work.replay) await send(run, session, part.sql, part);
  if (work.kind === 'run') return await executeUnits(executor, work.pending, 'recorded');

  const outcome = await run
    .interruptible(
      session,
      // initSQLRole may have been another one then.
      async () => (await outcomeOfAttempt(run, session, work.unit)) ?? (await lookUpOutcome(session, work.lookup)),
    )
    .catch((error: unknown) => {
      throw statementFailure(run, work.unit, error, {
        located: false,
        next: 'Run again: what became of it is then looked up',
      });
    });
  const resolved = resolveOutcome(work, outcome, run.database);
  if (resolved.kind === 'failure') throw resolved.failure;
  if (outcome === 'done') await send(run, session, recordOutcome(entryOf(work.unit), 'done'), work.unit);
  return await executeUnits(executor, resolved.pending, 'recorded');
}

async function executeUnits(
  executor: Executor,
  units: readonly Unit[],
  mode: 'recorded' | 'unrecorded',
): Promise<number> {
  const executed = await executeEach(executor, units, async (unit) => {
    await executor.guard?.check(guardedParts(unit));
    if (unit.kind === 'block') await executeBlock(executor, unit, mode);
    else await executeStatement(executor, unit, mode);
  });
  if (executed > 0) await assertKept(executor);
  return executed;
}

/** A DO block or a function may have dropped what no statement mentions. */
async function assertKept({ run, session, extensions }: Executor): Promise<void> {
  if (extensions.length === 0) return;
  try {
    await run.interruptible(session, () => session.script(assertExtensions(extensions).join(';\n')));
  } catch (error) {
    if (codeOf(error) !== EXTENSION_DROPPED) throw error;
    throw new Failure(
      {
        kind: 'refused',
        what: 'initSQL took away what the database needs',
        node: run.coordinator,
        database: run.database,
        cause: describe(error),
        next: 'Find the statement that drops it, by way of a function or a DO block, and take it out of initSQL',
      },
      { cause: error },
    );
  }
}

async function executeStatement(
  executor: Executor,
  unit: StatementUnit,
  mode: 'recorded' | 'unrecorded',
): Promise<void> {
  const { run, session } = executor;
  if (mode === 'unrecorded') return await send(run, session, unit.sql, unit);
  if (unit.expectation === 'alone') return await executeAlone(run, session, unit);
  const begin = { sql: 'BEGIN', line: unit.line, column: unit.column };
  try {
    await executeTransaction(executor, unit, [begin, unit]);
  } catch (error) {
    if (!RUN_IT_ALONE.has(codeOf(error) ?? '')) throw error;
    await executeAlone(run, session, unit);
  }
}

async function executeBlock(executor: Executor, unit: BlockUnit, mode: 'recorded' | 'unrecorded'): Promise<void> {
  const { run, session } = executor;
  const parts = [unit.begin, ...unit.statements];
  if (mode === 'recorded' && !parts.some(endsFailure)) return await executeTransaction(executor, unit, parts);
  try {
    for (const part of parts) await send(run, session, part.sql, part);
    await send(run, session, mode === 'recorded' ? endOf(executor, unit) : 'COMMIT', unit);
  } catch (error) {
    await rollBack(session);
    throw error;
  }
}

/**
 * The statement by itself: Citus hands the text of the whole message to its workers, which take one command only
 * (Citus: commands/utility_hook.c, queryString). All messages go out at once, since a failed statement fails the ones
 * behind it, COMMIT included. What is rolled back for a reason that passes runs again.
 */
async function executeTransaction(executor: Executor, unit: RecordedUnit, parts: readonly SqlPart[]): Promise<void> {
  const { run, session, log } = executor;
  const messages = [...parts.map(({ sql }) => sql), endOf(executor, unit)];
  await retryTransient(
    async () => {
      let succeeded = 0;
      const onDone = () => {
        succeeded += 1;
      };
      try {
        await run.interruptible(session, () => session.pipeline(messages, { onDone }));
      } catch (error) {
        await rollBack(session);
        const part = parts[succeeded] ?? unit;
        throw statementFailure(run, part, nameDroppedCitus(error), { located: succeeded < parts.length });
      }
    },
    {
      deadline: run.deadline(),
      signal: run.signal,
      // A read-only session stays one, and after a lost connection the ledger has to be asked first.
      unless: (error) => !session.isAlive || codeOf(error) === SQLSTATE.readOnlySqlTransaction,
      onRetry: ({ error }) => log.line(`${firstLine(describe(error.cause ?? error))}; rolled back, trying again`, 2),
    },
  );
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}

/** The last message of a unit's transaction. */
function endOf({ extensions }: Executor, unit: RecordedUnit): string {
  // What has no such word in it is looked at when all of initSQL is through.
  const kept = /\bdrop\b/i.test(unit.text) ? assertExtensions(extensions) : [];
  return [recordDone(entryOf(unit)), ...kept, 'COMMIT'].join(';\n');
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
