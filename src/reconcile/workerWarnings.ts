import type { Problem } from '../objects/change.ts';
import { localeDifferences } from '../objects/locale.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import { label, type Situation, server } from './situation.ts';

/** What is odd about the database on a worker, seen beside the coordinator's. */
export function workerDatabaseWarnings(situation: Situation, worker: NodeSpec): readonly string[] {
  const here = server(situation, worker).database;
  const { database: there, bookkeeping } = server(situation, situation.topology.coordinator);
  if (here === null || there !== null || bookkeeping?.row?.state === 'creating') return [];
  return [
    `Database '${situation.database.name}' exists on ${label(situation, worker)} and not on the coordinator: what it holds there stays, and may get in the way`,
  ];
}

/** A worker's database that sorts and compares text in another way than the coordinator's gives wrong results. */
export function workerLocaleProblems(situation: Situation, worker: NodeSpec): readonly Problem[] {
  const { database, topology } = situation;
  const here = server(situation, worker).database;
  const coordinator = server(situation, topology.coordinator);
  // One that is still to be made takes after its template; what is declared is compared elsewhere.
  const there = coordinator.database ?? (declaresLocale(database) ? null : coordinator.template);
  if (here === null || there === null) return [];
  const differences = localeDifferences(here, there);
  if (differences.length === 0) return [];
  const own = differences.map((difference) => `${difference.what} ${difference.here}`).join(', ');
  const others = differences.map((difference) => difference.there).join(', ');
  return [
    {
      kind: 'refused',
      what: `Database '${database.name}' has ${own} here and ${others} on the coordinator: min(), max() and ORDER BY would differ by shard`,
      node: label(situation, worker),
      next: 'Move its shards away (citus_drain_node), remove the node from this database (citus_remove_node), drop the database on it and run again: it is made like that of the coordinator',
    },
  ];
}

function declaresLocale({ encoding, locale, localeProvider }: DatabaseSpec): boolean {
  return [encoding, locale, localeProvider].some((field) => field !== undefined);
}
