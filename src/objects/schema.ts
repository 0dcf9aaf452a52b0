import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { FailureDetails } from '../report/errors.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Item } from './change.ts';
import { note } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { OF_SUPERUSER } from './openSchemas.ts';
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

export interface ObservedTenantSchema {
  readonly name: string;
  readonly distributed: boolean;
  /** There are tables or other relations in it. */
  readonly filled: boolean;
  /** Some of them belong to roles that are no superusers, whoever owns the schema. */
  readonly ofOthers: boolean;
}

/** Of those that are to be tenant schemas. */
export function observeTenantSchemas({ schemas }: DatabaseSpec): readonly Fragment[] {
  const names = schemas.filter(({ distributed }) => distributed).map(({ name }) => name);
  if (names.length === 0) return [];
  const found = (distributed: string) =>
    jsonRows(`
        SELECT n.nspname AS name, ${distributed} AS distributed,
          EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid) AS filled,
          EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
            WHERE c.relnamespace = n.oid AND NOT r.rolsuper) AS "ofOthers"
        FROM pg_catalog.pg_namespace n WHERE n.nspname::pg_catalog.text = ANY (${textArray(names)})`);
  const key = 'tenantSchemas';
  return [
    // An existing database without Citus may hold tables of others just as well.
    { key, value: found('false') },
    {
      key,
      when: "pg_catalog.to_regclass('pg_catalog.pg_dist_schema') IS NOT NULL",
      value: found('EXISTS (SELECT FROM pg_catalog.pg_dist_schema d WHERE d.schemaid = n.oid)'),
    },
  ];
}

/**
 * A schema with tables of others is not converted here: Citus copies their rows, which runs their owner's code (indexes on
 * expressions, checks) as whoever asks for it.
 */
export function diffTenantSchemas(
  wanted: DatabaseSpec,
  observed: readonly ObservedSchema[],
  tenants: readonly ObservedTenantSchema[],
  superuser: string,
  coordinator: NodeSpec,
): readonly Item[] {
  return wanted.schemas.flatMap((schema): readonly Item[] => {
    if (!schema.distributed) return [];
    const there = tenants.find(({ name }) => name === schema.name);
    if (there?.distributed === true) return [];
    const owner = observed.find(({ name }) => name === schema.name)?.owner ?? schema.owner ?? wanted.owner;
    const call = `SELECT pg_catalog.citus_schema_distribute(${quoteLiteral(quoteIdentifier(schema.name))}::pg_catalog.regnamespace)`;
    if (there?.filled === true && (owner !== superuser || there.ofOthers)) {
      const next = owner === superuser ? doItYourself(call) : letOwnerDoIt(owner, call);
      return [{ kind: 'refusal', failure: tablesOfOthers(wanted.name, schema.name, next) }];
    }
    return [
      {
        kind: 'change',
        node: coordinator,
        scope: 'database',
        ...wording('make', `schema ${quoteIdentifier(schema.name)} a tenant schema`),
        statements: [{ text: assertNothingOfOthers(schema.name) }, { text: call }],
        starting: `Distributing schema: ${schema.name}`,
        failure: `Failed to make schema '${schema.name}' a tenant schema`,
        doneOnRetry: [],
        secret: false,
      },
    ];
  });
}

function letOwnerDoIt(owner: string, call: string): string {
  // SET ROLE on a superuser's session would not do: the owner's code may undo it.
  return `Let its owner do it, logged in as ${quoteIdentifier(owner)} (not as superuser) on the coordinator, in this database: ${call}; and run again`;
}

/**
 * In the transaction of the step itself: the owner sees a run begin (pg_stat_activity) and may come in between. Whoever makes a
 * table locks the schema in ACCESS SHARE mode until the end of the transaction (PostgreSQL: namespace.c,
 * RangeVarGetAndCheckCreationNamespace()). No statement of SQL takes a lock against that and keeps it; Citus' function
 * does, and then finds that this is a tenant schema already (Citus: schema_based_sharding.c, citus_schema_distribute()). So
 * it is entered as one for that call. What is found under the lock stays so until Citus has copied the tables.
 */
function assertNothingOfOthers(schema: string): string {
  const oid = `${quoteLiteral(quoteIdentifier(schema))}::pg_catalog.regnamespace`;
  const assertion = `
  IF EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ${quoteLiteral(schema)} AND NOT (${OF_SUPERUSER('c.relowner')} AND ${OF_SUPERUSER('n.nspowner')})) THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = 'the schema holds tables of others by now';
  END IF;`;
  return `DO ${quoteLiteral(`BEGIN${assertion}
  IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = session_user) THEN RETURN; END IF;
  INSERT INTO pg_catalog.pg_dist_schema (schemaid, colocationid) VALUES (${oid}, ${NO_COLOCATION});
  PERFORM pg_catalog.citus_schema_distribute(${oid});
  DELETE FROM pg_catalog.pg_dist_schema d WHERE d.schemaid = ${oid};${assertion}
END`)}`;
}

/** One that no tables have; 0 would say that it is no tenant schema. */
const NO_COLOCATION = 2_147_483_647;

function doItYourself(call: string): string {
  return (
    'Read the indexes and checks of these tables and what they call, then give the tables to the superuser (ALTER TABLE … OWNER TO) ' +
    `and run again; or do it yourself, on the coordinator, in this database, which runs that code: ${call}`
  );
}

function tablesOfOthers(database: string, schema: string, next: string): FailureDetails {
  return {
    kind: 'refused',
    what: `Schema '${schema}' holds tables of others, and is not made a tenant schema here`,
    database,
    cause: 'Citus copies their rows, and code of their owners (indexes on expressions, checks) would run as superuser',
    next,
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

/**
 * On a worker, where the coordinator has the schema as declared and Citus did not carry it over: it was made with
 * citus.enable_ddl_propagation off, or changed on the worker alone.
 */
export function diffWorkerSchemas(
  wanted: DatabaseSpec,
  coordinator: readonly ObservedSchema[],
  observed: readonly ObservedSchema[],
  worker: NodeSpec,
): readonly Change[] {
  return wanted.schemas.flatMap((schema): Change[] => {
    const owner = schema.owner ?? wanted.owner;
    const is = ({ name }: ObservedSchema) => name === schema.name;
    if (coordinator.find(is)?.owner !== owner) return [];
    const existing = observed.find(is);
    if (existing?.owner === owner) return [];
    const name = quoteIdentifier(schema.name);
    const role = quoteIdentifier(owner);
    const change = { kind: 'change', node: worker, scope: 'database', secret: false, doneOnRetry: [] } as const;
    const alone = { text: 'SET LOCAL citus.enable_ddl_propagation = off' };
    if (existing === undefined) {
      return [
        {
          ...change,
          creates: true,
          ...wording('create', `schema ${name} owned by ${role}, as on the coordinator`),
          statements: [alone, { text: `CREATE SCHEMA ${name} AUTHORIZATION ${role}` }],
          failure: `Failed to create schema '${schema.name}'`,
          doneOnRetry: [SQLSTATE.duplicateSchema],
        },
      ];
    }
    return [
      {
        ...change,
        ...wording(
          'change',
          `the owner of schema ${name} from ${quoteIdentifier(existing.owner)} to ${role}, as on the coordinator`,
        ),
        statements: [alone, { text: `ALTER SCHEMA ${name} OWNER TO ${role}` }],
        failure: `Failed to change the owner of schema '${schema.name}'`,
      },
    ];
  });
}
