import { NO_METADATA, staleReason } from '../objects/citusMetadata.ts';
import { conflictingTypes } from '../objects/distributedType.ts';
import { differingParts } from '../objects/metadataParts.ts';
import type { NodeSpec } from '../spec/types.ts';
import { inside, type Situation } from './situation.ts';

/** Registered workers that have to learn the metadata again. */
export function staleWorkers(situation: Situation): readonly { readonly worker: NodeSpec; readonly reason: string }[] {
  const { coordinator, workers } = situation.topology;
  const { metadata = NO_METADATA, metadataParts: known = {}, shards } = inside(situation, coordinator);
  // To sync them would take from them, too, what the coordinator does not know any more.
  if (shards?.unplaced === true || situation.shardFaults.unknown.length > 0) return [];
  return workers.flatMap((worker) => {
    if (typesInConflict(situation, worker).length > 0) return [];
    const { metadata: own, metadataParts = {} } = inside(situation, worker);
    const reason = staleReason(worker, metadata, own, differingParts(metadataParts, known));
    return reason === undefined ? [] : [{ worker, reason }];
  });
}

/** To sync a worker with these would part the columns of its shards from the types of their tables. */
export function typesInConflict(situation: Situation, worker: NodeSpec): readonly string[] {
  const { distributedTypes: known = {} } = inside(situation, situation.topology.coordinator);
  return conflictingTypes(inside(situation, worker).distributedTypes ?? {}, known);
}
