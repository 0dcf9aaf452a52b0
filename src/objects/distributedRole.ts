import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { entryOf } from './entryOf.ts';
import { copyMembership, type ObservedMemberships } from './membership.ts';
import { type Fragment, textArray } from './observe.ts';
import { diffRoleCopy, type ObservedRole } from './role.ts';
import { wording } from './wording.ts';

/**
 * Roles that Citus manages in a database: those in pg_dist_object. When a command mentions a role that is not there,
 * Citus sends the role to the workers first, with its verifier, as text that their logs may keep (Citus:
 * commands/role.c, GenerateCreateOrAlterRoleCommand()). Roles that this program has made on every node are entered by
 * itself, so nothing is sent; Citus then also gives them to nodes that somebody adds by hand.
 */
export function observeDistributedRoles(): Fragment {
  return {
    key: 'distributedRoles',
    when: "pg_catalog.to_regclass('pg_catalog.pg_dist_object') IS NOT NULL",
    value: `(SELECT coalesce(pg_catalog.jsonb_agg(r.rolname), '[]') FROM pg_catalog.pg_dist_object o
      JOIN pg_catalog.pg_roles r ON r.oid = o.objid WHERE o.classid = 'pg_catalog.pg_authid'::pg_catalog.regclass)`,
  };
}

export function diffDistributedRoles(
  roles: readonly string[],
  observed: readonly string[],
  node: NodeSpec,
): readonly Change[] {
  const missing = roles.filter((role) => !observed.includes(role));
  if (missing.length === 0) return [];
  return [
    {
      ...{ kind: 'change', node, scope: 'database', doneOnRetry: [], secret: false },
      creates: true,
      ...wording('enter', `in pg_dist_object, as known to every node: ${missing.map(quoteIdentifier).join(', ')}`),
      statements: [
        {
          text: `INSERT INTO pg_catalog.pg_dist_object (classid, objid, objsubid)
            SELECT 'pg_catalog.pg_authid'::pg_catalog.regclass, r.oid, 0 FROM pg_catalog.pg_roles r
            WHERE r.rolname::pg_catalog.text = ANY (${textArray(missing)}) ON CONFLICT DO NOTHING`,
        },
      ],
      failure: 'Failed to enter roles in pg_dist_object',
    },
  ];
}

/**
 * The roles that Citus would make on a node while it is added or synced: made by us instead, for the same reason. They
 * may have been created by initSQL or by hand, and tables may carry rights for them.
 */
export function diffManagedRoles(
  wanted: { readonly roles: readonly ObservedRole[]; readonly memberships: ObservedMemberships },
  observed: { readonly roles: readonly ObservedRole[]; readonly memberships: ObservedMemberships },
  node: NodeSpec,
  label: string,
  /** Who may be a member of a role. undefined: not asked. */
  membersOf?: (role: string) => Iterable<string>,
): readonly Change[] {
  const copies = wanted.roles.flatMap((role) =>
    diffRoleCopy(role, observed.roles, node, label, membersOf?.(role.name)),
  );
  const grants = wanted.roles.flatMap(({ name }) =>
    (entryOf(wanted.memberships, name) ?? [])
      // A group that is not there (nobody's business so far) is left out: its name would only end the run.
      .filter(({ group }) => group.startsWith('pg_') || wanted.roles.some((role) => role.name === group))
      .flatMap((membership): readonly Change[] => {
        const { group } = membership;
        const existing = entryOf(observed.memberships, name)?.find((candidate) => candidate.group === group);
        const text = copyMembership(name, membership, existing);
        if (text === undefined) return [];
        return [
          {
            ...{ kind: 'change', node, scope: 'server', doneOnRetry: [], secret: false },
            ...(existing === undefined
              ? wording('make', `role ${quoteIdentifier(name)} a member of ${quoteIdentifier(group)}`)
              : wording('align', `the membership of role ${quoteIdentifier(name)} in ${quoteIdentifier(group)}`)),
            statements: [{ text }],
            failure: `Failed to make role ${quoteLiteral(name)} a member of ${quoteLiteral(group)}`,
          },
        ];
      }),
  );
  return [...copies, ...grants];
}
