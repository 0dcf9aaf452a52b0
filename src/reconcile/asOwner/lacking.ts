import type { Change, Problem } from '../../objects/change.ts';
import type { NodeRights } from '../../objects/ownRights.ts';
import type { ObservedRole } from '../../objects/role.ts';
import type { ObservedSchema } from '../../objects/schema.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, label, server } from '../situation.ts';
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

export interface RightsOnNode {
  readonly spec: NodeSpec;
  readonly group: number;
  /** Its label. */
  readonly node: string;
  readonly rights: NodeRights;
  /** Of the database. */
  readonly owner: string | undefined;
  /** Of the declaration's roles, those that exist. */
  readonly roles: readonly ObservedRole[];
  /** Of the declaration's schemas, the same. */
  readonly schemas: readonly ObservedSchema[];
}

/** The coordinator and every worker that answered. */
export function nodesOf(situation: OwnerSituation): readonly RightsOnNode[] {
  const { topology, rights, workers } = situation;
  const { coordinator } = topology;
  const { database, roles } = server(situation, coordinator);
  const node = (spec: NodeSpec) => ({ spec, group: spec.group, node: label(situation, spec) });
  return [
    {
      ...node(coordinator),
      ...{ rights, owner: database?.owner, roles, schemas: inside(situation, coordinator).schemas },
    },
    ...workers.flatMap(({ node: spec, answer }) =>
      answer === undefined
        ? []
        : [
            {
              ...node(spec),
              ...{ rights: answer, owner: answer.database?.owner, roles: answer.roles, schemas: answer.schemas },
            },
          ],
    ),
  ];
}
