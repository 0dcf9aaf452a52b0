import { quoteIdentifier } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec, UserSpec } from '../spec/types.ts';
import { type ObservedAccess, type ObservedRelation, relationName } from './accessObserved.ts';
import type { Change } from './change.ts';
import { takenDefaults, takenFromMaintainers } from './maintain.ts';
import { accessChange, lacking, listed, NO_PROPAGATION, privilegesOf, usersWithAccess } from './privileges.ts';
import { wording } from './wording.ts';

/** Roles whose new objects the users get rights on: everybody who may make some. */
export function creators(database: DatabaseSpec, superuser: string): readonly string[] {
  const users = database.users.filter((user) => user.access === 'owner' || user.access === 'all');
  const schemaOwners = database.schemas.flatMap((schema) => (schema.owner === undefined ? [] : [schema.owner]));
  return [...new Set([superuser, database.owner, ...schemaOwners, ...users.map((user) => user.name)])];
}

const DEFAULT_KINDS = [
  { kind: 'table', code: 'r', words: 'TABLES' },
  { kind: 'sequence', code: 'S', words: 'SEQUENCES' },
  { kind: 'schema', code: 'n', words: 'SCHEMAS' },
] as const;

/**
 * Rights on what will be made later. Citus does not propagate ALTER DEFAULT PRIVILEGES: tables and sequences take their
 * rights along from the coordinator when they are distributed, schemas do not, so workers need the defaults of schemas.
 */
export function diffDefaultPrivileges(
  database: DatabaseSpec,
  superuser: string,
  observed: ObservedAccess | undefined,
  node: NodeSpec,
  coordinator: boolean,
  serverVersion: number,
  /** Whose new objects they are: a superuser may say that for everybody. */
  makers: readonly string[] = creators(database, superuser),
): readonly Change[] {
  const kinds = DEFAULT_KINDS.filter(({ kind }) => coordinator || kind === 'schema');
  const statements = database.users.flatMap((user) =>
    makers
      .filter((creator) => creator !== user.name)
      .flatMap((creator) =>
        kinds.flatMap(({ kind, code, words }) => {
          const entry = observed?.defaults.find((candidate) => candidate.role === creator && candidate.kind === code);
          const ofSuperuser = isSuperuser(creator, superuser, observed);
          const privileges = grantable(privilegesOf(user.access, kind, serverVersion), ofSuperuser);
          const missing = lacking(user, privileges, entry?.grants).join(', ');
          if (missing === '') return [];
          const role = quoteIdentifier(creator);
          const grant = `GRANT ${missing} ON ${words} TO ${quoteIdentifier(user.name)}`;
          return [{ user, text: `ALTER DEFAULT PRIVILEGES FOR ROLE ${role} ${grant}` }];
        }),
      ),
  );
  const taken = takenDefaults(database, observed, node);
  if (statements.length === 0) return taken;
  const what = coordinator ? 'new schemas, tables and sequences' : 'new schemas';
  return [
    ...taken,
    accessChange({
      ...{ node, scope: 'database', statements: statements.map(({ text }) => text) },
      ...wording('grant', `rights on ${what} to ${usersWithAccess(statements)}`),
      failure: 'Failed to set default privileges',
    }),
  ];
}

/** A statement names at most so many relations. */
const RELATIONS_PER_STATEMENT = 200;

/**
 * On one node: rights on the tables, views and sequences that are there. From the coordinator Citus takes them to the
 * shards and to the workers; what is left there (views) is granted on the worker itself.
 */
export function diffRelationAccess(
  database: DatabaseSpec,
  observed: ObservedAccess | undefined,
  node: NodeSpec,
  context: RelationContext,
  /** undefined: the node is the coordinator, or there is no Citus. */
  coordinator?: ObservedAccess,
): readonly Change[] {
  const known = new Map((coordinator?.relations ?? []).map((relation) => [relationName(relation), relation]));
  const grants = database.users.flatMap((user) => {
    const kinds = new Map<string, ObservedRelation[]>();
    for (const relation of observed?.relations ?? []) {
      const missing = lackingOn(user, relation, context, observed);
      if (missing.length === 0) continue;
      const there = known.get(relationName(relation));
      // What the coordinator lacks too comes from there.
      if (there !== undefined && lackingOn(user, there, context, coordinator).length > 0) continue;
      const kind = `${missing.join(', ')} ON ${relation.kind === 'S' ? 'SEQUENCE' : 'TABLE'}`;
      const alike = kinds.get(kind);
      if (alike === undefined) kinds.set(kind, [relation]);
      else alike.push(relation);
    }
    return [...kinds].flatMap(([kind, relations]) =>
      chunks(relations.map(relationName), RELATIONS_PER_STATEMENT).map((names) => {
        return { user, names, text: `GRANT ${kind} ${names.join(', ')} TO ${quoteIdentifier(user.name)}` };
      }),
    );
  });
  const taken = takenFromMaintainers(database, observed, node, coordinator);
  if (grants.length === 0) return taken;
  const names = [...new Set(grants.flatMap((grant) => grant.names))];
  return [
    ...taken,
    accessChange({
      ...{ node, scope: 'database' },
      ...wording(
        'grant',
        `rights on ${listed(names, 'table or sequence', 'tables and sequences')} to ${usersWithAccess(grants)}`,
      ),
      statements: [...(coordinator === undefined ? [] : [NO_PROPAGATION]), ...grants.map(({ text }) => text)],
      failure: 'Failed to grant rights on tables and sequences',
    }),
  ];
}

function lackingOn(
  user: UserSpec,
  relation: ObservedRelation,
  { serverVersion, superuser }: RelationContext,
  observed: ObservedAccess | undefined,
): readonly string[] {
  if (relation.owner === user.name) return [];
  const kind = relation.kind === 'S' ? 'sequence' : 'table';
  const privileges = privilegesOf(user.access, kind, serverVersion);
  return lacking(user, grantable(privileges, isSuperuser(relation.owner, superuser, observed)), relation.grants);
}

/** With these, code of the user would run as the superuser who writes to a table of his own, or owns it (maintain.ts). */
const NOT_ON_SUPERUSERS_TABLES = ['TRIGGER', 'REFERENCES', 'MAINTAIN'];

function isSuperuser(role: string, superuser: string, observed: ObservedAccess | undefined): boolean {
  return role === superuser || observed?.superusers?.includes(role) === true;
}

function grantable(privileges: readonly string[], ofSuperuser: boolean): readonly string[] {
  return ofSuperuser ? privileges.filter((privilege) => !NOT_ON_SUPERUSERS_TABLES.includes(privilege)) : privileges;
}

interface RelationContext {
  readonly serverVersion: number;
  readonly superuser: string;
}

function chunks<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
