import { databaseNodes } from '../cluster/topology.ts';
import type { Change } from '../objects/change.ts';
import {
  forgetPosition,
  isFresh,
  type ObservedPosition,
  type RecordedPosition,
  recordPositions,
  setBack,
} from '../objects/nodePosition.ts';
import { NO_SHARDS } from '../objects/shard.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import { type Finding, labelOf } from './finding.ts';
import { inside, label, type Situation, server } from './situation.ts';

/** Servers that are no longer where an earlier run saw them, although their tables are there. */
export function positionFindings(situation: Situation): readonly Finding[] {
  const { coordinator } = situation.topology;
  const recorded = recordedOf(situation);
  const placed = inside(situation, coordinator).shards?.placed ?? {};
  return databaseNodes(situation.topology).flatMap((node): readonly Finding[] => {
    const { group } = node;
    const before = recorded.find((position) => position.group === group);
    const { position } = server(situation, node);
    if (before === undefined || position === undefined) return [];
    // Without shards there is nothing to lose; of those that are gone altogether more is said elsewhere.
    if (
      (placed[group] ?? NO_SHARDS) === NO_SHARDS ||
      situation.shardFaults.missing.some((shard) => shard.group === group)
    ) {
      return [];
    }
    const reason = setBack(before, position);
    if (reason === undefined) return [];
    const name = label(situation, node);
    return [
      {
        kind: 'setBack',
        node: name,
        object: name,
        effect: 'refuse',
        found: `the server was set back to an earlier moment: ${reason}. Rows that were written since are gone, and other nodes have theirs`,
        next: `Restore all nodes to one moment, or this one to its latest state. Only if what it lost may be lost, on ${labelOf(situation, coordinator.group)} in database '${MAINTENANCE_DATABASE}': ${forgetPosition(group)}`,
      },
    ];
  });
}

function recordedOf(situation: Situation): readonly RecordedPosition[] {
  const { recordedPositions = [], recordedTimelines = [] } = server(situation, situation.topology.coordinator);
  return recordedPositions.map((position) => ({
    ...position,
    // Of another timeline, it is left over from before.
    began: recordedTimelines.find(({ group, began }) => group === position.group && began === position.timeline),
  }));
}

/** After the proof: what the observation at the beginning of the run saw, where that is not recorded yet. */
export function positionChanges(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  const recorded = recordedOf(situation);
  const positions = new Map<number, ObservedPosition>();
  for (const node of databaseNodes(situation.topology)) {
    const { position } = server(situation, node);
    if (position !== undefined) positions.set(node.group, position);
  }
  const isKnown = ([group, position]: readonly [number, ObservedPosition]) =>
    isFresh(
      recorded.find((candidate) => candidate.group === group),
      position,
    );
  if ([...positions].every(isKnown)) return [];
  return [recordPositions(positions, coordinator)];
}
