import { label, type Situation } from './situation.ts';

export interface Finding {
  readonly kind:
    | 'lostShard'
    | 'missingCopy'
    | 'rights'
    | 'policies'
    | 'incomplete'
    | 'metadata'
    | 'invalidIndex'
    | 'preparedTransaction'
    | 'leftovers'
    | 'openExtension'
    | 'setBack';
  /** What the log calls the node. */
  readonly node: string;
  /** What is wrong, by its qualified name. */
  readonly object: string;
  /** heal: `apply` sets it right; refuse: only a person can; warn: the database is usable all the same. */
  readonly effect: 'heal' | 'refuse' | 'warn';
  /** A sentence without a full stop. */
  readonly found: string;
  readonly next: string;
}

/** As reports carry it. */
export interface ReportedFinding {
  readonly node: string;
  readonly kind: Finding['kind'];
  readonly object: string;
  readonly healable: boolean;
  readonly blocks: boolean;
  readonly message: string;
  readonly next: string;
}

/** The list of a finding, which may concern thousands. */
export function firstOf(names: readonly string[], count = 3): string {
  return names.length > count
    ? `${names.slice(0, count).join(', ')} and ${names.length - count} more`
    : names.join(', ');
}

export const APPLY = 'Run citus-databases apply';

export function labelOf(situation: Situation, group: number): string {
  const { coordinator, workers, otherWorkers } = situation.topology;
  const node = [coordinator, ...workers, ...otherWorkers].find((candidate) => candidate.group === group);
  return node === undefined ? `group ${group}` : label(situation, node);
}

/**
 * Where statements are to be executed, as every message says it. On a table of somebody who is no superuser they run what
 * the owner has put into it (constraints, indexes). SET ROLE would not do: the owner's function may undo it.
 */
export function at(situation: Situation, node: string, owner?: string | null): string {
  const as =
    owner == null ? '' : `logged in as '${owner}', who owns the table (not as superuser: they run what is in it), `;
  return `${as}on ${node} in database '${situation.database.name}':`;
}
