import { toShard } from './damagedDatabase.ts';

/** healed: `apply` sets it right; named: nobody but a person can (exit 3); warned: the database is ready all the same. */
export type Verdict = 'healed' | 'named' | 'warned';

/** Group, SQL, and another database than the damaged one. */
type On = readonly [group: number, text: string, database?: string];

/** One way to be wrong. */
export interface Damage {
  readonly name: string;
  readonly broken: readonly On[];
  readonly verdict: Verdict;
  /** Of the output of each command. */
  readonly says: RegExp;
  /** What a person does about it: the statements of the message itself, or what a backup brings back. */
  readonly mend?: 'follow' | readonly On[];
  /** What holds in the end: group, SQL, value. */
  readonly after?: readonly (readonly [group: number, text: string, value: unknown, database?: string])[];
}

const rowsOf = (table: string) => `SELECT count(*) > 0 FROM ${table}`;

export const DAMAGES: readonly Damage[] = [
  {
    name: 'a shard dropped on a worker',
    broken: [[2, toShard('events', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.events is gone \(public\.events_\d+\); no other node has a copy/,
    mend: 'follow',
    after: [[1, rowsOf('events'), true]],
  },
  {
    name: 'shards of several tables dropped on a worker',
    broken: [
      [1, toShard('docs', 'DROP TABLE %s')],
      [1, toShard('events', 'DROP TABLE %s')],
    ],
    verdict: 'named',
    says: /node1: 1 shard of public\.events is gone[\s\S]*node1: 1 shard of public\.docs is gone/,
    mend: 'follow',
  },
  {
    name: 'a view in the place of a shard',
    broken: [
      [1, toShard('counted', 'ALTER TABLE %1$s RENAME TO was_counted; CREATE VIEW %1$s AS SELECT * FROM was_counted')],
    ],
    verdict: 'named',
    says: /node1: 1 shard of public\.counted is gone/,
    mend: [[1, toShard('counted', 'DROP VIEW %1$s; ALTER TABLE was_counted RENAME TO %2$s')]],
  },
  {
    name: 'a shard renamed',
    broken: [[1, toShard('idents', 'ALTER TABLE %s RENAME TO elsewhere')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.idents is gone/,
    mend: 'follow',
  },
  {
    name: 'a shard of a partition',
    broken: [[2, toShard('log_2024', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.log_2024 is gone/,
    mend: 'follow',
  },
  {
    name: 'a shard of a columnar table',
    broken: [[2, toShard('facts', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.facts is gone/,
    mend: 'follow',
  },
  {
    name: 'a shard whose name was shortened',
    broken: [[2, toShard('"a table with a very long name that is shortened, by Citus"', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\."a table with a very long name that is shortened, by Citus" is gone/,
    mend: 'follow',
  },
];
