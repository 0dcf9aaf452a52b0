import { isDue, type MissingExtension, versionsLikeCoordinator } from '../objects/extension.ts';
import type { NodeSpec } from '../spec/types.ts';
import { inside, type Situation } from './situation.ts';

/** Declared extensions that a node does not have yet, or has in another version. */
export function missingExtensions(situation: Situation, node: NodeSpec): readonly MissingExtension[] {
  const existing = inside(situation, node).extensions;
  const { extensions } = inside(situation, situation.topology.coordinator);
  return versionsLikeCoordinator(situation.database.extensions, extensions).flatMap((wanted) => {
    const found = existing.find((candidate) => candidate.name === wanted.name);
    if (!isDue(wanted, found)) return [];
    return [found === undefined ? wanted : { ...wanted, from: found.version }];
  });
}
