import type { Change, Problem } from '../../objects/change.ts';
import { hasInitSql } from '../../objects/closedDatabase.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../../spec/types.ts';
import { inside, label, server } from '../situation.ts';
import { rights as rightsOfUsers } from '../works/users.ts';
import { changesAmong, ownedParameterItems } from './items.ts';
import { lacking, nodesOf, withoutCreate } from './lacking.ts';
import type { OwnerSituation } from './situation.ts';
import { workerRights } from './workerItems.ts';

/** What is due in the database and needs a right that the role lacks. Pure. */

/** Grants on what others own. */
export function grantProblems(situation: OwnerSituation): readonly Problem[] {
  const { rights, topology, workers } = situation;
  const { coordinator } = topology;
  const contents = inside(situation, coordinator);
  const { access } = contents;
  if (access === undefined) return [];
  const foreign = (owned: { readonly owner: string }) => !rights.has.includes(owned.owner);
  const others = { ...access, schemas: access.schemas.filter(foreign), relations: access.relations.filter(foreign) };
  const seen = new Map(situation.inside).set(coordinator.group, { ...contents, access: others });
  const due = changesAmong(rightsOfUsers.items({ ...situation, inside: seen }, coordinator));
  const problem = (change: Change, node: NodeSpec, where: string): Problem => ({
    kind: 'refused',
    what: `${change.summary}: '${rights.user}' has not the rights of the owner`,
    node: label(situation, node),
    next: `Let the owner, or an administrator, run in this database${where}: ${change.statements
      .filter(({ text }) => text.startsWith('GRANT'))
      .map(({ text }) => text)
      .join('; ')}`,
  });
  return [
    ...due.map((change) => problem(change, coordinator, '')),
    ...workers.flatMap(({ node, answer }) => {
      if (answer === undefined) return [];
      const lacks = workerRights(situation, answer, node, ({ owner }) => !answer.has.includes(owner));
      return lacks.map((change) => problem(change, node, ' on this node, with citus.enable_ddl_propagation off'));
    }),
  ];
}

export function parameterRights(situation: OwnerSituation): readonly Problem[] {
  const { rights, topology } = situation;
  const { knownParameters } = server(situation, topology.coordinator);
  return knownParameters
    .filter(({ context }) => context === 'superuser')
    .flatMap(({ name }) => {
      const due = ownedParameterItems({ ...situation, database: withParameter(situation.database, name) });
      if (due.length === 0) return [];
      const grant = `GRANT SET ON PARAMETER ${name} TO ${quoteIdentifier(rights.user)}`;
      return nodesOf(situation)
        .filter((node) => !node.rights.settable.includes(name))
        .map(({ node }) => lacking(due, node, `only superusers set ${name}`, grant, ' on this node'));
    });
}

/** Of the declared parameters, of the database and of its users, one alone. */
function withParameter(database: DatabaseSpec, name: string): DatabaseSpec {
  const only = (parameters: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(parameters).filter(([key]) => key.toLowerCase() === name.toLowerCase()));
  return {
    ...database,
    parameters: only(database.parameters),
    users: database.users.map((user) => ({ ...user, parameters: only(user.parameters) })),
  };
}

export function ledgerRights(situation: OwnerSituation): readonly Problem[] {
  const { ledger } = inside(situation, situation.topology.coordinator);
  if (!hasInitSql(situation.database) || (ledger !== undefined && ledger.rows !== null)) return [];
  return withoutCreate(situation, ['the ledger of initSQL'], true);
}
