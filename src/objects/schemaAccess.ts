import { quoteIdentifier } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { ObservedAccess, ObservedSchemaAccess } from './accessObserved.ts';
import type { Change } from './change.ts';
import { isForExtensionsAlone } from './extensionSchema.ts';
import { accessChange, lacking, listed, NO_PROPAGATION, PRIVILEGES, usersWithAccess } from './privileges.ts';
import { wording } from './wording.ts';

interface SchemaContext {
  readonly citus: boolean;
  /** Whoever logs in. undefined: no superuser, who could not take back what a superuser gave. */
  readonly superuser: string | undefined;
}

/** On one node: rights on the schemas that are there. */
export function diffSchemaAccess(
  database: DatabaseSpec,
  observed: ObservedAccess | undefined,
  node: NodeSpec,
  context: SchemaContext,
): readonly Change[] {
  const grants = (observed?.schemas ?? []).flatMap((schema) => {
    const closed = isForExtensionsAlone(schema, database, context.superuser);
    return database.users.flatMap((user) => {
      const wanted = PRIVILEGES[user.access].schema.filter((privilege) => !(closed && privilege === 'CREATE'));
      const missing = schema.owner === user.name ? '' : lacking(user, wanted, schema.grants).join(', ');
      if (missing === '') return [];
      const text = `GRANT ${missing} ON SCHEMA ${quoteIdentifier(schema.name)} TO ${quoteIdentifier(user.name)}`;
      return [{ user, schema: schema.name, text }];
    });
  });
  const schemas = [...new Set(grants.map(({ schema }) => schema))];
  const taken = takenCreate(database, observed, node, context);
  if (grants.length === 0) return taken;
  return [
    ...taken,
    accessChange({
      ...{ node, scope: 'database' },
      ...wording('grant', `rights on ${listed(schemas, 'schema', 'schemas')} to ${usersWithAccess(grants)}`),
      // Each node is looked at by itself; on a worker Citus would refuse.
      statements: [...(context.citus ? [NO_PROPAGATION] : []), ...grants.map(({ text }) => text)],
      failure: 'Failed to grant rights on schemas',
    }),
  ];
}

/** What earlier versions granted, or default privileges gave when somebody else made the schema or the extension. */
function takenCreate(
  database: DatabaseSpec,
  observed: ObservedAccess | undefined,
  node: NodeSpec,
  { citus, superuser }: SchemaContext,
): readonly Change[] {
  if (superuser === undefined) return [];
  const grants = (observed?.schemas ?? []).flatMap((schema) =>
    isForExtensionsAlone(schema, database, superuser)
      ? database.users
          .filter(({ name, access }) => PRIVILEGES[access].schema.includes('CREATE') && isCreator(name, schema))
          .map((user) => {
            const text = `REVOKE CREATE ON SCHEMA ${quoteIdentifier(schema.name)} FROM ${quoteIdentifier(user.name)} CASCADE`;
            return { user, schema: schema.name, text };
          })
      : [],
  );
  if (grants.length === 0) return [];
  const schemas = [...new Set(grants.map(({ schema }) => schema))];
  return [
    accessChange({
      ...{ node, scope: 'database' },
      ...wording('take', `CREATE on ${listed(schemas, 'schema', 'schemas')} from ${usersWithAccess(grants)}`),
      statements: [...(citus ? [NO_PROPAGATION] : []), ...grants.map(({ text }) => text)],
      failure: 'Failed to take back CREATE on schemas of extensions',
    }),
  ];
}

function isCreator(role: string, schema: ObservedSchemaAccess): boolean {
  return schema.ofExtensions?.creators.includes(role) === true;
}
