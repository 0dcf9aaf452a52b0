import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import type { Fragment } from './observe.ts';
import { wording } from './wording.ts';

/**
 * What ALTER EXTENSION leaves to citus_finish_citus_upgrade(), which is called once, on the coordinator, when every node
 * has the new version (Citus: sql/udfs/citus_finish_citus_upgrade). Without it tables that were in one colocation group
 * stay there with collations that Citus 14 keeps apart, and new tables "cannot colocate" with them.
 */
export interface ObservedUpgrade {
  /** The version that the distributed schema was last brought to, for example 13.2-1; null: not known, and so old. */
  readonly last: string | null;
  /** The newest major version that the installed procedure has a step for; null: there is no procedure. */
  readonly steps: number | null;
}

/** Major versions that brought steps; the procedure of a later Citus is asked (`steps`). */
const MAJORS_WITH_STEPS = [11, 14] as const;

/** The procedure compares the last version with each major that brought a step: the newest of them is read from there. */
export function observeCitusUpgrade(): Fragment {
  return {
    key: 'citusUpgrade',
    when: "pg_catalog.to_regclass('pg_catalog.pg_dist_node_metadata') IS NOT NULL",
    value: `pg_catalog.jsonb_build_object(
      'last', (SELECT metadata->>'last_upgrade_version' FROM pg_catalog.pg_dist_node_metadata),
      'steps', (SELECT pg_catalog.max(step.major[1]::pg_catalog.int4) FROM pg_catalog.pg_proc p,
        pg_catalog.regexp_matches(p.prosrc, 'last_upgrade_major_version < ([0-9]+)', 'g') AS step(major)
        WHERE p.proname = 'citus_finish_citus_upgrade' AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace))`,
  };
}

/** Due when the distributed schema is older than a step of the version that the extension has, or will have. */
export function diffCitusUpgrade(
  observed: ObservedUpgrade | undefined,
  /** The extension's version; undefined: it is still to be made, and then there is nothing to finish. */
  extension: string | undefined,
  library: string | undefined,
  coordinator: NodeSpec,
): readonly Change[] {
  if (observed === undefined || extension === undefined) return [];
  const target = Math.max(major(extension), major(library ?? extension));
  const updated = target > major(extension);
  const newest = Math.max(
    ...MAJORS_WITH_STEPS.filter((step) => step <= target),
    observed.steps ?? 0,
    // What a Citus that is not installed in this database yet has steps for is known to its own procedure alone.
    updated ? target : 0,
  );
  if (major(observed.last ?? '8.0-1') >= newest) return [];
  return [
    {
      ...{ kind: 'change', node: coordinator, scope: 'database', doneOnRetry: [], secret: false },
      ...wording('finish', `the upgrade of citus from ${observed.last ?? 'an old version'}`),
      statements: [{ text: 'CALL pg_catalog.citus_finish_citus_upgrade()' }],
      starting: `Finishing the upgrade of Citus from ${observed.last ?? 'an old version'}...`,
      failure: 'Failed to finish the upgrade of Citus (citus_finish_citus_upgrade)',
      next: 'Correct the cause: every node must be reachable and have the new version. Then run again',
    },
  ];
}

function major(version: string): number {
  return Number(/^\d+/.exec(version)?.[0] ?? 0);
}
