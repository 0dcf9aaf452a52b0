import type { PatroniGroupSpec, PatroniSpec } from '../spec/types.ts';
import { listItems } from './lists.ts';
import { deriveProfile } from './profile.ts';

const PRELOAD = 'shared_preload_libraries';

/** Every parameter that the spec wants of a group: explicit values win over the profile, the group's over those of all. */
export function wantedParameters(
  patroni: PatroniSpec,
  group: PatroniGroupSpec,
  citus: boolean,
): Readonly<Record<string, string>> {
  const profile = patroni.profile === 'auto' && group.memoryLimit !== undefined ? deriveProfile(group.memoryLimit) : {};
  const wanted = { ...profile, ...patroni.parameters, ...group.parameters };
  const libraries = wanted[PRELOAD];
  if (libraries === undefined || !citus) return wanted;
  return { ...wanted, [PRELOAD]: withCitusFirst(libraries) };
}

/**
 * Parameters that are no longer wanted return to the default of Patroni or PostgreSQL, which is to name them no more.
 * The libraries are the exception: without citus among them no server of the cluster would work.
 */
export function absentValue(name: string, citus: boolean): string | undefined {
  return citus && name === PRELOAD ? 'citus' : undefined;
}

/** Citus refuses to be loaded after another library (src/backend/distributed/shared_library_init.c). */
export function withCitusFirst(libraries: string): string {
  return ['citus', ...librariesOf(libraries).filter((library) => library !== 'citus')].join(',');
}

export function librariesOf(value: string): readonly string[] {
  return [...new Set(listItems(value))];
}
