import { takeOverLedger } from '../initSql/ledgerTable.ts';
import { lineOf } from '../initSql/place.ts';
import type { InitSqlDecision } from '../initSql/policy.ts';
import type { Unit } from '../initSql/types.ts';
import { type Item, note, type Procedure, warning } from '../objects/change.ts';
import type { NodeSpec } from '../spec/types.ts';
import { inside, type Situation } from './situation.ts';

/** Step 7: what initSQL has to do, from the decision about it. */
export function initSqlItems(situation: Situation, coordinator: NodeSpec): readonly Item[] {
  const { initSql } = situation;
  const copyOf = inside(situation, coordinator).ledger?.copyOf ?? undefined;
  const usesLedger = !['none', 'skip', 'runAlways'].includes(initSql.kind);
  return [
    ...(usesLedger && copyOf !== undefined ? [takeOverLedger(copyOf, coordinator)] : []),
    ...itemsOf(situation, coordinator),
  ];
}

function itemsOf({ initSql }: Situation, coordinator: NodeSpec): readonly Item[] {
  // A step asks several times whether there is something to do, and only at its end what: of ten thousand statements.
  const procedure = (made: () => readonly string[]): Procedure => ({
    kind: 'procedure',
    name: 'initSql',
    node: coordinator,
    get summaries() {
      return made();
    },
  });
  switch (initSql.kind) {
    case 'none':
      return [note('No custom SQL specified')];
    case 'skip':
      return [warning(initSql.warning)];
    case 'record': {
      const due = () => initSql.units.map((unit) => `record line ${lineOf(unit)} as executed: ${unit.display}`);
      return [
        ...(initSql.warning === undefined ? [] : [warning(initSql.warning)]),
        initSql.units.length === 0 ? note('Custom SQL is already recorded as executed') : procedure(due),
      ];
    }
    case 'run':
      if (initSql.pending.every((unit) => unit.kind === 'session')) return [note('Custom SQL was already executed')];
      return [procedure(() => initSql.pending.flatMap(summary))];
    case 'runAlways':
      return [procedure(() => initSql.units.flatMap(summary))];
    case 'unknownOutcome':
      return [procedure(() => [initSql.unit, ...initSql.pending].flatMap(summary))];
    default:
      return initSql satisfies never;
  }
}

function summary(unit: Unit): readonly string[] {
  return unit.kind === 'session' ? [] : [`execute line ${lineOf(unit)}: ${unit.display}`];
}

/** initSQL with policy `always` runs every time and is no difference that anything could remove. */
export function runsAlways(decision: InitSqlDecision | { readonly kind: 'none' }): boolean {
  return decision.kind === 'runAlways';
}
