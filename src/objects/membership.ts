import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { Problem } from './change.ts';
import { entryOf } from './entryOf.ts';
import { dollarQuote, type Fragment, textArray } from './observe.ts';

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
    when: someIn('member', roles),
    otherwise: NONE,
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

/**
 * Who may act as each role, or let others act as it, directly or through other roles. Without superusers, who may do
 * everything anyway, and without PostgreSQL's own roles.
 */
export type ObservedMembers = Readonly<Record<string, readonly string[]>>;

export function observeMembers(roles: readonly string[]): Fragment {
  const asked = roles.filter((name) => !name.startsWith('pg_'));
  return {
    key: 'members',
    when: someIn('roleid', asked),
    otherwise: NONE,
    value: `(WITH RECURSIVE ${membersOf(asked)}
      SELECT coalesce(pg_catalog.jsonb_object_agg(found.role, found.members), '{}') FROM (
        SELECT m.role, pg_catalog.jsonb_agg(m.member ORDER BY m.member) AS members FROM members m GROUP BY m.role) found)`,
  };
}

const NONE = "'{}'::pg_catalog.jsonb";

/** SQL condition: there is a membership at all. Most servers have those of PostgreSQL's own roles alone. */
function someIn(column: 'member' | 'roleid', roles: readonly string[]): string {
  if (roles.length === 0) return 'false';
  return `EXISTS (SELECT FROM pg_catalog.pg_auth_members m
      WHERE pg_catalog.pg_get_userbyid(m.${column})::pg_catalog.text = ANY (${textArray(roles)}))`;
}

/**
 * WITH queries up to `members (role, member)`. A membership without any option gives nothing. One with ADMIN alone, which
 * the creator of a role gets since PostgreSQL 16, counts: its holder can grant the rest (PostgreSQL, "Role Membership").
 */
function membersOf(roles: readonly string[]): string {
  const option = (name: string) => `coalesce((pg_catalog.to_jsonb(m)->>'${name}')::pg_catalog.bool, true)`;
  const gives = `(m.admin_option OR ${option('inherit_option')} OR ${option('set_option')})`;
  return `reaches (role, member) AS (
        SELECT g.oid, m.member FROM pg_catalog.pg_roles g JOIN pg_catalog.pg_auth_members m ON m.roleid = g.oid
        WHERE g.rolname::pg_catalog.text = ANY (${textArray(roles)}) AND ${gives}
        UNION
        SELECT r.role, m.member FROM reaches r JOIN pg_catalog.pg_roles g ON g.oid = r.member AND NOT g.rolsuper
          JOIN pg_catalog.pg_auth_members m ON m.roleid = g.oid WHERE ${gives}),
      members (role, member) AS (
        SELECT g.rolname, m.rolname FROM reaches r JOIN pg_catalog.pg_roles g ON g.oid = r.role
          JOIN pg_catalog.pg_roles m ON m.oid = r.member WHERE NOT m.rolsuper)`;
}

/** What every node may have: members on the coordinator, and declared ones (by user, what it is a member of). */
export function allowedMembers(
  role: string,
  onCoordinator: ObservedMembers,
  declared: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const allowed = new Set<string>();
  // A set that grows while it is walked: each name in it brings its own members.
  const reached = new Set([role]);
  for (const name of reached) {
    const users = [...declared].flatMap(([user, groups]) => (groups.includes(name) ? [user] : []));
    for (const member of [...(entryOf(onCoordinator, name) ?? []), ...users]) {
      reached.add(member);
      allowed.add(member);
    }
  }
  return allowed;
}

/**
 * Whoever has CREATEROLE on a worker may make a role there before this program does, and is its member by that: what the
 * role is given from then on, is given to this member as well.
 */
export function memberProblem(role: string, members: readonly string[], node: string): Problem {
  return {
    kind: 'refused',
    what: `Role '${role}' has members that nobody declared, and that the coordinator does not have: ${members.join(', ')}`,
    node,
    next: `Revoke the role on that node: ${revoke(role, members)}. Where they are to be members, grant it on the coordinator too, or declare it in memberOf`,
  };
}

export function revoke(role: string, members: readonly string[]): string {
  // CASCADE: what such a member has granted, to itself too, goes with it.
  return `REVOKE ${quoteIdentifier(role)} FROM ${members.map(quoteIdentifier).join(', ')} CASCADE`;
}

/** The same, asked in the transaction in which the role is altered. `why`: as in "WHY members of role …". */
export function assertMembers(role: string, allowed: Iterable<string>, why: string): string {
  const message = quoteLiteral(`${why} members of role % on this node: %`);
  return `DO ${dollarQuote(`DECLARE strangers pg_catalog.text := (WITH RECURSIVE ${membersOf([role])}
      SELECT pg_catalog.string_agg(pg_catalog.quote_ident(m.member), ', ' ORDER BY m.member) FROM members m
      WHERE m.member::pg_catalog.text <> ALL (${textArray([...allowed])}));
BEGIN
  IF strangers IS NOT NULL THEN
    RAISE EXCEPTION ${message}, pg_catalog.quote_ident(${quoteLiteral(role)}), strangers
      USING HINT = 'Revoke the role from them there.';
  END IF;
END`)}`;
}

/** For CREATE ROLE, where the role is there on a second attempt: somebody else may have made it meanwhile. */
export function confirmedMembers(role: string, allowed: Iterable<string> | undefined): { readonly confirm?: string } {
  return allowed === undefined ? {} : { confirm: assertMembers(role, allowed, 'Nobody declared the') };
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
