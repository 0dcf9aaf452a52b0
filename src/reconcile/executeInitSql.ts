import { assertExtensions, EXTENSION_DROPPED } from '../initSql/keptExtensions.ts';
import { resolveOutcome } from '../initSql/ledger.ts';
import { type LedgerVersion, recordDone, recordOutcome } from '../initSql/ledgerTable.ts';
import { openingsOf } from '../initSql/opening.ts';
import type { InitSqlDecision } from '../initSql/policy.ts';
import type { RecordedUnit, SqlPart, Unit } from '../initSql/types.ts';
import type { Session } from '../postgres/connection.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { outcomeOfAttempt } from './attemptOutcome.ts';
import { executeAhead, goesAhead } from './executeAhead.ts';
import { type Executor, executeUnit, type Mode } from './executeUnit.ts';
import { type Guard, NOBODY_ELSE } from './guardInitSql.ts';
import { statementFailure } from './initSqlFailure.ts';
import { checkLedger, entryOf, executeEach, lookUpOutcome, prepareLedger, send, setUp } from './initSqlUnits.ts';
import type { Run } from './run.ts';

/** Decisions that execute or record something; the others were turned into failures or warnings before. */
export type InitSqlWork = Extract<InitSqlDecision, { kind: 'record' | 'run' | 'runAlways' | 'unknownOutcome' }>;

/** Fewer than that are not worth their preparation. */
const FEWEST_AHEAD = 2;

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
  guard: Guard = NOBODY_ELSE,
): Promise<number> {
  const executor: Executor = { run, session, log, extensions, guard };
  const replay = 'replay' in work ? work.replay : [];
  if (work.kind === 'record') {
    await prepareLedger(run, session);
    for (const unit of work.units) {
      await send(run, session, `BEGIN;\n${recordDone(entryOf(unit))};\nCOMMIT`, unit);
    }
    return 0;
  }
  if (work.kind === 'runAlways') {
    const after = await underGuard(executor, { replay, pending: work.units }, oneByOne('unrecorded'));
    return await kept(after, work.units);
  }
  const ledger = await prepareLedger(run, session);
  for (const part of replay) {
    await guard.check({ kind: 'session', display: '', ...part });
    await setUp(run, session, part);
  }
  if (work.kind === 'run') return await executeRecorded(executor, work, ledger);

  const outcome = await run
    .interruptible(
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
  if (outcome === 'done') return await executeRecorded(executor, resolved, ledger);
  // Its row is there, which units that are sent ahead take for another run's.
  const [again, ...pending] = resolved.pending;
  const after = await underGuard(
    executor,
    { replay, pending: again === undefined ? [] : [again] },
    oneByOne('recorded'),
  );
  await executeRecorded(after, { replay, pending }, ledger);
  return await kept(after, resolved.pending);
}

/** What is left of a script, and what the session has executed of it before. */
interface Left {
  readonly replay: readonly SqlPart[];
  readonly pending: readonly Unit[];
}

async function executeRecorded(executor: Executor, left: Left, prepared: LedgerVersion): Promise<number> {
  let ledger: LedgerVersion | undefined = prepared;
  const after = await underGuard(executor, left, async (current, units) => {
    if (current.guard.kind === 'nobodyElse') ledger = await executePipelined(current, units, ledger);
    else await oneByOne('recorded')(current, units);
  });
  return await kept(after, left.pending);
}

type ExecuteStretch = (executor: Executor, units: readonly Unit[]) => Promise<void>;

/** Each stretch under the guard that holds after those before it: a statement may have let others in. */
async function underGuard(executor: Executor, { replay, pending }: Left, execute: ExecuteStretch): Promise<Executor> {
  const openings = openingsOf(pending, replay);
  let current = executor;
  let from = 0;
  for (const [at, opening] of openings.entries()) {
    if (opening === undefined || !current.guard.heeds.includes(opening)) continue;
    await execute(current, pending.slice(from, at + 1));
    current = { ...current, guard: await current.guard.after() };
    from = at + 1;
  }
  if (from < pending.length) await execute(current, pending.slice(from));
  return current;
}

/**
 * Ahead of the answers as far as possible; what cannot be, or did not succeed that way, by itself. Returns the version of
 * the ledger; undefined: it has to be asked for again.
 */
async function executePipelined(
  executor: Executor,
  units: readonly Unit[],
  prepared: LedgerVersion | undefined,
): Promise<LedgerVersion | undefined> {
  const { run, session, log } = executor;
  let ledger = prepared;
  for (let at = 0; at < units.length; ) {
    let announced = false;
    if (units.slice(at, at + FEWEST_AHEAD).filter(goesAhead).length === FEWEST_AHEAD) {
      ledger ??= await checkLedger(run, session);
      const outcome = await executeAhead({ run, session, log, ledger }, thoseAhead(units, at));
      at += outcome.executed;
      if (outcome.kind === 'done') continue;
      announced = outcome.announced;
      if (outcome.ledgerChanged) ledger = undefined;
    }
    await executeEach(executor, units.slice(at, at + 1), (unit) => executeUnit(executor, unit, 'recorded'), announced);
    at += 1;
  }
  return ledger;
}

/** The units from `at` on, up to the first one that has to wait for the ones before it. */
function* thoseAhead(units: readonly Unit[], at: number): Generator<RecordedUnit> {
  for (let next = at; ; next += 1) {
    const unit = units[next];
    if (unit === undefined || !goesAhead(unit)) return;
    yield unit;
  }
}

function oneByOne(mode: Mode): ExecuteStretch {
  return async (executor, units) => {
    await executeEach(executor, units, (unit) => executeUnit(executor, unit, mode));
  };
}

/** How many units were executed, once it is certain that they left the extensions in place. */
async function kept(executor: Executor, units: readonly Unit[]): Promise<number> {
  const executed = units.filter(({ kind }) => kind !== 'session').length;
  if (executed > 0) await assertKept(executor);
  return executed;
}

/** A DO block or a function may have dropped what no statement mentions. */
async function assertKept({ run, session, extensions }: Executor): Promise<void> {
  if (extensions.length === 0) return;
  try {
    await run.interruptible(() => session.script(assertExtensions(extensions).join(';\n')));
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
