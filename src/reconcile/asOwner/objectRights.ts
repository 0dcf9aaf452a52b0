import type { Problem } from '../../objects/change.ts';
import { hasInitSql } from '../../objects/closedDatabase.ts';
import type { ExtensionNeeds } from '../../objects/ownRights.ts';
import { quoteIdentifier, quoteLiteral } from '../../postgres/quote.ts';
import { inside, isDeclared, label, server } from '../situation.ts';
import { rights as rightsOfUsers } from '../works/users.ts';
import { changesAmong, ownedParameterItems, ownedSchemaItems } from './items.ts';
import { isSuperuserRole, lacking, namesRole, withoutCreate } from './lacking.ts';
import type { OwnerSituation } from './situation.ts';

/** What is due in the database and needs a right that the role lacks. Pure. */

export function extensionRights(situation: OwnerSituation, needs: readonly ExtensionNeeds[]): readonly Problem[] {
  const { database, rights, topology } = situation;
  const node = label(situation, topology.coordinator);
  const { extensions } = inside(situation, topology.coordinator);
  const problems: Problem[] = [];
  for (const wanted of database.extensions) {
    const present = extensions.find(({ name }) => name === wanted.name);
    const due = present === undefined || (wanted.version !== undefined && wanted.version !== present.version);
    const found = needs.find(({ name }) => name === wanted.name);
    const name = quoteIdentifier(wanted.name);
    const statement =
      present === undefined
        ? `CREATE EXTENSION ${name}${wanted.schema === undefined ? '' : ` SCHEMA ${quoteIdentifier(wanted.schema)}`}${wanted.version === undefined ? '' : ` VERSION ${quoteLiteral(wanted.version)}`}`
        : `ALTER EXTENSION ${name} UPDATE TO ${quoteLiteral(wanted.version ?? '')}`;
    if (due && found === undefined) {
      problems.push({
        kind: 'failed',
        what: `Extension ${wanted.name} is not installed on the server`,
        node,
        next: 'Choose one that the service offers (SELECT name FROM pg_available_extensions), or take it out of `extensions`',
      });
    } else if (due && found?.superuser === true && !found.trusted) {
      problems.push({
        kind: 'refused',
        what: `Extension ${wanted.name} is not trusted: only a superuser ${present === undefined ? 'creates' : 'updates'} it`,
        node,
        next: `Let an administrator run, in database '${database.name}' on the coordinator: ${statement}. Services have a function of their own for the extensions that they allow`,
      });
    } else if (due) {
      problems.push(...withoutCreate(situation, [`extension ${wanted.name}`]));
    }
    for (const worker of situation.workers) {
      const there = worker.answer?.extensions.find((extension) => extension.name === wanted.name);
      if (due || worker.answer === undefined || there?.version === present?.version) continue;
      problems.push({
        kind: 'refused',
        what: `Extension ${wanted.name} is ${there?.version ?? 'missing'} here and ${present?.version ?? 'missing'} on the coordinator`,
        node: label(situation, worker.node),
        next: `Let an administrator run, in database '${database.name}' on this node: ${there === undefined ? `CREATE EXTENSION ${name} VERSION ${quoteLiteral(present?.version ?? '')}` : `ALTER EXTENSION ${name} UPDATE TO ${quoteLiteral(present?.version ?? '')}`} (with citus.enable_ddl_propagation off)`,
      });
    }
  }
  // Whose rights on the extension matter for an update is PostgreSQL's to say.
  return rights.superuser ? [] : problems;
}

