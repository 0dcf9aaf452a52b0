import type { Change, Problem } from '../../objects/change.ts';
import { grantMembership } from '../../objects/membership.ts';
import { diffWorkerSchemas } from '../../objects/schema.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import type { DatabaseSpec } from '../../spec/types.ts';
import { inside, isDeclared, label, server } from '../situation.ts';
import { changesAmong, ownedSchemaItems } from './items.ts';
import { isSuperuserRole, nodesOf, type RightsOnNode, withoutCreate } from './lacking.ts';
import type { OwnerSituation } from './situation.ts';

/** What is due of schemas, on the coordinator and on workers, and needs a right that the role lacks. Pure. */

type DeclaredSchema = DatabaseSpec['schemas'][number];

export function schemaProblems(situation: OwnerSituation): readonly Problem[] {
  const { database } = situation;
  const nodes = nodesOf(situation);
  const due = database.schemas.map((schema) => ({
    schema,
    on: nodes.flatMap((node) => {
      const changes = changesOn(situation, schema, node);
      return changes.length === 0 ? [] : [{ node, changes }];
    }),
  }));
  // CREATE on the database, by whoever makes a schema and by whoever gives it to another owner (PostgreSQL: AlterSchemaOwner_internal()).
  const making = due.filter(({ schema, on }) =>
    on.some(({ node }) => ownerOn(node, schema) !== ownerOf(database, schema)),
  );
  return [
    ...(making.length === 0
      ? []
      : withoutCreate(
          situation,
          making.map(({ schema }) => `schema ${schema.name}`),
        )),
    ...due.flatMap(({ schema, on }) => {
      if (on.length === 0) return [];
      const unknown = unknownOwner(situation, ownerOf(database, schema));
      if (unknown !== undefined) return [unknown];
      const lacking = ({ node, changes }: (typeof on)[number]) => lackingOn(situation, schema, node, changes);
      // What is lacking on the coordinator stands for the workers, which Citus carries the rest to.
      const onCoordinator = on.filter(({ node }) => node.group === 0).flatMap(lacking);
      return onCoordinator.length > 0 ? onCoordinator : on.flatMap(lacking);
    }),
  ];
}

function ownerOf(database: DatabaseSpec, { owner }: DeclaredSchema): string {
  return owner ?? database.owner;
}

function ownerOn({ schemas }: RightsOnNode, { name }: DeclaredSchema): string | undefined {
  return schemas.find((schema) => schema.name === name)?.owner;
}

/** What the coordinator gets, every worker gets as well. */
function changesOn(situation: OwnerSituation, schema: DeclaredSchema, on: RightsOnNode): readonly Change[] {
  const database = { ...situation.database, schemas: [schema] };
  const carried = changesAmong(ownedSchemaItems({ ...situation, database }));
  if (on.group === 0) return carried;
  const onCoordinator = inside(situation, situation.topology.coordinator).schemas;
  return [...carried, ...diffWorkerSchemas(database, onCoordinator, on.schemas, on.spec)];
}

function unknownOwner(situation: OwnerSituation, owner: string): Problem | undefined {
  const { coordinator } = situation.topology;
  const isKnown = server(situation, coordinator).roles.some((role) => role.name === owner);
  if (isKnown || isDeclared(situation, owner)) return undefined;
  return {
    kind: 'invalid',
    what: `Owner '${owner}' of a schema does not exist`,
    node: label(situation, coordinator),
    next: 'Declare it in `users`, create the role, or declare another owner',
  };
}

/** To make a role an owner takes SET ROLE to it; to alter what it owns, its rights (PostgreSQL 16 documentation, ALTER SCHEMA). */
function lackingOn(
  situation: OwnerSituation,
  schema: DeclaredSchema,
  on: RightsOnNode,
  changes: readonly Change[],
): readonly Problem[] {
  const { database, rights, topology } = situation;
  const owner = ownerOf(database, schema);
  const existing = ownerOn(on, schema);
  // Rights of users on it are granted as its owner.
  const altersIt = schema.distributed || database.users.some(({ name }) => name !== owner);
  const foreign = [
    ...(existing === owner || on.rights.becomes.includes(owner) ? [] : [owner]),
    ...[existing, altersIt ? owner : undefined].filter((role) => role !== undefined && !on.rights.has.includes(role)),
  ].filter((role) => role !== undefined);
  if (foreign.length === 0) return [];
  const names = [...new Set(foreign)];
  const { roles, settings } = server(situation, topology.coordinator);
  const statements = changes.flatMap((change) => change.statements.map(({ text }) => text)).join('; ');
  const known = roles.some((role) => role.name === owner);
  // Nobody is to become superuser for a schema.
  const member = names.some((role) => isSuperuserRole(situation, role))
    ? ''
    : `${known ? '' : `CREATE ROLE ${quoteIdentifier(owner)} LOGIN; `}${grantMembership(names, rights.user, settings.version)}; or, `;
  return [
    {
      kind: 'refused',
      what: `${changes.map(({ summary }) => summary).join('; ')}: '${rights.user}' has not the rights of ${names.map((role) => `'${role}'`).join(', ')}`,
      node: on.node,
      next: `Let an administrator run, in this database on ${on.group === 0 ? 'the coordinator' : 'this node'}: ${member}${statements}`,
    },
  ];
}
