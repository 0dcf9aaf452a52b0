import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { type OfExtensions, ofExtensions } from './extensionSchema.ts';
import { mayHold } from './held.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { OWN_SCHEMA } from './ownTable.ts';

/** Privileges by the name of the role that has them. */
export type Grants = Readonly<Record<string, readonly string[]>>;

export interface ObservedDatabaseGrants {
  /** What PUBLIC may do with the database. */
  readonly forPublic: readonly string[];
  /** Of every role, for owners of tables are not known beforehand. */
  readonly grants: Grants;
}

export interface ObservedRelation {
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind: S is a sequence, everything else here is granted like a table. */
  readonly kind: string;
  readonly owner: string;
  readonly grants: Grants;
  /** Who may MAINTAIN it and should not (maintain.ts). Absent: nobody. */
  readonly maintainers?: readonly string[];
}

export interface ObservedSchemaAccess {
  readonly name: string;
  readonly owner: string;
  readonly grants: Grants;
  /** null: it has no extension of a superuser, or is somebody else's. Absent: not observed. */
  readonly ofExtensions?: OfExtensions | null;
}

/** `"schema"."name"`, for a statement. */
export function relationName({ schema, name }: ObservedRelation): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** Who may do what in one database of one node; grants only of roles that were asked for. */
export interface ObservedAccess {
  readonly schemas: readonly ObservedSchemaAccess[];
  readonly relations: readonly ObservedRelation[];
  readonly defaults: readonly ObservedDefaults[];
  /** All roles whose tables get no code of users attached. Absent: not observed. */
  readonly superusers?: readonly string[];
}

/** A row of pg_default_acl that holds in the whole database; kind is r, S or n. */
export interface ObservedDefaults {
  readonly role: string;
  readonly kind: string;
  readonly grants: Grants;
  readonly maintainers?: readonly string[];
}

export function observeDatabaseGrants(database: string): Fragment {
  const acl = "coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))";
  return {
    key: 'databaseGrants',
    value: `(SELECT pg_catalog.jsonb_build_object(
        'forPublic', (SELECT coalesce(pg_catalog.jsonb_agg(a.privilege_type ORDER BY a.privilege_type), '[]')
           FROM pg_catalog.aclexplode(${acl}) a WHERE a.grantee = 0),
        'grants', ${grantsOf(acl, 'every role')})
      FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(database)})`,
  };
}

/** As it is sent: relations with the same rights together, since with many users their rights are most of it. */
export interface SentAccess extends Omit<ObservedAccess, 'relations'> {
  readonly relations: readonly {
    readonly grants: Grants;
    readonly maintainers?: readonly string[];
    readonly relations: readonly (readonly [schema: string, name: string, kind: string, owner: string])[];
  }[];
}

export function readAccess({ relations, ...rest }: SentAccess): ObservedAccess {
  const all = relations.flatMap(({ grants, maintainers = [], relations: alike }) =>
    alike.map(([schema, name, kind, owner]) => ({ schema, name, kind, owner, grants, maintainers })),
  );
  const byName = (a: ObservedRelation, b: ObservedRelation) => compare(a.schema, b.schema) || compare(a.name, b.name);
  return { ...rest, relations: all.toSorted(byName) };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Shards do not show: Citus hides them from catalog queries (citus.override_table_visibility). */
export function observeAccess(users: readonly string[]): Fragment {
  const schemas = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> '${OWN_SCHEMA}'
        AND ${notOfExtension('pg_namespace', 'n.oid')}`;
  return {
    key: 'access',
    value: `pg_catalog.jsonb_build_object(
      'schemas', ${jsonRows(`
        SELECT n.nspname AS name, pg_catalog.pg_get_userbyid(n.nspowner) AS owner, ${grantsOf('n.nspacl', users)} AS grants,
               ${ofExtensions(granteeIn(users))} AS "ofExtensions"
        FROM pg_catalog.pg_namespace n WHERE ${schemas} ORDER BY n.nspname`)},
      'relations', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'grants', ${grantsOf('g.relacl', users)}, 'maintainers', ${maintainersOf('g.relacl', 'g.relowner', granteeIn(users))},
            'relations', g.relations)), '[]')
        FROM (SELECT c.relacl, c.relowner, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
                n.nspname, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner))) AS relations
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${schemas} AND ${notOfExtension('pg_class', 'c.oid')}
          GROUP BY c.relacl, c.relowner) g),
      'defaults', ${jsonRows(`
        SELECT pg_catalog.pg_get_userbyid(f.defaclrole) AS role, f.defaclobjtype AS kind,
               ${grantsOf('f.defaclacl', users)} AS grants,
               ${maintainersOf('f.defaclacl', 'f.defaclrole', granteeIn(users))} AS maintainers
        FROM pg_catalog.pg_default_acl f WHERE f.defaclnamespace = 0`)},
      'superusers', (SELECT coalesce(pg_catalog.jsonb_agg(s.rolname ORDER BY s.rolname), '[]')
        FROM pg_catalog.pg_roles s WHERE s.rolsuper))`,
  };
}

/** Roles that own a distributed table: as a member of them Citus moves its shards. */
export function observeTableOwners(): Fragment {
  return {
    key: 'tableOwners',
    when: `pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL AND ${mayHold('tables')}`,
    value: `(SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.pg_get_userbyid(c.relowner)), '[]')
      FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid)`,
  };
}

function grantsOf(acl: string, roles: readonly string[] | 'every role'): string {
  const asked = roles === 'every role' ? '' : granteeIn(roles);
  return `(SELECT coalesce(pg_catalog.jsonb_object_agg(g.grantee, g.privileges), '{}') FROM (
      SELECT pg_catalog.pg_get_userbyid(a.grantee) AS grantee, pg_catalog.jsonb_agg(a.privilege_type) AS privileges
      FROM pg_catalog.aclexplode(${acl}) a
      WHERE a.grantee <> 0 ${asked}
      GROUP BY 1) g)`;
}

/** Who of those that are `asked` for may MAINTAIN, by a grant that may be taken back, what a superuser owns (maintain.ts). */
function maintainersOf(acl: string, owner: string, asked: string): string {
  return `(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.pg_get_userbyid(a.grantee)), '[]') FROM pg_catalog.aclexplode(${acl}) a
      WHERE a.privilege_type = 'MAINTAIN' AND a.grantor = ${owner} AND a.grantee <> 0 ${asked}
        AND pg_catalog.pg_has_role(${owner}, 'USAGE')
        AND EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = ${owner} AND (s.rolsuper OR s.rolname = current_user)))`;
}

function granteeIn(roles: readonly string[]): string {
  return `AND pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text = ANY (${textArray(roles)})`;
}

function notOfExtension(catalog: string, oid: string): string {
  return `NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass
        AND e.objid = ${oid} AND e.deptype = 'e')`;
}
