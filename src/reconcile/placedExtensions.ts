import { type PlacedExtension, placeExtensions } from '../objects/extensionSchema.ts';
import { isShared } from '../objects/superuserSetting.ts';
import type { ExtensionSpec } from '../spec/types.ts';
import { inside, type Situation } from './situation.ts';

/** In which schema each of them is made. */
export function placedExtensions<Wanted extends ExtensionSpec>(
  situation: Situation,
  wanted: readonly Wanted[],
): readonly (Wanted & PlacedExtension)[] {
  const { database, spec, topology } = situation;
  const { extensions } = inside(situation, topology.coordinator);
  return placeExtensions(wanted, extensions, database, {
    superuser: spec.cluster.user,
    shared: isShared(database, spec.cluster.user),
  });
}
