import { Failure } from '../report/errors.ts';
import type { InitSqlPolicy } from '../spec/types.ts';
import { compareWithLedger, keyText, type Refused, type Remaining, type UnknownOutcome } from './ledger.ts';
import { LEDGER_TABLE } from './ledgerTable.ts';
import { lineOf } from './place.ts';
import type { LedgerRow, RecordedUnit, Unit } from './types.ts';

export interface InitSqlSituation {
  readonly policy: InitSqlPolicy;
  readonly units: readonly Unit[];
  /** 'absent': the database has no ledger. An empty one means that initSQL was taken over before (adopt, baseline). */
  readonly ledger: readonly LedgerRow[] | 'absent';
  /** Another database, in which the ledger was written: what it lists was executed there. */
  readonly copyOf?: string | undefined;
  /** This program made the database. */
  readonly managed: boolean;
}

export type InitSqlDecision =
  /** There is a script, but it is not for this database. */
  | { readonly kind: 'skip'; readonly warning: string }
  /** Record as done without executing. */
  | { readonly kind: 'record'; readonly units: readonly RecordedUnit[]; readonly warning: string | undefined }
  /** Execute all of it; rows that exist are overwritten. */
  | { readonly kind: 'runAlways'; readonly units: readonly Unit[] }
  | Remaining
  | Refused
  | Copied
  | UnknownOutcome;

/** What the ledger lists was executed in another database; only a person knows what came along with it. */
export interface Copied {
  readonly kind: 'copied';
  readonly copyOf: string;
}

/** What to do with initSQL, by its policy and by whose database it is. */
export function decideInitSql(situation: InitSqlSituation): InitSqlDecision {
  const { policy, units, ledger, copyOf, managed } = situation;
  const rows = ledger === 'absent' ? [] : ledger;
  switch (policy) {
    case 'always':
      return { kind: 'runAlways', units };
    case 'baseline':
      return baseline(units, rows);
    case 'adopt':
      return compareWithLedger(units, rows);
    case 'once':
      if (copyOf !== undefined && units.length > 0) return { kind: 'copied', copyOf };
      if (managed || ledger !== 'absent' || units.length === 0) return compareWithLedger(units, rows);
      return { kind: 'skip', warning: NOT_OURS };
    default:
      return policy satisfies never;
  }
}

/**
 * The same where the ledger has all statements of the script as executed, and no others: nobody needs to know which they
 * are. undefined: they are needed.
 */
export function decideExecuted({
  policy,
  copyOf,
}: Pick<InitSqlSituation, 'policy' | 'copyOf'>): InitSqlDecision | undefined {
  switch (policy) {
    case 'always':
      return undefined;
    case 'baseline':
      return { kind: 'record', units: [], warning: undefined };
    case 'adopt':
      return NOTHING_LEFT;
    case 'once':
      return copyOf === undefined ? NOTHING_LEFT : { kind: 'copied', copyOf };
    default:
      return policy satisfies never;
  }
}

const NOTHING_LEFT: Remaining = { kind: 'run', replay: [], pending: [], gone: [] };

export function copyRefusal({ copyOf }: Copied, database: string): Failure {
  return new Failure({
    kind: 'refused',
    what: `The ledger of initSQL in database '${database}' is a copy, written in ${copyOf}`,
    database,
    cause:
      'pg_restore or a template brought it along. What it lists was executed over there; whether its effects came along too is not known here. pg_dump does not take along how Citus distributes tables',
    next: `Nothing of initSQL was executed. If this database holds what those statements made, run once with initSQLPolicy: adopt, which takes the ledger over and executes the rest. To execute all of initSQL here, on the coordinator, in this database: ALTER TABLE ${LEDGER_TABLE} RENAME TO init_sql_of_copy; and run again`,
  });
}

const NOT_OURS =
  'The database existed before and was not made by this program: initSQL is not executed. To execute it once anyway, set initSQLPolicy: adopt; to record it as executed, initSQLPolicy: baseline.';

function baseline(units: readonly Unit[], rows: readonly LedgerRow[]): InitSqlDecision {
  const done = new Set(rows.filter((row) => row.state === 'done').map(keyText));
  const missing = units.filter((unit) => unit.kind !== 'session').filter((unit) => !done.has(keyText(unit)));
  const [first] = missing;
  const warning =
    first === undefined
      ? undefined
      : `initSQLPolicy is baseline: ${missing.length} ${missing.length === 1 ? 'statement of initSQL was' : 'statements of initSQL were'} recorded as executed without being executed, from line ${lineOf(first)} on. Set it back to once, or statements added later will not be executed either.`;
  return { kind: 'record', units: missing, warning };
}
