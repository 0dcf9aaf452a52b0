import type { NodeSpec } from '../spec/types.ts';
import { label, type Situation, server } from './situation.ts';

/** What is odd about the database on a worker, seen beside the coordinator's. */
export function workerDatabaseWarnings(situation: Situation, worker: NodeSpec): readonly string[] {
  const here = server(situation, worker).database;
  const { database: there, bookkeeping } = server(situation, situation.topology.coordinator);
  if (here === null) return [];
  const name = label(situation, worker);
  const { database } = situation;
  if (there === null) {
    if (bookkeeping?.row?.state === 'creating') return [];
    return [
      `Database '${database.name}' exists on ${name} and not on the coordinator: what it holds there stays, and may get in the way`,
    ];
  }
  const differences = (['encoding', 'collate', 'ctype'] as const).filter((key) => here[key] !== there[key]);
  return differences.map(
    (key) =>
      `Database '${database.name}' has ${key} ${here[key]} on ${name} and ${there[key]} on the coordinator: text may sort and compare differently`,
  );
}
