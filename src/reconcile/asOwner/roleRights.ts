import type { Problem } from '../../objects/change.ts';
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
  const exists = (name: string) => coordinator.roles.some((role) => role.name === name);
  const administered = (name: string) => rights.roles.some((role) => role.name === name && role.admin);
  if (rights.createRole) {
    const touched = database.users.filter(
      ({ name }) => exists(name) && !administered(name) && !isSuperuserRole(situation, name),
    );
    for (const declared of touched) {
      const changes = [...due, ...ofUsers].filter(({ summary }) => namesRole(summary, declared.name));
      if (changes.length === 0) continue;
      problems.push(
        lacking(
          changes,
          label(situation, topology.coordinator),
          `'${rights.user}' has no ADMIN option on role '${declared.name}'`,
          `GRANT ${quoteIdentifier(declared.name)} TO ${user} WITH ADMIN OPTION`,
        ),
      );
    }
    const groups = new Set(situation.users.flatMap((wanted) => wanted.groups));
    const ungranted = (name: string) => exists(name) && !administered(name) && !isSuperuserRole(situation, name);
    for (const group of [...groups].filter(ungranted)) {
      const changes = due.filter(({ summary }) => summary.includes(' a member of ') && namesRole(summary, group));
      if (changes.length === 0) continue;
      problems.push(
        lacking(
          changes,
          label(situation, topology.coordinator),
          `'${rights.user}' has no ADMIN option on role '${group}'`,
          `GRANT ${quoteIdentifier(group)} TO ${user} WITH ADMIN OPTION`,
        ),
      );
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
