import { createHash } from 'node:crypto';
import { Failure } from '../report/errors.ts';
import { LEDGER_TABLE } from './ledgerTable.ts';
import { lineOf } from './place.ts';
import type { LedgerRow, Lookup, LookupOutcome, RecordedUnit, SqlPart, Unit, UnitKey } from './types.ts';
import { partOf } from './units.ts';

/** What is left to do, first the replay of the session's settings. */
export interface Remaining {
  readonly kind: 'run';
  readonly replay: readonly SqlPart[];
  /** Empty: nothing to do, no replay either. */
  readonly pending: readonly Unit[];
  /** Executed once, but no longer in the script. */
  readonly gone: readonly LedgerRow[];
}

/** What was executed is not a prefix of the script. */
export interface Refused {
  readonly kind: 'refused';
  /** New or edited … */
  readonly unit: RecordedUnit;
  /** … yet before this one, which has been executed. */
  readonly executed: RecordedUnit;
  /** What probably was edited: an executed statement of about that place that is no longer in the script. */
  readonly edited: LedgerRow | undefined;
}

/** A run ended while a statement ran outside a transaction. Look it up (after the replay), then resolveOutcome(). */
export interface UnknownOutcome {
  readonly kind: 'unknownOutcome';
  readonly unit: RecordedUnit;
  readonly row: LedgerRow;
  readonly lookup: Lookup;
  readonly replay: readonly SqlPart[];
  /** After the unit. */
  readonly pending: readonly Unit[];
  readonly gone: readonly LedgerRow[];
}

export type LedgerDecision = Remaining | Refused | UnknownOutcome;

/** Compares the script with what was executed: that must be a prefix, though executed statements may have left the script. */
export function compareWithLedger(units: readonly Unit[], ledger: readonly LedgerRow[]): LedgerDecision {
  if (ledger.length === 0) return allOf(units);
  const rows = new Map(ledger.map((row) => [keyText(row), row]));
  const recorded = units.filter((unit) => unit.kind !== 'session');
  const inScript = new Set(recorded.map(keyText));
  const gone = ledger.filter((row) => !inScript.has(keyText(row))).toSorted((a, b) => a.ordinal - b.ordinal);
  const firstNew = recorded.findIndex((unit) => !rows.has(keyText(unit)));
  const executedLater = firstNew === -1 ? undefined : recorded.slice(firstNew).find((unit) => rows.has(keyText(unit)));
  const unit = recorded[firstNew];
  if (unit !== undefined && executedLater !== undefined) {
    const before = rows.get(keyText(recorded[firstNew - 1] ?? unit));
    const after = rows.get(keyText(executedLater));
    return { kind: 'refused', unit, executed: executedLater, edited: between(gone, before, after) };
  }
  const running = recorded.find((candidate) => rows.get(keyText(candidate))?.state === 'running');
  const row = running === undefined ? undefined : rows.get(keyText(running));
  const next = unit === undefined ? units.length : units.indexOf(unit);
  if (running !== undefined && row !== undefined) {
    const lookup: Lookup = running.kind === 'statement' ? running.lookup : { kind: 'none' };
    const at = units.indexOf(running);
    const pending = [
      ...units.slice(at + 1, next).filter((between) => between.kind === 'session'),
      ...units.slice(next),
    ];
    return { kind: 'unknownOutcome', unit: running, row, lookup, replay: replayOf(units.slice(0, at)), pending, gone };
  }
  return {
    kind: 'run',
    replay: unit === undefined ? [] : replayOf(units.slice(0, next)),
    pending: units.slice(next),
    gone,
  };
}

/** Nothing was executed. */
function allOf(units: readonly Unit[]): Remaining {
  const first = units.findIndex(({ kind }) => kind !== 'session');
  if (first === -1) return { kind: 'run', replay: [], pending: [], gone: [] };
  return { kind: 'run', replay: replayOf(units.slice(0, first)), pending: units.slice(first), gone: [] };
}