export function schemaProblems(situation: OwnerSituation): readonly Problem[] {
  const { database, rights, topology } = situation;
  const { coordinator } = topology;
  const { schemas } = inside(situation, coordinator);
  const due = changesAmong(ownedSchemaItems(situation));
  const problems: Problem[] = [];
  const absent = database.schemas.filter(({ name }) => !schemas.some((schema) => schema.name === name));
  if (absent.length > 0)
    problems.push(
      ...withoutCreate(
        situation,
        absent.map(({ name }) => `schema ${name}`),
      ),
    );
  const { roles } = server(situation, coordinator);
  for (const schema of database.schemas) {
    const owner = schema.owner ?? database.owner;
    const existing = schemas.find(({ name }) => name === schema.name);
    const changes = due.filter(({ summary }) => namesRole(summary, schema.name));
    if (changes.length === 0) continue;
    const known = roles.some((role) => role.name === owner);
    if (!known && !isDeclared(situation, owner)) {
      problems.push({
        kind: 'invalid',
        what: `Owner '${owner}' of a schema does not exist`,
        node: label(situation, coordinator),
        next: 'Declare it in `users`, create the role, or declare another owner',
      });
      continue;
    }
    const foreign = [owner, ...(existing === undefined ? [] : [existing.owner])].filter(
      (role) => !rights.has.includes(role),
    );
    if (foreign.length === 0) continue;
    const names = [...new Set(foreign)];
    const quoted = names.map(quoteIdentifier).join(', ');
    const statements = changes.flatMap((change) => change.statements.map(({ text }) => text)).join('; ');
    // Nobody is to become superuser for a schema.
    const member = names.some((role) => isSuperuserRole(situation, role))
      ? ''
      : `${known ? '' : `CREATE ROLE ${quoteIdentifier(owner)} LOGIN; `}GRANT ${quoted} TO ${quoteIdentifier(rights.user)}; or, `;
    problems.push({
      kind: 'refused',
      what: `${changes.map(({ summary }) => summary).join('; ')}: '${rights.user}' has not the rights of ${names.map((role) => `'${role}'`).join(', ')}`,
      node: label(situation, coordinator),
      next: `Let an administrator run, in this database on the coordinator: ${member}${statements}`,
    });
  }
  return problems;
}

/** Grants on what others own. */
export function grantProblems(situation: OwnerSituation): readonly Problem[] {
  const { rights, topology } = situation;
  const { coordinator } = topology;
  const contents = inside(situation, coordinator);
  const { access } = contents;
  if (access === undefined) return [];
  const foreign = (owned: { readonly owner: string }) => !rights.has.includes(owned.owner);
  const others = { ...access, schemas: access.schemas.filter(foreign), relations: access.relations.filter(foreign) };
  const seen = new Map(situation.inside).set(coordinator.group, { ...contents, access: others });
  const due = changesAmong(rightsOfUsers.items({ ...situation, inside: seen }, coordinator));
  return due.map((change) => ({
    kind: 'refused',
    what: `${change.summary}: '${rights.user}' has not the rights of the owner`,
    node: label(situation, coordinator),
    next: `Let the owner, or an administrator, run in this database: ${change.statements.map(({ text }) => text).join('; ')}`,
  }));
}

export function parameterRights(situation: OwnerSituation): readonly Problem[] {
  const { rights, topology } = situation;
  const { knownParameters } = server(situation, topology.coordinator);
  const restricted = knownParameters.filter(
    ({ name, context }) => context === 'superuser' && rights.settable?.includes(name) !== true,
  );
  const due = ownedParameterItems(situation);
  return restricted.flatMap(({ name }) => {
    const changes = due.filter(({ summary }) =>
      summary.toLowerCase().startsWith(`set parameter ${name.toLowerCase()} `),
    );
    if (changes.length === 0) return [];
    return [
      lacking(
        changes,
        label(situation, topology.coordinator),
        `only superusers set ${name}`,
        `GRANT SET ON PARAMETER ${name} TO ${quoteIdentifier(rights.user)}`,
        ' on every node',
      ),
    ];
  });
}

export function ledgerRights(situation: OwnerSituation): readonly Problem[] {
  const { ledger } = inside(situation, situation.topology.coordinator);
  if (!hasInitSql(situation.database) || (ledger !== undefined && ledger.rows !== null)) return [];
  return withoutCreate(situation, ['the ledger of initSQL'], true);
}
