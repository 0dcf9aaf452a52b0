import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { DatabaseSpec, ExtensionSpec, NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { PIN_SEARCH_PATH } from './observe.ts';
import { OF_SUPERUSER } from './openSchemas.ts';
import { wording } from './wording.ts';

/**
 * Extensions whose functions look up names in the schema of the extension, whoever calls them, and that a daemon calls as
 * superuser: with the schema in which their documentation puts them. pg_partman: src/pg_partman_bgw.c calls run_maintenance(),
 * which sets search_path to the extension's schema.
 */
export const OWN_SCHEMAS: ReadonlyMap<string, string> = new Map([['pg_partman', 'partman']]);

export interface PlacedExtension extends ExtensionSpec {
  /** It is made only in a schema in which superusers alone can have made anything. */
  readonly alone?: boolean;
}

/**
 * Where others may create objects in `public`, such an extension does not go there, unless it is declared so. Nodes agree: a
 * worker follows the coordinator.
 */
export function placeExtensions<Wanted extends ExtensionSpec>(
  wanted: readonly Wanted[],
  onCoordinator: readonly { readonly name: string; readonly schema: string }[],
  database: DatabaseSpec,
  /** `shared`: by the spec alone, which is the same for all nodes. */
  { superuser, shared }: { readonly superuser: string; readonly shared: boolean },
): readonly (Wanted & PlacedExtension)[] {
  return wanted.map((extension) => {
    const own = OWN_SCHEMAS.get(extension.name);
    if (own === undefined || !shared) return extension;
    const there = onCoordinator.find(({ name }) => name === extension.name)?.schema;
    const schema = extension.schema ?? there ?? own;
    const ofOthers = database.schemas.some(
      ({ name, owner }) => name === schema && owner !== undefined && owner !== superuser,
    );
    return { ...extension, schema, alone: schema !== 'public' && !ofOthers };
  });
}

export const SEARCH_PATH_PUBLIC = 'SET LOCAL search_path = public';

/** By SQLSTATE. */
export const NEXT_NOT_ALONE = {
  [SQLSTATE.objectNotInPrerequisiteState]:
    'On each node, rename that schema, or take CREATE on it from others and drop what they made in it; or declare another `schema` for the extension',
};

/** Makes the schema, and with `alone` makes sure of it. */
export function schemaStatements({ schema, alone = false }: PlacedExtension): readonly string[] {
  if (schema === undefined) return [];
  const create = `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`;
  return alone ? [PIN_SEARCH_PATH, create, assertAlone(schema), SEARCH_PATH_PUBLIC] : [create];
}

/** In the transaction that made the schema, or finds it: what default privileges have given on a new one is taken back. */
function assertAlone(schema: string): string {
  const name = quoteIdentifier(schema);
  return `DO ${quoteLiteral(`
DECLARE
  given record;
  propagation text := current_setting('citus.enable_ddl_propagation', true);
BEGIN
  PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
  FOR given IN
    SELECT DISTINCT pg_get_userbyid(a.grantee) AS grantee FROM pg_namespace n, aclexplode(n.nspacl) a
    WHERE n.nspname = ${quoteLiteral(schema)} AND n.xmin = pg_current_xact_id()::xid
      AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (0, n.nspowner)
  LOOP
    EXECUTE format('REVOKE CREATE ON SCHEMA ${name.replaceAll('%', '%%')} FROM %I', given.grantee);
  END LOOP;
  PERFORM set_config('citus.enable_ddl_propagation', coalesce(propagation, ''), true);
  IF EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = ${quoteLiteral(schema)}
    AND (NOT ${OF_SUPERUSER('n.nspowner')}
      OR EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.privilege_type = 'CREATE' AND NOT ${OF_SUPERUSER('a.grantee')})
      OR EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = n.oid AND NOT ${OF_SUPERUSER('p.proowner')})
      OR EXISTS (SELECT FROM pg_operator o WHERE o.oprnamespace = n.oid AND NOT ${OF_SUPERUSER('o.oprowner')}))) THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = ${quoteLiteral(`schema ${name} is not the superuser's alone: others own it, may create objects in it, or have made functions or operators in it`)};
  END IF;
END`)}`;
}

/** On a registered worker, before Citus makes the extension there: it is to find no schema of somebody else by that name. */
export function prepareSchema(
  extension: PlacedExtension,
  { node, label }: { readonly node: NodeSpec; readonly label: string },
): Change {
  const statements = ['SET LOCAL citus.enable_ddl_propagation = off', ...schemaStatements(extension)];
  return {
    ...{ kind: 'change', node, scope: 'database', secret: false, doneOnRetry: [] },
    creates: true,
    ...wording('create', `schema ${extension.schema} for extension ${extension.name}`),
    statements: statements.map((text) => ({ text })),
    starting: `Creating schema ${extension.schema} for extension ${extension.name} on ${label}...`,
    failure: `Failed to create the schema of extension ${extension.name} on worker`,
    nextOn: NEXT_NOT_ALONE,
  };
}

/** Of a schema that belongs to a superuser, as do extensions in it. `public` is left out. */
export interface OfExtensions {
  readonly names: readonly string[];
  /** Users whom its owner let create objects there. */
  readonly creators: readonly string[];
}

/** SQL expression of type jsonb for the schema `n`; NULL for another one. `asked`: a condition for `a.grantee`. */
export function ofExtensions(asked: string): string {
  return `(SELECT pg_catalog.jsonb_build_object('names', pg_catalog.jsonb_agg(x.extname), 'creators',
        (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.pg_get_userbyid(a.grantee)), '[]')
         FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.privilege_type = 'CREATE' AND a.grantor = n.nspowner ${asked}))
      FROM pg_catalog.pg_extension x WHERE x.extnamespace = n.oid AND n.nspname <> 'public'
        AND ${OF_SUPERUSER('n.nspowner')} AND ${OF_SUPERUSER('x.extowner')} HAVING pg_catalog.count(*) > 0)`;
}

/**
 * Nobody is to create objects there: the functions of extensions, and the scripts of their updates, look up names in it. A
 * schema that is declared is the application's, unless it is declared as the superuser's.
 */
export function isForExtensionsAlone(
  schema: { readonly name: string; readonly ofExtensions?: OfExtensions | null },
  database: DatabaseSpec,
  superuser: string | undefined,
): boolean {
  const names = schema.ofExtensions?.names ?? [];
  const declared = database.schemas.find(({ name }) => name === schema.name);
  const ofApplication = declared !== undefined && (declared.owner === undefined || declared.owner !== superuser);
  return ofApplication ? names.some((name) => OWN_SCHEMAS.has(name)) : names.length > 0;
}
