import { describe, expect, test } from 'vitest';
import { diffManagedRoles } from '../../../src/objects/distributedRole.ts';
import { allowedMembers, confirmedMembers, type ObservedMembership } from '../../../src/objects/membership.ts';
import { role, sqlOf, W1 } from '../reconcile/situations.ts';

/** Memberships of roles that nobody declares, as a worker that joins gets them. */

const member = (options: Partial<ObservedMembership>): ObservedMembership => ({
  ...{ group: 'office', admin: false, inherit: true, set: true },
  ...options,
});
const OLD = { inherit: null, set: null } as const;

function copied(wanted: ObservedMembership, observed: readonly ObservedMembership[] = []): readonly string[] {
  const roles = [role('clerk'), role('office')];
  const known = { roles, memberships: { clerk: [wanted] } };
  return diffManagedRoles(known, { roles, memberships: { clerk: observed } }, W1, 'w1').flatMap(sqlOf);
}

describe('from PostgreSQL 16 on', () => {
  test.each([
    ['the usual', {}, 'ADMIN FALSE, INHERIT TRUE, SET TRUE'],
    ['ADMIN alone', { admin: true, inherit: false, set: false }, 'ADMIN TRUE, INHERIT FALSE, SET FALSE'],
    ['SET alone', { inherit: false }, 'ADMIN FALSE, INHERIT FALSE, SET TRUE'],
  ])('%s keeps its options', (_, options, sql) => {
    expect(copied(member(options))).toEqual([`GRANT "office" TO "clerk" WITH ${sql}`]);
    expect(copied(member(options), [member(options)])).toEqual([]);
  });

  test('options that differ are aligned, downwards too', () => {
    const little = member({ inherit: false, set: false });
    expect(copied(little, [member({ admin: true })])).toEqual([
      'GRANT "office" TO "clerk" WITH ADMIN FALSE, INHERIT FALSE, SET FALSE',
    ]);
    expect(copied(member({}), [little])).toEqual([
      'GRANT "office" TO "clerk" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE',
    ]);
  });
});

describe('before PostgreSQL 16', () => {
  test('there is ADMIN alone', () => {
    expect(copied(member(OLD))).toEqual(['GRANT "office" TO "clerk"']);
    expect(copied(member({ ...OLD, admin: true }))).toEqual(['GRANT "office" TO "clerk" WITH ADMIN OPTION']);
    expect(copied(member({ ...OLD, admin: true }), [member(OLD)])).toEqual([
      'GRANT "office" TO "clerk" WITH ADMIN OPTION',
    ]);
    expect(copied(member(OLD), [member({ ...OLD, admin: true })])).toEqual([
      'REVOKE ADMIN OPTION FOR "office" FROM "clerk"',
    ]);
    expect(copied(member(OLD), [member(OLD)])).toEqual([]);
  });
});

describe('who may be a member of a role on a worker', () => {
  const declared = new Map([
    ['clerk', ['office']],
    ['trainee', ['clerk']],
    ['guest', []],
  ]);

  test.each([
    ['office', {}, ['clerk', 'trainee']],
    ['clerk', {}, ['trainee']],
    ['guest', {}, []],
    ['guest', { guest: ['dba'] }, ['dba']],
    // Members of members, as the coordinator has them.
    ['office', { clerk: ['dba'], office: ['board'] }, ['board', 'clerk', 'dba', 'trainee']],
    // A role that only the coordinator knows, with a declared member.
    ['guest', { guest: ['clerk'] }, ['clerk', 'trainee']],
  ])('%s, where the coordinator has %j', (name, onCoordinator, expected) => {
    expect([...allowedMembers(name, onCoordinator, declared)].toSorted()).toEqual(expected);
  });
});

test('a role that somebody else made meanwhile: its members are asked for on the second attempt', () => {
  expect(confirmedMembers('app', undefined)).toEqual({});
  expect(confirmedMembers('app', ['boss']).confirm).toContain("<> ALL (ARRAY['boss']::pg_catalog.text[])");
});
