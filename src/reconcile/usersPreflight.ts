import { allNodes } from '../cluster/topology.ts';
import { authinfoOf, authinfoProblems } from '../objects/authinfo.ts';
import type { Problem } from '../objects/change.ts';
import { exporterProblems } from '../objects/exporter.ts';
import { groupProblems, userProblems } from '../objects/user.ts';
import { userParameterProblems } from '../objects/userParameter.ts';
import { label, type Situation, server } from './situation.ts';
import { memberWarnings } from './undeclaredMembers.ts';

export function usersPreflight(situation: Situation): {
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
} {
  const { database, topology, users, exporter } = situation;
  const { roles, knownParameters } = server(situation, topology.coordinator);
  const withoutPassword = users.filter(({ spec, role }) => spec.login && role.verifier === null);
  return {
    problems: [
      ...allNodes(topology).flatMap((node) => {
        const observed = server(situation, node);
        const name = label(situation, node);
        return [
          ...userProblems(database.users, observed.roles, name),
          ...(exporter === undefined ? [] : exporterProblems(exporter, observed.roles, observed.memberships, name)),
        ];
      }),
      ...groupProblems(database, roles, label(situation, topology.coordinator)),
      ...rowsOfAuthinfo(situation).flatMap(({ role, authinfo }) => authinfoProblems(role, authinfo)),
      ...userParameterProblems(database, knownParameters, situation.spec.cluster.citus),
    ],
    warnings: [
      ...withoutPassword.map(
        ({ spec }) =>
          `User '${spec.name}' has no password: it can log in only where pg_hba.conf asks for none, and through workers not at all`,
      ),
      ...memberWarnings(situation),
    ],
  };
}

/** Those that step 5 writes. */
function rowsOfAuthinfo({ spec: { cluster, ssl }, password, users }: Situation) {
  if (!cluster.citus) return [];
  return [
    { role: cluster.user, authinfo: authinfoOf(password, ssl) },
    ...users.flatMap(({ spec, password: own }) =>
      own === undefined || !spec.login ? [] : [{ role: spec.name, authinfo: authinfoOf(own, ssl) }],
    ),
  ];
}
