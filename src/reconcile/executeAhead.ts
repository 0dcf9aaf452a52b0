import { type LedgerVersion, recordingSteps, recordValues } from '../initSql/ledgerTable.ts';
import { lineOf } from '../initSql/place.ts';
import type { RecordedUnit, SqlPart, Unit } from '../initSql/types.ts';
import type { Session } from '../postgres/connection.ts';
import type { Step } from '../postgres/extendedMessages.ts';
import type { Group } from '../postgres/sendAhead.ts';
import { classify, codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { statementFailure, triedAgain } from './initSqlFailure.ts';
import {
  announcementOf,
  bringsExtension,
  endsFailure,
  entryOf,
  losesMark,
  RUN_IT_ALONE,
  rollBack,
} from './initSqlUnits.ts';
import type { Run } from './run.ts';

/** Names that nobody else gives a statement of the session's. */
const BEGIN = 'citus_databases_begin';
const FIRE_CONSTRAINTS = 'citus_databases_constraints';
const BECOME_OURSELVES = 'citus_databases_role';
const RECORD = 'citus_databases_record';
const COMMIT = 'citus_databases_commit';

/** How often the lock is looked at while units are under way. */
const CHECK_LOCK_MS = 1_000;

/** What comes behind the statements of a unit. */
const AFTERWARDS = ['constraints', 'role', 'record', 'commit'] as const;

export interface Ahead {
  readonly run: Run;
  readonly session: Session;
  readonly log: LineLog;
  readonly ledger: LedgerVersion;
}

/**
 * - done: all units were executed.
 * - stopped: the first `executed` were; the next one has left nothing behind and is to be executed by itself. With
 *   `announced`, its line is in the log already.
 */
export type AheadOutcome =
  | { readonly kind: 'done'; readonly executed: number }
  | {
      readonly kind: 'stopped';
      readonly executed: number;
      readonly announced: boolean;
      readonly ledgerChanged: boolean;
    };

/**
 * Whether a unit can be sent without waiting for the ones before it. What may drop or bring an extension is followed by
 * something more, and what lets go of the session's mark by a new one; the extended protocol takes `$1` for a parameter; and
 * behind ROLLBACK TO a failed statement has no effect on what follows.
 */
export function goesAhead(unit: Unit): unit is RecordedUnit {
  if (unit.kind === 'session' || /\bdrop\b|\$\d/i.test(unit.sql)) return false;
  if (losesMark(unit) || bringsExtension(unit)) return false;
  return unit.kind === 'block' ? !unit.statements.some(endsFailure) : unit.expectation === 'transaction';
}

/**
 * Executes units without a round trip for each: the statement, its row in the ledger and COMMIT go out while the server
 * is at work on units before. Each unit is a transaction of its own, each statement a message of its own, and the first
 * error ends it all (sendAhead.ts). The lock is looked at meanwhile; once it is lost, the statement under way is
 * cancelled, and a unit that another run has executed fails at its row. `units` are asked for one by one meanwhile.
 */
export async function executeAhead(
  { run, session, log, ledger }: Ahead,
  units: Iterable<RecordedUnit>,
): Promise<AheadOutcome> {
  await run.assertLock();
  const lock = watchLock(run);
  let executed = 0;
  let announced = 0;
  /** Steps of the unit under way that have been answered. */
  let answered = 0;
  let preparing = true;
  const sent: RecordedUnit[] = [];

  function announce(): void {
    const unit = sent[executed];
    if (unit === undefined || executed < announced) return;
    log.line(announcementOf(unit), 1);
    announced = executed + 1;
  }

  function* groups(): Iterator<Group> {
    yield preparation(ledger);
    for (const unit of units) {
      if (run.signal.aborted || lock.lost.aborted) return;
      sent.push(unit);
      announce();
      yield groupOf(unit);
    }
  }

  try {
    await run.interruptible(() =>
      session.sendAhead(
        {
          groups: groups(),
          onAnswer: ({ last }) => {
            answered += 1;
            if (!last) return;
            answered = 0;
            if (!preparing) executed += 1;
            preparing = false;
            announce();
          },
        },
        { signal: lock.lost },
      ),
    );
  } catch (error) {
    await rollBack(session);
    if (lock.lost.aborted) throw lock.lost.reason;
    const unit = sent[executed];
    if (unit === undefined || error instanceof Interrupted) throw error;
    const parts = partsOf(unit);
    const part = parts[answered];
    const step = part === undefined ? AFTERWARDS[answered - parts.length] : 'statement';
    const code = codeOf(error) ?? '';
    if (step === 'record' && code === SQLSTATE.uniqueViolation) throw executedElsewhere(run, unit, error);
    // Whoever deallocates all prepared statements takes ours along.
    const gone = step !== 'statement' && code === SQLSTATE.invalidSqlStatementName;
    const ours = preparing || step === 'role' || step === 'record' || gone;
    const again = isWorthAnotherAttempt(error);
    if (session.isAlive && (ours || RUN_IT_ALONE.has(code) || again)) {
      if (again) log.line(triedAgain(unit, error), 2);
      return { kind: 'stopped', executed, announced: announced > executed, ledgerChanged: ours };
    }
    throw statementFailure(run, part ?? unit, error, { located: part !== undefined });
  } finally {
    lock.stop();
  }
  await run.interruptible(async () => undefined);
  if (lock.lost.aborted) throw lock.lost.reason;
  return { kind: 'done', executed };
}

function isWorthAnotherAttempt(error: unknown): boolean {
  return classify(error) === 'transient' && codeOf(error) !== SQLSTATE.readOnlySqlTransaction;
}

/** In a transaction of its own, so that a block may begin with an isolation level. */
function preparation(ledger: LedgerVersion): Group {
  const { fireConstraints, becomeOurselves, insert } = recordingSteps(ledger);
  const steps: readonly Step[] = [
    { kind: 'statement', sql: 'BEGIN' },
    { kind: 'parse', name: BEGIN, sql: 'BEGIN' },
    { kind: 'parse', name: FIRE_CONSTRAINTS, sql: fireConstraints },
    { kind: 'parse', name: BECOME_OURSELVES, sql: becomeOurselves },
    { kind: 'parse', name: COMMIT, sql: 'COMMIT' },
    // Makes its plan, without what Citus adds to hide shards (Citus: worker/worker_shard_visibility.c).
    { kind: 'statement', sql: 'SET LOCAL citus.override_table_visibility = off' },
    named(BECOME_OURSELVES),
    // Its name is looked up at once, and a role of SET ROLE has no right to use the schema.
    { kind: 'parse', name: RECORD, sql: insert },
    { kind: 'statement', sql: 'COMMIT' },
  ];
  return { steps, quick: true };
}

/** Given rows, and not a query that could run for hours. */
const QUICK = /^insert\b[^;]{0,500}?\bvalues\b/i;

function groupOf(unit: RecordedUnit): Group {
  const begin = unit.kind === 'block' ? statementOf(unit.begin) : named(BEGIN);
  const statements = unit.kind === 'block' ? unit.statements : [unit];
  const steps = [
    begin,
    ...statements.map(statementOf),
    named(FIRE_CONSTRAINTS),
    named(BECOME_OURSELVES),
    named(RECORD, recordValues(entryOf(unit))),
    named(COMMIT),
  ];
  return { steps, quick: statements.every(({ sql }) => QUICK.test(sql)) };
}

/** The steps in front of {@link AFTERWARDS}, as places in the script. */
function partsOf(unit: RecordedUnit): readonly SqlPart[] {
  return unit.kind === 'block' ? [unit.begin, ...unit.statements] : [{ ...unit, sql: 'BEGIN' }, unit];
}

function statementOf({ sql }: SqlPart): Step {
  return { kind: 'statement', sql };
}

function named(name: string, values: readonly string[] = []): Step {
  return { kind: 'prepared', name, values };
}

function watchLock(run: Run): { readonly lost: AbortSignal; readonly stop: () => void } {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  function later(): void {
    if (stopped) return;
    timer = setTimeout(() => {
      run.assertLock().then(later, (error: unknown) => controller.abort(error));
    }, CHECK_LOCK_MS);
  }
  later();
  return {
    lost: controller.signal,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function executedElsewhere(run: Run, unit: RecordedUnit, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `Line ${lineOf(unit)} of initSQL was executed by another run meanwhile`,
      node: run.coordinator,
      database: run.database,
      cause: `The ledger has a row for it that this run did not write: ${unit.display}`,
      next: 'Run again once no other run is at work on this database: what this run did to the statement was rolled back',
    },
    { cause: error },
  );
}
