import { describe, expect, test } from 'vitest';
import type { ObservedMembership } from '../../../src/objects/membership.ts';
import type { ObservedRole } from '../../../src/objects/role.ts';
import { diffUser, groupProblems, rolesOf, userProblems, wantedUser } from '../../../src/objects/user.ts';
import { scramVerifier } from '../../../src/postgres/scram.ts';
import type { DatabaseSpec, NodeSpec, UserSpec } from '../../../src/spec/types.ts';
import { database } from '../spec/support.ts';

const node: NodeSpec = { group: 1, host: 'w', port: 5432, nodeName: 'w', nodePort: 5432 };
const SALT = Buffer.alloc(16, 7);
const STORED = scramVerifier('secret', Buffer.alloc(16, 1));

const role = (name: string, more: Partial<ObservedRole> = {}): ObservedRole => ({
  ...{ name, superuser: false, inherit: true, createRole: false, createDatabase: false, login: true },
  ...{ replication: false, bypassRls: false, connectionLimit: -1, verifier: STORED },
  ...more,
});

function declared(fields: string): { readonly db: DatabaseSpec; readonly user: UserSpec } {
  const db = database(`{ name: d, users: [{ name: u, access: readOnly${fields} }] }`);
  const [user] = db.users;
  if (user === undefined) throw new Error('Expected a user');
  return { db, user };
}

function wanted(fields: string, password: string | undefined, coordinator: ObservedRole | undefined) {
  const { db, user } = declared(fields);
  return wantedUser(user, db, password, coordinator, SALT);
}

describe('the verifier', () => {
  test("is the coordinator's as long as it is one of the password", () => {
    expect(wanted('', 'secret', role('u')).role.verifier).toBe(STORED);
  });

  test.each([
    ['another password', STORED, 'new'],
    ['an md5 hash', `md5${'0'.repeat(32)}`, 'secret'],
    ['nothing', null, 'secret'],
  ])('is made anew instead of %s', (_, verifier, password) => {
    expect(wanted('', password, role('u', { verifier })).role.verifier).toBe(scramVerifier(password, SALT));
  });

  test('stays as it is where no password is declared', () => {
    expect(wanted('', undefined, role('u', { verifier: 'md5x' })).role.verifier).toBe('md5x');
    expect(wanted('', undefined, undefined).role.verifier).toBeNull();
  });
});

describe('diffUser', () => {
  const diff = (
    fields: string,
    coordinator: ObservedRole,
    observed: readonly ObservedRole[],
    groups: readonly ObservedMembership[] = [],
    version = 150_020,
  ) => diffUser(wanted(fields, 'secret', coordinator), observed, { u: groups }, node, version);
  const member = (group: string, more: Partial<ObservedMembership> = {}): ObservedMembership => ({
    ...{ group, admin: false, inherit: null, set: null },
    ...more,
  });
  const grants = (groups: readonly ObservedMembership[], version: number) =>
    diff(', memberOf: [a, b]', role('u'), [role('u')], groups, version).flatMap(({ statements }) =>
      statements.map(({ text }) => text),
    );

  test('nothing to do', () => {
    expect(
      diff(', connectionLimit: 5', role('u', { connectionLimit: 5 }), [role('u', { connectionLimit: 5 })]),
    ).toEqual([]);
  });

  test('a new role: the verifier is a parameter, not part of a text', () => {
    const [create, ...others] = diff(', login: false', role('u'), []);
    expect(others).toEqual([]);
    expect(create).toMatchObject({ secret: true, summary: 'create role "u"', doneOnRetry: ['42710'] });
    expect(create?.statements[0]).toEqual({
      text: "SELECT pg_catalog.set_config('citus_databases.verifier', $1, true)",
      values: [STORED],
    });
    expect(create?.statements[1]?.text).toContain(
      'CREATE ROLE "u" WITH INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT -1 PASSWORD %L',
    );
    expect(create?.statements[1]?.text).not.toContain(STORED);
  });

  test("a worker's own verifier of the same password gives way to the coordinator's", () => {
    const other = scramVerifier('secret', Buffer.alloc(16, 9));
    const changes = diff('', role('u'), [role('u', { verifier: other })]);
    expect(changes.map(({ summary }) => summary)).toEqual(['change the password of role "u"']);
    expect(changes[0]?.statements[0]?.values).toEqual([STORED]);
  });

  test('other attributes without the password', () => {
    const [alter] = diff(', login: false, connectionLimit: 7', role('u'), [role('u')]);
    expect(alter?.statements).toEqual([{ text: 'ALTER ROLE "u" WITH NOLOGIN CONNECTION LIMIT 7' }]);
    expect(alter?.summary).toBe('alter role "u" (NOLOGIN, CONNECTION LIMIT 7)');
  });

  test('memberships that are missing; others stay', () => {
    expect(grants([member('b'), member('c')], 150_020)).toEqual(['GRANT "a" TO "u"']);
    const given = { inherit: true, set: true };
    expect(grants([member('b', given)], 160_000)).toEqual(['GRANT "a" TO "u" WITH INHERIT TRUE, SET TRUE']);
  });

  test.each([
    ['ADMIN alone', { admin: true, inherit: false, set: false }],
    ['SET without INHERIT', { inherit: false, set: true }],
    ['INHERIT without SET', { inherit: true, set: false }],
  ])('a membership that gives no rights is none: %s', (_, options) => {
    const groups = [member('a', { inherit: true, set: true }), member('b', options)];
    expect(grants(groups, 180_000)).toEqual(['GRANT "b" TO "u" WITH INHERIT TRUE, SET TRUE']);
  });

  test('names with every kind of quote', () => {
    const name = `a"b'c\\%`;
    const db = database(`{ name: d, users: [{ name: ${JSON.stringify(name)}, access: all }] }`);
    const [user] = db.users;
    if (user === undefined) throw new Error('Expected a user');
    const [create] = diffUser(wantedUser(user, db, 'secret', undefined, SALT), [], {}, node, 150_020);
    expect(create?.summary).toBe(`create role "a""b'c\\%"`);
    expect(create?.statements[1]?.text).toContain('%%');
  });
});

describe('access owner', () => {
  const db = database('{ name: d, owner: boss, users: [{ name: u, access: owner, memberOf: [g] }] }');

  test('whoever is not the owner becomes a member of it', () => {
    const [user] = db.users;
    if (user === undefined) throw new Error('Expected a user');
    expect(wantedUser(user, db, 'secret', role('u'), SALT).groups).toEqual(['g', 'boss']);
    expect(rolesOf(db)).toEqual(['boss', 'u', 'g']);
  });

  test('problems: a group that is missing, one that is a superuser; a missing owner is told elsewhere', () => {
    expect(groupProblems(db, [], 'c').map(({ kind, what }) => [kind, what])).toEqual([
      ['invalid', "Role 'g', which 'u' is to be a member of, does not exist"],
    ]);
    expect(
      groupProblems(db, [role('g'), role('boss', { superuser: true })], 'c').map(({ kind, what }) => [kind, what]),
    ).toEqual([['refused', "Role 'boss', which 'u' is to be a member of, is a superuser"]]);
    expect(userProblems(db.users, [role('u', { superuser: true })], 'c')).toMatchObject([
      { kind: 'refused', node: 'c' },
    ]);
    expect(userProblems(db.users, [role('u')], 'c')).toEqual([]);
  });
});
