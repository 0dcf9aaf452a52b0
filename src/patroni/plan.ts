import type { PatroniGroupSpec, Spec } from '../spec/types.ts';
import { type Difference, type DynamicConfig, difference } from './difference.ts';
import type { WatchedParameter } from './progress.ts';
import { absentValue, wantedParameters } from './wanted.ts';

/** What is to be done in one group. */
export interface GroupPlan {
  readonly spec: PatroniGroupSpec;
  /** As the log names it. */
  readonly label: string;
  readonly config: DynamicConfig;
  /** Names in lower case. */
  readonly wanted: Readonly<Record<string, string>>;
  readonly difference: Difference;
}

export function planGroup(spec: Spec, group: PatroniGroupSpec, config: DynamicConfig): GroupPlan {
  const { patroni, cluster } = spec;
  if (patroni === undefined) throw new Error('A plan needs the section patroni');
  const wanted = wantedParameters(patroni, group, cluster.citus);
  return {
    spec: group,
    label: groupLabel(group.group, cluster.citus),
    config,
    wanted,
    difference: difference({
      config,
      wanted,
      managedBefore: patroni.managedBefore,
      fallback: (name) => absentValue(name, cluster.citus),
    }),
  };
}

export function groupLabel(group: number, citus: boolean): string {
  if (!citus) return 'The servers';
  return group === 0 ? 'Group 0 (coordinator)' : `Group ${group}`;
}

/** Everything that is wanted, and what is to return to its default. */
export function watched(plan: GroupPlan): readonly WatchedParameter[] {
  const changes = new Map(plan.difference.changes.map((change) => [change.name, change]));
  const names = new Set([...Object.keys(plan.wanted), ...changes.keys()]);
  return [...names].toSorted().map((name) => {
    const change = changes.get(name);
    return { name, wanted: change === undefined ? plan.wanted[name] : change.to, former: change?.from };
  });
}
