import { changedRelease, type ReleaseIdentity } from '../cluster/release.ts';
import type { Change, Problem } from '../objects/change.ts';
import { registration } from '../objects/citusMetadata.ts';
import { identityProblems, recordIdentities, type SeenServer } from '../objects/identity.ts';
import { inside, isPlain, label, type Situation, server } from './situation.ts';

/** Workers behind whose names other servers answer than those with the shards. */
export function changedWorkers(situation: Situation): readonly Problem[] {
  const { coordinator } = situation.topology;
  const recorded = server(situation, coordinator).identities;
  return identityProblems(recorded, workersSeen(situation), label(situation, coordinator));
}

/** Before anything is made. */
export function identityItems(situation: Situation): readonly Change[] {
  if (isPlain(situation)) return [];
  const { coordinator } = situation.topology;
  return recordIdentities(server(situation, coordinator).identities, workersSeen(situation), coordinator);
}

/**
 * A worker that a database no longer has in its pg_dist_node holds nothing of it: a group that was retired may come back
 * as a new one. A database that is not there yet proves nothing.
 */
function workersSeen(situation: Situation): readonly SeenServer[] {
  const { coordinator, workers } = situation.topology;
  const exists = server(situation, coordinator).database !== null;
  const { metadata } = inside(situation, coordinator);
  return workers.map((node) => ({
    node,
    label: label(situation, node),
    systemIdentifier: server(situation, node).settings.systemIdentifier,
    relied: !exists || (metadata !== undefined && registration(node, metadata) !== undefined),
  }));
}

/** The cluster as it answers now, for what the release remembers of it; undefined where no release does. */
export function seenCluster({ servers }: Situation): ReleaseIdentity | undefined {
  const scope = servers.get(0)?.settings.clusterName;
  if (scope === undefined) return undefined;
  return {
    scope,
    systemIdentifiers: new Map([...servers].map(([group, { settings }]) => [group, settings.systemIdentifier])),
  };
}

/** Another cluster than the release has had. */
export function changedCluster(situation: Situation): readonly Problem[] {
  return changedRelease(situation.release, seenCluster(situation), label(situation, situation.topology.coordinator));
}
