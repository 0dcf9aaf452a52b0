import type { Fragment } from './observe.ts';
import { judgementsOf, type OwnTable, toBeJudged } from './ownTable.ts';

/** What is read of a table of this program's own. */
export interface OwnTableQuestion {
  readonly key: string;
  readonly table: OwnTable;
  /** SQL expression of type jsonb, where the table is there and to be trusted. */
  readonly value: string;
  /** The same elsewhere, with an SQL expression of type text: why it is not to be trusted, NULL where it is not there. */
  readonly otherwise?: (distrust: string) => string;
}

const JUDGED = 'ownTables';

/**
 * All of a script's questions, so that the tables are judged together, and not at all where there is none: on workers, and
 * in databases without initSQL.
 */
export function observeOwnTables(questions: readonly OwnTableQuestion[]): readonly Fragment[] {
  const tables = [...new Map(questions.map(({ table }) => [table.name, table])).values()];
  return [
    { key: JUDGED, when: toBeJudged(tables), value: judgementsOf(tables) },
    ...questions.map(
      ({ key, table, value, otherwise }): Fragment => ({
        key,
        when: `observed #> '{${JUDGED},${table.name},readable}' = 'true'`,
        value,
        otherwise: otherwise?.(`observed #>> '{${JUDGED},${table.name},distrust}'`),
      }),
    ),
  ];
}
