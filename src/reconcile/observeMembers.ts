import { databaseNodes } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import type { Problem } from '../objects/change.ts';
import { observeRolesOf } from './observe.ts';
import { problemsFailure } from './problemsFailure.ts';
import type { Run } from './run.ts';
import type { Situation } from './situation.ts';
import { comparedRoles, managedMemberProblems, memberProblems } from './undeclaredMembers.ts';
import { namesOfManagedRoles } from './works/registration.ts';

/** Refuses a worker's members of roles that are neither the coordinator's nor declared. */
export async function refuseMembers(situation: Situation, run: Run): Promise<void> {
  refuse(situation, await undeclaredMembers(situation, run));
}

/**
 * A run for another database may just have made somebody a member. It does so on the coordinator first, so what is found
 * there now says more than what was found when the workers were observed.
 */
export async function undeclaredMembers(situation: Situation, run: Run): Promise<readonly Problem[]> {
  if (memberProblems(situation).length === 0) return [];
  const { coordinator } = situation.topology;
  const { members } = await observeRolesOf(run, coordinator, comparedRoles(situation));
  const known = situation.servers.get(coordinator.group);
  if (known === undefined) return [];
  const servers = new Map(situation.servers).set(coordinator.group, { ...known, members });
  return memberProblems({ ...situation, servers });
}

/** Roles that Citus would copy to the workers. `plan` asks for them too: nothing else has observed them. */
export async function observeManagedRoles(situation: Situation, run: Run): Promise<(latest: Situation) => Situation> {
  const names = namesOfManagedRoles(situation);
  if (names.length === 0) return (latest) => latest;
  const { coordinator } = situation.topology;
  const managedRoles = await byGroup(databaseNodes(situation.topology), (node) => observeRolesOf(run, node, names));
  if (managedMemberProblems({ ...situation, managedRoles }).length > 0) {
    const latest = new Map(managedRoles).set(coordinator.group, await observeRolesOf(run, coordinator, names));
    refuse(situation, managedMemberProblems({ ...situation, managedRoles: latest }));
  }
  return (latest) => ({ ...latest, managedRoles });
}

function refuse({ database: { name } }: Situation, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  throw problemsFailure(problems, {
    database: name,
    what: `Database '${name}' cannot be made ready: ${problems.length} problems`,
    after: 'Nothing was given to these roles',
  });
}
