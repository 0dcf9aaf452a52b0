import type { InitSqlPolicy } from '../spec/types.ts';
import { compareWithLedger, keyText, type Refused, type Remaining, type UnknownOutcome } from './ledger.ts';
import type { LedgerRow, RecordedUnit, Unit } from './types.ts';

export interface InitSqlSituation {
  readonly policy: InitSqlPolicy;
  readonly units: readonly Unit[];
  /** 'absent': the database has no ledger. An empty one means that initSQL was taken over before (adopt, baseline). */
  readonly ledger: readonly LedgerRow[] | 'absent';
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
  | UnknownOutcome;

/** What to do with initSQL, by its policy and by whose database it is. */
export function decideInitSql(situation: InitSqlSituation): InitSqlDecision {
  const { policy, units, ledger, managed } = situation;
  const rows = ledger === 'absent' ? [] : ledger;
  switch (policy) {
    case 'always':
      return { kind: 'runAlways', units };
    case 'baseline':
      return baseline(units, rows);
    case 'adopt':
      return compareWithLedger(units, rows);
    case 'once':
      if (managed || ledger !== 'absent' || units.length === 0) return compareWithLedger(units, rows);
      return { kind: 'skip', warning: NOT_OURS };
    default:
      return policy satisfies never;
  }
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
      : `initSQLPolicy is baseline: ${missing.length} ${missing.length === 1 ? 'statement of initSQL was' : 'statements of initSQL were'} recorded as executed without being executed, from line ${first.line} on. Set it back to once, or statements added later will not be executed either.`;
  return { kind: 'record', units: missing, warning };
}
