import { quoteLiteral, quoteShellWord } from '../postgres/quote.ts';
import { type Bookkeeping, MANAGED_TABLE, type ManagedRow } from './bookkeeping.ts';
import type { Problem } from './change.ts';
import { distrustProblem } from './ownTable.ts';

/** The database as one node has it. */
interface Seen {
  readonly oid: number;
  readonly connectionLimit: number;
  readonly allowConnections: boolean;
}

/** `nodes`: the coordinator's first; null: it has none. Absent: not observed. */
export function bookkeepingProblems(
  bookkeeping: Bookkeeping | undefined,
  database: string,
  coordinator: string,
  nodes: readonly (Seen | null)[] = [],
): readonly Problem[] {
  if (bookkeeping === undefined) return [];
  const { distrust, row } = bookkeeping;
  if (distrust !== null) return [distrustProblem(distrust, coordinator)];
  if (row?.state !== 'dropping') return [];
  const unmanaged = row.oid === null ? ' --unmanaged' : '';
  const finish = `citus-databases drop ${quoteShellWord(database)} --confirm ${quoteShellWord(database)}${unmanaged}`;
  if (!isWhole(row, nodes)) {
    return [
      {
        kind: 'refused',
        what: `Database '${database}' is half dropped: an earlier drop did not finish`,
        next: `Finish it: ${finish}`,
      },
    ];
  }
  return [
    {
      kind: 'refused',
      what: `Database '${database}' was to be dropped, and every node still has it: the drop ended before it took anything away`,
      node: coordinator,
      next: `To keep it, in database 'postgres': ${takeDropBack(row, database)} To go on with the drop: ${finish}`,
    },
  ];
}

/** The drop closes the door of each database first; one that initSQL has yet to come to is closed from the beginning. */
function isWhole(row: ManagedRow, nodes: readonly (Seen | null)[]): boolean {
  const [here = null] = nodes;
  if (here === null || (row.oid !== null && row.oid !== here.oid)) return false;
  return nodes.every((node) => node?.allowConnections === true && node.connectionLimit !== 0);
}

/** Without an OID there was no row before: this program had not made the database. */
function takeDropBack({ oid }: ManagedRow, database: string): string {
  const where = `WHERE name = ${quoteLiteral(database)} AND state = 'dropping'`;
  return oid === null
    ? `DELETE FROM ${MANAGED_TABLE} ${where};`
    : `UPDATE ${MANAGED_TABLE} SET state = 'managed' ${where};`;
}
