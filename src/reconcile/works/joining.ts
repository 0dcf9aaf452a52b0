import { missingWorkers, NO_METADATA } from '../../objects/citusMetadata.ts';
import { openDatabase } from '../../objects/closedDatabase.ts';
import { closeUntilRegistered, lookForOthersCode } from '../../objects/joining.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { closedFor, inside, isOpen, isPlain, type Situation, server } from '../situation.ts';
import { staleWorkers } from '../staleWorkers.ts';
import { type DatabaseWork, onWorkers } from './databaseWork.ts';
import { referenceCopyItems } from './shards.ts';

/** A worker that joins a database which others may connect to on the coordinator, new or not. */
export function joins(situation: Situation, worker: NodeSpec): boolean {
  const { coordinator, workers } = situation.topology;
  if (isPlain(situation) || closedFor(situation) !== undefined || !isOpen(situation)) return false;
  return missingWorkers(workers, inside(situation, coordinator).metadata ?? NO_METADATA).includes(worker);
}

/** Step 6, before it is registered, or synced. */
export const closingJoining: DatabaseWork = {
  name: 'closing of workers that join',
  nodes: onWorkers,
  items: (situation, worker) => {
    const { name } = situation.database;
    if (joins(situation, worker)) {
      return closeUntilRegistered(name, server(situation, worker).database, situation.spec.cluster.user, worker);
    }
    const isStale = staleWorkers(situation).some((stale) => stale.worker === worker);
    return isStale && isOpen(situation) ? [lookForOthersCode(name, 'its metadata is synced', worker)] : [];
  },
  log: 'once',
};

/** And behind it: as table owners, too, Citus connects when it copies tables. */
export const openingJoined: DatabaseWork = {
  name: 'opening of workers that join',
  nodes: onWorkers,
  items: (situation, worker) => {
    const { spec, database, topology } = situation;
    if (!joins(situation, worker)) return [];
    const connectionLimit =
      database.connectionLimit ?? server(situation, topology.coordinator).database?.connectionLimit;
    const wanted = connectionLimit === undefined ? database : { ...database, connectionLimit };
    return [openDatabase(wanted, spec.cluster.user, spec.cluster.citus, worker)];
  },
  log: 'once',
};

/** Before reference tables are copied there. */
export const lookingBeforeCopies: DatabaseWork = {
  name: 'code of others before copies',
  nodes: onWorkers,
  items: (situation, worker) =>
    isOpen(situation) && closedFor(situation) === undefined && referenceCopyItems(situation).length > 0
      ? [lookForOthersCode(situation.database.name, 'reference tables are copied', worker)]
      : [],
  log: 'once',
};
