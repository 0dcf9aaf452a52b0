import { quoteIdentifier } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Item } from './change.ts';
import { note } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { wording } from './wording.ts';

export interface ObservedSchema {
  readonly name: string;
  readonly owner: string;
}

export function observeSchemas(names: readonly string[]): Fragment {
  return {
    key: 'schemas',
    value: jsonRows(`
      SELECT nspname AS name, pg_catalog.pg_get_userbyid(nspowner) AS owner
      FROM pg_catalog.pg_namespace WHERE nspname::pg_catalog.text = ANY (${textArray(names)})`),
  };
}

/** An extension that was made by this run may have brought the schema along, owned by the superuser. */
function createStatements(name: string, owner: string, maybeThere: boolean): Change['statements'] {
  const role = quoteIdentifier(owner);
  if (!maybeThere) return [{ text: `CREATE SCHEMA ${name} AUTHORIZATION ${role}` }];
  return [
    { text: `CREATE SCHEMA IF NOT EXISTS ${name} AUTHORIZATION ${role}` },
    { text: `ALTER SCHEMA ${name} OWNER TO ${role}` },
  ];
}

/** Made on the coordinator once the workers are registered: Citus carries schemas to them. */
export function diffSchemas(
  wanted: DatabaseSpec,
  observed: readonly ObservedSchema[],
  coordinator: NodeSpec,
): readonly Item[] {
  return wanted.schemas.map((schema): Item => {
    const owner = schema.owner ?? wanted.owner;
    const existing = observed.find((candidate) => candidate.name === schema.name);
    const base = { kind: 'change', node: coordinator, scope: 'database', secret: false, doneOnRetry: [] } as const;
    const name = quoteIdentifier(schema.name);
    if (existing === undefined) {
      return {
        ...base,
        creates: true,
        ...wording('create', `schema ${name} owned by ${quoteIdentifier(owner)}`),
        statements: createStatements(name, owner, wanted.extensions.length > 0),
        starting: `Creating schema: ${schema.name}`,
        failure: `Failed to create schema '${schema.name}'`,
        doneOnRetry: [SQLSTATE.duplicateSchema],
      };
    }
    if (existing.owner !== owner) {
      return {
        ...base,
        ...wording(
          'change',
          `the owner of schema ${name} from ${quoteIdentifier(existing.owner)} to ${quoteIdentifier(owner)}`,
        ),
        statements: [{ text: `ALTER SCHEMA ${name} OWNER TO ${quoteIdentifier(owner)}` }],
        starting: `Changing the owner of schema ${schema.name} to ${owner}`,
        failure: `Failed to change the owner of schema '${schema.name}'`,
      };
    }
    return note(`Schema '${schema.name}' already exists`);
  });
}
