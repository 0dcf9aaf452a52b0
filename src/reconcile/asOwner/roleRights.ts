import type { Change, Problem } from '../../objects/change.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import { label, server } from '../situation.ts';
import { ownedParameterItems, ownedRoleItems } from './items.ts';
import { isSuperuserRole, lacking, namesRole, nodesOf } from './lacking.ts';
import type { OwnerSituation } from './situation.ts';

/** What is due on roles and needs a right that the role lacks. Pure. */

export function roleProblems(situation: OwnerSituation): readonly Problem[] {
  const { database, rights, topology } = situation;
  const user = quoteIdentifier(rights.user);
  const coordinator = server(situation, topology.coordinator);
  const due = ownedRoleItems(situation);
  const ofUsers = ownedParameterItems({ ...situation, database: { ...database, parameters: {} } });
  const problems: Problem[] = [];
  for (const { node, rights: own } of nodesOf(situation)) {
    if (own.createRole || due.length + ofUsers.length === 0) continue;
    problems.push(
      lacking(
        [...due, ...ofUsers],
        node,
        `'${rights.user}' may not create and alter roles`,
        `ALTER ROLE ${user} CREATEROLE`,
      ),
    );
  }
  if (rights.createRole) {
    const administered = (name: string) => rights.roles.some((role) => role.name === name && role.admin);
    const ungranted = (name: string) =>
      coordinator.roles.some((role) => role.name === name) && !administered(name) && !isSuperuserRole(situation, name);
    const withoutAdmin = (name: string, changes: readonly Change[]) => {
      if (changes.length === 0) return;
      const why = `'${rights.user}' has no ADMIN option on role '${name}'`;
      const grant = `GRANT ${quoteIdentifier(name)} TO ${user} WITH ADMIN OPTION`;
      problems.push(lacking(changes, label(situation, topology.coordinator), why, grant));
    };
    for (const { name } of database.users.filter((declared) => ungranted(declared.name))) {
      const changes = [...due, ...ofUsers].filter(({ summary }) => namesRole(summary, name));
      withoutAdmin(name, changes);
    }
    const groups = new Set(situation.users.flatMap((wanted) => wanted.groups));
    for (const group of [...groups].filter(ungranted)) {
      const changes = due.filter(({ summary }) => summary.includes(' a member of ') && namesRole(summary, group));
      withoutAdmin(group, changes);
    }
  }
  return [...problems, ...absentRoles(situation)];
}

/** A role that Citus did not carry: made in a database without Citus, or before the worker joined. */
function absentRoles(situation: OwnerSituation): readonly Problem[] {
  const { roles } = server(situation, situation.topology.coordinator);
  const wanted = [...situation.database.users.map(({ name }) => name), situation.database.owner];
  return situation.workers.flatMap(({ node, answer }) => {
    if (answer === undefined) return [];
    const absent = wanted.filter(
      (name) => roles.some((role) => role.name === name) && !answer.roles.some((role) => role.name === name),
    );
    if (absent.length === 0) return [];
    const names = absent.map((name) => `'${name}'`).join(', ');
    return [
      {
        kind: 'refused',
        what: `${absent.length === 1 ? `Role ${names} exists` : `Roles ${names} exist`} on the coordinator and not here`,
        node: label(situation, node),
        next: 'Let an administrator create it here with the same attributes and password verifier, or drop it on the coordinator: this program then creates it on every node',
      },
    ];
  });
}