/** After the lookup: what is left, or the Failure that says why it cannot go on. */
export function resolveOutcome(
  decision: UnknownOutcome,
  outcome: LookupOutcome,
  database?: string,
): Remaining | { readonly kind: 'failure'; readonly failure: Failure } {
  const { replay, pending, gone, unit } = decision;
  if (outcome === 'unclear') return { kind: 'failure', failure: unknownOutcome(decision, database) };
  return { kind: 'run', replay, pending: outcome === 'done' ? pending : [unit, ...pending], gone };
}

export function refusal(decision: Refused, database?: string): Failure {
  const { unit, executed, edited } = decision;
  const cause = [
    `line ${lineOf(unit)}, new or edited: ${unit.display}`,
    `line ${lineOf(executed)}, executed already: ${executed.display}`,
  ];
  if (edited !== undefined) {
    cause.push(
      `executed as line ${edited.line} of an earlier script, and no longer there: ${oneLine(edited.statement)}`,
    );
  }
  return new Failure({
    kind: 'refused',
    what: `Line ${lineOf(unit)} of initSQL is new or was edited, but line ${lineOf(executed)} has been executed already`,
    database,
    cause: cause.join('\n'),
    next: `Each statement is executed once, in the script's order. Move a new statement to the end of initSQL; undo an edit, and append a statement that makes the change (ALTER …). If the database is as the script says already, run once with initSQLPolicy: baseline.`,
  });
}

/** Of a statement whose outcome cannot be looked up, or was looked up in vain. */
export function unknownOutcome(decision: UnknownOutcome, database?: string): Failure {
  const { unit, lookup } = decision;
  const forget = `DELETE FROM ${LEDGER_TABLE} WHERE state = 'running'`;
  const next =
    lookup.kind === 'query' && lookup.whenUnclear !== ''
      ? `${lookup.whenUnclear} Then run again.`
      : `Look at the database. If it took effect, remove it from initSQL and run again. If it did not, undo what is left of it, then on the coordinator, in this database: ${forget}; and run again.`;
  return new Failure({
    kind: 'refused',
    what: `It is unknown whether line ${lineOf(unit)} of initSQL took effect`,
    database,
    cause: `An earlier run ended while this statement was being executed, which cannot run in a transaction: ${unit.display}`,
    next,
  });
}

/** Of a ledger that has each of the units as done, in this order, and nothing else (ledgerTable.ts, DIGEST). */
export function ledgerDigest(units: readonly Unit[]): string {
  const digest = createHash('sha256');
  let text = '';
  let separator = '';
  for (const unit of units) {
    if (unit.kind === 'session') continue;
    text += `${separator}${keyText(unit)} done`;
    separator = ',';
    if (text.length < AT_ONCE) continue;
    digest.update(text);
    text = '';
  }
  return digest.update(text).digest('hex');
}

/** Ten thousand rows make a long text. */
const AT_ONCE = 32_768;

/** The rows of a ledger as observed; those of one that has that digest were not sent. */
export function ledgerRows(
  observed: readonly LedgerRow[] | 'asScript' | null | undefined,
  units: readonly Unit[],
): readonly LedgerRow[] | 'absent' {
  if (observed !== 'asScript') return observed ?? 'absent';
  return units
    .filter((unit) => unit.kind !== 'session')
    .map(({ hash, occurrence, line, text }, index) => ({
      hash,
      occurrence,
      line,
      statement: text,
      state: 'done',
      ordinal: index + 1,
    }));
}

function replayOf(units: readonly Unit[]): SqlPart[] {
  return units.flatMap((unit) => {
    if (unit.kind === 'session') return [partOf(unit)];
    return unit.kind === 'block' ? unit.replay : [];
  });
}

/** The row that was executed right after `before` and ahead of `after`. */
function between(
  gone: readonly LedgerRow[],
  before: LedgerRow | undefined,
  after: LedgerRow | undefined,
): LedgerRow | undefined {
  return gone.find((row) => row.ordinal > (before?.ordinal ?? -Infinity) && row.ordinal < (after?.ordinal ?? Infinity));
}

export function keyText(key: UnitKey): string {
  return `${key.hash} ${key.occurrence}`;
}

function oneLine(text: string): string {
  const characters = [...text.replace(/\s+/g, ' ').trim()];
  return characters.length > 100 ? `${characters.slice(0, 99).join('')}…` : characters.join('');
}
