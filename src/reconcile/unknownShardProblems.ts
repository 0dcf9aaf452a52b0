import type { Problem } from '../objects/change.ts';
import { MANUAL } from '../objects/shardRepair.ts';
import { integerLiteral, quoteShellWord } from '../postgres/quote.ts';
import { firstOf } from './finding.ts';
import type { UnknownShard } from './unknownShards.ts';

export interface Naming {
  readonly database: string;
  readonly label: (group: number) => string;
}

/** So many shards in one statement; the next run tells the rest. */
const SHARDS = 200;

/** Exit code 3 before anything is done: who goes on from here may lose what only the workers know. */
export function unknownShardProblems(shards: readonly UnknownShard[], naming: Naming): readonly Problem[] {
  const unknown = shards.filter(({ elsewhere }) => elsewhere === undefined);
  const moved = shards.filter(({ elsewhere }) => elsewhere !== undefined);
  return [...unknownTables(unknown, naming), ...movedShards(moved, naming)];
}

function unknownTables(shards: readonly UnknownShard[], naming: Naming): readonly Problem[] {
  if (shards.length === 0) return [];
  const { database, label } = naming;
  const [first] = shards.flatMap(({ knownBy }) => knownBy);
  const tables = tablesOf(shards);
  const source = first === undefined ? 'that worker' : label(first);
  const told = shards.slice(0, SHARDS).flatMap(({ found }) => found);
  const drops = [...new Set(told.map(({ group }) => group))].map((group) => {
    const names = told.filter((table) => table.group === group).map(({ name }) => name);
    return `on ${label(group)} in database '${database}': ${MANUAL} DROP TABLE ${[...new Set(names)].join(', ')};`;
  });
  return [
    {
      kind: 'refused',
      what: `The coordinator does not know tables, or shards of them, that its workers know: ${firstOf(tables, 10)}. To sync the workers would delete the last record of where these rows are`,
      node: workersOf(shards, naming),
      next: [
        'If the coordinator was set back (a restored backup, a lagging standby that was promoted), restore it to its latest state.',
        `If that is gone, save the rows, which the workers can still read: pg_dump --dbname=${quoteShellWord(database)} --table=${quoteShellWord(tables[0] ?? '')} on ${source}, and likewise every other one.`,
        'Only once they are saved, or if they may be lost, because the tables were dropped on the coordinator alone, remove them,',
        `${drops.join('\n')}\nThen run again`,
      ].join(' '),
    },
  ];
}

function movedShards(shards: readonly UnknownShard[], naming: Naming): readonly Problem[] {
  if (shards.length === 0) return [];
  const { database, label } = naming;
  const told = shards.slice(0, SHARDS);
  const places = told.flatMap(({ shardid, groups: [to, ...others], elsewhere: [from, ...more] = [] }) =>
    to === undefined || from === undefined || others.length + more.length > 0
      ? []
      : [
          `UPDATE pg_catalog.pg_dist_placement SET groupid = ${integerLiteral(to)} WHERE shardid = ${integerLiteral(shardid)} AND groupid = ${integerLiteral(from)};`,
        ],
  );
  const tables = told.flatMap(({ found }) => found.map(({ group, name }) => `${name} on ${label(group)}`));
  return [
    {
      kind: 'refused',
      what: `The coordinator places shards of ${firstOf(tablesOf(shards), 10)} elsewhere than its workers do, and there are tables where these place them: ${firstOf(tables, 3)}. To sync the workers would delete the last record of where these rows are`,
      node: workersOf(shards, naming),
      next: [
        'Find out which tables have the rows, as owner of the table. If the coordinator is the one that was set back, restore it to its latest state;',
        ...(places.length === 0
          ? ['or correct its pg_dist_placement by that of the workers.']
          : [`or let it take the workers' word, on ${label(0)} in database '${database}': ${places.join(' ')}\n`]),
        `If a worker is the one that was set back, remove what it should not have: DROP TABLE ${firstOf([...new Set(tables)], 20)}, behind ${MANUAL} Then run again`,
      ].join(' '),
    },
  ];
}

function tablesOf(shards: readonly UnknownShard[]): readonly string[] {
  return [...new Set(shards.map(({ table }) => table))].toSorted();
}

function workersOf(shards: readonly UnknownShard[], { label }: Naming): string {
  return [...new Set(shards.flatMap(({ knownBy }) => knownBy))]
    .toSorted((a, b) => a - b)
    .map(label)
    .join(', ');
}
