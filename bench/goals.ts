import { table } from './table.ts';

/** What a bench promises: no more than so much of something. */
export interface Goal {
  readonly what: string;
  readonly most: number;
  /** None: `what` counts something. */
  readonly unit?: '×' | 's' | 'ms' | 'MB';
  /** What `×` multiplies, or where the unit applies. */
  readonly of?: string;
}

/** Every goal of the benches; docs/PERFORMANCE.md says which are missed, and why. */
export const GOALS = {
  initSqlLocal: { what: 'initSQL', most: 1.3, unit: '×', of: 'psql -f' },
  /** psql waits for each answer, and a pipeline need not. */
  initSqlFar: { what: 'initSQL', most: 0.5, unit: '×', of: 'psql -f' },
  initSqlUnchanged: { what: 'unchanged initSQL', most: 300, unit: 'ms', of: 'above an empty run' },

  shardsTime: { what: 'unchanged apply', most: 2, unit: '×', of: 'psql that reads the same catalogs' },
  shardsGrowth: { what: 'CPU of the servers for each further shard', most: 1.5, unit: '×', of: 'that for each before' },
  shardsMessages: { what: 'messages to a node above those with fewer shards', most: 0 },

  firstApplyFloor: { what: 'first apply', most: 1.25, unit: '×', of: 'floor' },
  firstApply: { what: 'first apply', most: 1.2, unit: '×', of: 'floor with proof' },
  firstApplyFloorOfMany: { what: 'first apply', most: 1.15, unit: '×', of: 'floor' },
  firstApplyOfMany: { what: 'first apply', most: 1.15, unit: '×', of: 'floor with proof' },
  firstApplyMessages: { what: 'messages on the longest path of a first apply above those with fewer workers', most: 0 },
  secondApply: { what: 'second apply', most: 230, unit: 'ms', of: 'above an empty node' },
  secondApplyGrowth: { what: 'second apply', most: 5, unit: 'ms', of: 'more for each further worker' },
  secondApplyMessages: { what: 'messages with an answer to a node in a second apply', most: 4 },
  memory: { what: 'peak memory', most: 90, unit: 'MB' },

  manyUnchanged: { what: '100 unchanged databases in one run', most: 15, unit: 's' },
  planRecorded: { what: 'plan of 1,000 databases that are recorded and not made', most: 60, unit: 's' },

  helmInstall: { what: 'helm install with one database', most: 15, unit: 's' },
  helmOneMore: { what: 'helm upgrade, one database more', most: 8, unit: 's' },
  helmOneUnchanged: { what: 'helm upgrade, one database as declared before', most: 8, unit: 's' },
  helmTenUnchanged: { what: 'helm upgrade, ten databases as declared before', most: 8, unit: 's' },
  helmSkipped: { what: 'helm upgrade, the same with jobs.unchanged: skip', most: 5, unit: 's' },
} as const satisfies Readonly<Record<string, Goal>>;

/** initSQL's memory: a script is in memory three times at most. */
export function scriptMemory(megabytes: number): Goal {
  return { what: 'peak memory', most: Math.round(megabytes * 3 + 90), unit: 'MB' };
}

/** A goal, and what became of it. */
export interface Judged {
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean;
}

/** `where`: in which of several cases. */
export function judge({ what, most, unit, of }: Goal, measured: number, where?: string): Judged {
  const goal = [what, '≤', most, unit, of].filter((word) => word !== undefined).join(' ');
  const digits = unit === undefined ? 0 : DIGITS[unit];
  return {
    goal: where === undefined ? goal : `${goal}, ${where}`,
    measured: [measured.toFixed(digits), unit].filter((word) => word !== undefined).join(' '),
    met: measured <= most,
  };
}

const DIGITS = { '×': 2, s: 1, ms: 0, MB: 0 } as const;

export function goalsTable(judged: readonly Judged[]): string {
  if (judged.length === 0) return 'There is none for these numbers';
  return table(
    ['goal', 'measured', ''],
    judged.map(({ goal, measured, met }) => [goal, measured, met ? 'met' : 'MISSED']),
  );
}
