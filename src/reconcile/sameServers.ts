import type { Joined } from '../cluster/join.ts';
import { changedRelease } from '../cluster/release.ts';
import { byGroup } from '../concurrency/parallel.ts';
import { identityProblems, identityScript, readIdentity, type ServerIdentity } from '../objects/identity.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import type { NodeSpec } from '../spec/types.ts';
import { problemsFailure } from './problemsFailure.ts';

/**
 * For commands that drop, move or mark something without observing a database first: at an address of the spec another
 * cluster's server may answer by now, with databases of the same names. Returns the system identifiers, by group.
 */
export async function refuseOtherServers(joined: Joined): Promise<ReadonlyMap<number, string>> {
  const { coordinator, workers, labels } = joined;
  const identities = await byGroup([coordinator, ...workers], (node) => identityOf(joined, node));
  const own = identities.get(coordinator.group);
  const label = (node: NodeSpec) => labels.get(node.group) ?? node.nodeName;
  const systemIdentifiers = new Map([...identities].map(([group, { systemIdentifier }]) => [group, systemIdentifier]));
  const seen = own === undefined ? undefined : { scope: own.clusterName, systemIdentifiers };
  const problems = [
    ...changedRelease(joined.release, seen, label(coordinator)),
    ...identityProblems(
      own?.identities,
      workers.map((node) => ({
        node,
        label: label(node),
        systemIdentifier: systemIdentifiers.get(node.group) ?? '',
        relied: true,
      })),
      label(coordinator),
    ),
  ];
  if (problems.length > 0)
    throw problemsFailure(problems, { what: 'Other servers answer than before', after: 'Nothing was changed' });
  return systemIdentifiers;
}

async function identityOf({ sessions, coordinator }: Joined, node: NodeSpec): Promise<ServerIdentity> {
  const session = await sessions.get(node, MAINTENANCE_DATABASE);
  const results = await session.script<{ observed: string }>(identityScript(node.group === coordinator.group));
  return readIdentity(results.at(-1)?.rows[0]?.observed ?? '{}');
}
