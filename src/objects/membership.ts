import { quoteIdentifier } from '../postgres/quote.ts';
import { type Fragment, textArray } from './observe.ts';

/**
 * One role in another, with the options of the grant (PostgreSQL documentation, GRANT, "GRANT on Roles"). Before
 * PostgreSQL 16 there is ADMIN alone: the role's own INHERIT decides for all of its memberships, and SET is always there.
 */
export interface ObservedMembership {
  readonly group: string;
  readonly admin: boolean;
  /** null before PostgreSQL 16. */
  readonly inherit: boolean | null;
  readonly set: boolean | null;
}

/** What each role is a member of, directly. */
export type ObservedMemberships = Readonly<Record<string, readonly ObservedMembership[]>>;

/** Several grantors may each have given a part: together they are what the member has. */
export function observeMemberships(roles: readonly string[]): Fragment {
  const option = (name: string) => `pg_catalog.bool_or((pg_catalog.to_jsonb(m)->>'${name}')::pg_catalog.bool)`;
  return {
    key: 'memberships',
    value: `(SELECT coalesce(pg_catalog.jsonb_object_agg(found.member, found.groups), '{}') FROM (
      SELECT given.member, pg_catalog.jsonb_agg(given.membership ORDER BY given.role) AS groups FROM (
        SELECT pg_catalog.pg_get_userbyid(m.member) AS member, pg_catalog.pg_get_userbyid(m.roleid) AS role,
               pg_catalog.jsonb_build_object('group', pg_catalog.pg_get_userbyid(m.roleid),
                 'admin', ${option('admin_option')}, 'inherit', ${option('inherit_option')},
                 'set', ${option('set_option')}) AS membership
        FROM pg_catalog.pg_auth_members m
        WHERE pg_catalog.pg_get_userbyid(m.member)::pg_catalog.text = ANY (${textArray(roles)})
        GROUP BY m.member, m.roleid) given
      GROUP BY given.member) found)`,
  };
}

/** First PostgreSQL in which INHERIT and SET belong to each membership. */
const WITH_OPTIONS = 160_000;

/** Whether the member may use the group's rights and become the group. One with ADMIN alone may do neither. */
export function givesRights({ inherit, set }: ObservedMembership): boolean {
  return inherit !== false && set !== false;
}

/** A declared membership: with the rights that the word promises, whatever the role's own INHERIT says. */
export function grantMembership(groups: readonly string[], member: string, serverVersion: number): string {
  const options = serverVersion < WITH_OPTIONS ? '' : ' WITH INHERIT TRUE, SET TRUE';
  return `GRANT ${groups.map(quoteIdentifier).join(', ')} TO ${quoteIdentifier(member)}${options}`;
}

/** The same membership as another node has it; undefined: there is nothing to do. */
export function copyMembership(
  member: string,
  wanted: ObservedMembership,
  existing: ObservedMembership | undefined,
): string | undefined {
  if (existing !== undefined && optionsOf(existing) === optionsOf(wanted)) return undefined;
  const names = `${quoteIdentifier(wanted.group)} TO ${quoteIdentifier(member)}`;
  if (wanted.inherit !== null) return `GRANT ${names} WITH ${optionsOf(wanted)}`;
  if (wanted.admin) return `GRANT ${names} WITH ADMIN OPTION`;
  if (existing === undefined) return `GRANT ${names}`;
  return `REVOKE ADMIN OPTION FOR ${quoteIdentifier(wanted.group)} FROM ${quoteIdentifier(member)}`;
}

function optionsOf({ admin, inherit, set }: ObservedMembership): string {
  const option = (name: string, value: boolean | null) =>
    value === null ? [] : [`${name} ${value ? 'TRUE' : 'FALSE'}`];
  return [...option('ADMIN', admin), ...option('INHERIT', inherit), ...option('SET', set)].join(', ');
}
