import { databaseNodes } from '../../cluster/topology.ts';
import type { Change, Problem } from '../../objects/change.ts';
import type { NodeRights } from '../../objects/ownRights.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import { label, server } from '../situation.ts';
import type { OwnerSituation } from './situation.ts';

/** How a lacking right is named: what is due, why it cannot be done, and what an administrator runs. */

export function isSuperuserRole(situation: OwnerSituation, name: string): boolean {
  const { roles } = server(situation, situation.topology.coordinator);
  return roles.some((role) => role.name === name && role.superuser);
}

export function withoutCreate(
  situation: OwnerSituation,
  what: readonly string[],
  onCoordinator = false,
): readonly Problem[] {
  const { database, rights } = situation;
  return nodesOf(situation).flatMap(({ node, group, rights: own }): readonly Problem[] => {
    if (own.createsInDatabase || (onCoordinator && group !== 0)) return [];
    return [
      {
        kind: 'refused',
        what: `'${rights.user}' may not create anything in database '${database.name}', which is needed for ${what.join(', ')}`,
        node,
        next: `Let an administrator run, on this node: GRANT CREATE ON DATABASE ${quoteIdentifier(database.name)} TO ${quoteIdentifier(rights.user)}`,
      },
    ];
  });
}

/** Due changes, why the role may not make them, and the statement of an administrator that lets it. */
export function lacking(
  due: readonly Pick<Change, 'summary'>[],
  node: string,
  why: string,
  statement: string,
  where = '',
): Problem {
  return {
    kind: 'refused',
    what: `${due.map(({ summary }) => summary).join('; ')}: ${why}`,
    node,
    next: `Let an administrator run${where}: ${statement}`,
  };
}

export function namesRole(summary: string, name: string): boolean {
  return summary.includes(quoteIdentifier(name));
}

interface RightsOnNode {
  readonly group: number;
  readonly node: string;
  readonly rights: NodeRights;
  readonly owner: string | undefined;
}

/** The coordinator and every worker that answered. */
export function nodesOf(situation: OwnerSituation): readonly RightsOnNode[] {
  const [coordinator] = databaseNodes(situation.topology);
  const own = {
    group: 0,
    node: coordinator === undefined ? '' : label(situation, coordinator),
    rights: situation.rights,
    owner: coordinator === undefined ? undefined : server(situation, coordinator).database?.owner,
  };
  return [
    own,
    ...situation.workers.flatMap(({ node, answer }) =>
      answer === undefined
        ? []
        : [{ group: node.group, node: label(situation, node), rights: answer, owner: answer.database?.owner }],
    ),
  ];
}
