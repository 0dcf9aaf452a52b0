/** Users that cannot be made: the exit code, the whole message, and that nothing was changed on any node, also for others. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

const test = clusterTest({ workers: 1 })
  .extend('file', { scope: 'file' }, ({ folder }) => (name: string): string => {
    return path.join(folder, name);
  })
  .extend('user', { scope: 'file' }, ({ file }) => (name: string, more: Document = {}): Document => {
    return { name, passwordFile: file('good'), access: 'readOnly', ...more };
  })
  .extend('apply', { scope: 'file' }, ({ cluster }) => async (databases: readonly Document[], more: Document = {}) => {
    return await runProgram(cluster, ['apply'], specOf(cluster, databases, { cluster: more }));
  })
  /** Everything that declared users touch, on every node. */
  .extend('catalog', { scope: 'file' }, ({ cluster }) => async (): Promise<unknown> => {
    const found = [];
    for (const { group } of cluster.nodes) {
      found.push(
        await query(
          cluster,
          group,
          'postgres',
          `SELECT (SELECT json_agg(d ORDER BY oid) FROM (SELECT oid, datname, datdba, datacl::text FROM pg_database) d) AS databases,
                (SELECT json_agg(r ORDER BY oid) FROM pg_authid r) AS roles,
                (SELECT json_agg(m ORDER BY roleid, member) FROM pg_auth_members m) AS members,
                (SELECT json_agg(s ORDER BY setdatabase, setrole) FROM pg_db_role_setting s) AS settings`,
        ),
        await query(
          cluster,
          group,
          'existing',
          `SELECT (SELECT json_agg(a ORDER BY nodeid, rolename) FROM pg_dist_authinfo a) AS authinfo,
                (SELECT json_agg(d ORDER BY oid) FROM pg_default_acl d) AS defaults,
                (SELECT json_agg(n ORDER BY oid) FROM (SELECT oid, nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_') n) AS schemas`,
        ),
      );
    }
    return found;
  });

test.beforeAll(async ({ cluster, file, user, apply }) => {
  const passwords = {
    good: 'password of good',
    other: 'password of other',
    empty: '\n',
    lines: 'one\ntwo\n',
    binary: '\xff\xfe',
  };
  for (const [name, content] of Object.entries(passwords)) {
    await writeFile(file(name), content, { encoding: 'latin1', mode: 0o600 });
  }
  const made = await apply([{ name: 'existing', users: [user('good', { access: 'owner' })] }]);
  expect({ code: made.code, log: made.log }).toMatchObject({ code: 0 });
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', 'CREATE ROLE boss SUPERUSER; CREATE ROLE bosses; GRANT boss TO bosses');
  }
});

interface Given {
  readonly folder: string;
  readonly file: (name: string) => string;
  readonly user: (name: string, more?: Document) => Document;
}

interface Case {
  readonly databases: readonly Document[];
  readonly cluster?: Document;
  readonly code: 2 | 3;
  readonly says: readonly string[];
}

/** In each of them stands something that could be done beside what cannot: the user `newcomer`, mostly. */
const cases: Readonly<Record<string, (given: Given) => Case>> = {
  'a password file that is missing': ({ file, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('bad', { passwordFile: file('missing') })] }],
    code: 2,
    says: [
      'ERROR: The password of 1 user cannot be read',
      `  Cause: role 'bad': The password file FOLDER/missing cannot be read: ENOENT: no such file or directory, open 'FOLDER/missing'`,
    ],
  }),
  'a password file that is a folder': ({ folder, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('bad', { passwordFile: folder })] }],
    code: 2,
    says: [
      "  Cause: role 'bad': The password file FOLDER cannot be read: EISDIR: illegal operation on a directory, read",
    ],
  }),
  'a password that is empty': ({ file, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('bad', { passwordFile: file('empty') })] }],
    code: 2,
    says: ["  Cause: role 'bad': The password file FOLDER/empty is empty"],
  }),
  'a password of several lines': ({ file, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('bad', { passwordFile: file('lines') })] }],
    code: 2,
    says: ["  Cause: role 'bad': The password file FOLDER/lines holds more than one line"],
  }),
  'a password that is no text': ({ file, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('bad', { passwordFile: file('binary') })] }],
    code: 2,
    says: ["role 'bad': The password file FOLDER/binary cannot be read: The encoded data was not valid"],
  }),
  'one of several databases with such a file: none of them': ({ file, user }) => ({
    databases: [
      { name: 'made', users: [user('newcomer')] },
      { name: 'existing', users: [user('good', { access: 'owner', passwordFile: file('other') })] },
      { name: 'third', users: [user('bad', { passwordFile: file('empty') })] },
    ],
    code: 2,
    says: ['ERROR: The password of 1 user cannot be read'],
  }),
  "the superuser's password file, empty": ({ file, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer')] }],
    cluster: { passwordFile: file('empty') },
    code: 2,
    says: [
      'ERROR: The password file FOLDER/empty is empty',
      '  Next: Put the password, and nothing else, into that file',
    ],
  }),
  "the superuser's password file, of several lines": ({ file, user }) => ({
    databases: [{ name: 'made', users: [user('newcomer')] }],
    cluster: { passwordFile: file('lines') },
    code: 2,
    says: ['ERROR: The password file FOLDER/lines holds more than one line'],
  }),
  'a role that exists as a superuser': ({ user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('boss')] }],
    code: 3,
    says: [
      "ERROR: Database 'made' cannot be made ready: 2 problems",
      "    node0: Role 'boss' exists as a superuser",
      "    node1: Role 'boss' exists as a superuser",
      '. Nothing was changed',
    ],
  }),
  'such a role as an owner': ({ user }) => ({
    databases: [{ name: 'existing', users: [user('newcomer'), user('boss', { access: 'owner' })] }],
    code: 3,
    says: ["    node0: Role 'boss' exists as a superuser", '. Nothing was changed'],
  }),
  'a member of a superuser': ({ user }) => ({
    databases: [{ name: 'made', users: [user('newcomer', { memberOf: ['boss'] })] }],
    code: 3,
    says: ["ERROR: Role 'boss'", '. Nothing was changed'],
  }),
  'one role declared with two passwords': ({ file, user }) => ({
    databases: [
      { name: 'made', users: [user('newcomer')] },
      { name: 'existing', users: [user('newcomer', { passwordFile: file('other') })] },
    ],
    code: 2,
    says: [
      "databases[1].users[0].passwordFile: of role 'newcomer' differs from databases[0].users[0].passwordFile: a role is one and the same in all databases",
    ],
  }),
  'one role declared with different attributes: all differences at once': ({ user }) => ({
    databases: [
      { name: 'made', users: [user('newcomer', { connectionLimit: 3 })] },
      { name: 'existing', users: [user('newcomer', { login: false, memberOf: ['pg_monitor'] })] },
    ],
    code: 2,
    says: ['users[0].login: of role', 'users[0].connectionLimit: of role', 'users[0].memberOf: of role'],
  }),
  "names that are PostgreSQL's, a key word's and the superuser's": ({ user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('pg_mine'), user('public'), user('postgres')] }],
    code: 2,
    says: [
      "databases[0].users[1].name: 'pg_mine' is a reserved role name (names that begin with pg_ belong to PostgreSQL)",
      "databases[0].users[2].name: 'public' is a reserved role name (a key word of PostgreSQL)",
      "databases[0].users[3].name: 'postgres' is cluster.user, the superuser, which is not for this program to change",
    ],
  }),
  'a name of more than 63 bytes': ({ user }) => ({
    databases: [{ name: 'made', users: [user('newcomer'), user('ü'.repeat(32))] }],
    code: 2,
    says: ['databases[0].users[1].name: '],
  }),
};

test.for(Object.entries(cases))('%s', async ([_title, prepare], { folder, cluster, file, user, apply, catalog }) => {
  const { databases, cluster: more = {}, code, says } = prepare({ folder, file, user });
  const before = await catalog();
  const run = await apply(databases, more);
  const text = run.log.replaceAll(folder, 'FOLDER');
  expect({ code: run.code, stderr: run.stderr, text }).toMatchObject({ code, stderr: '' });
  for (const part of says) expect(text).toContain(part);
  // One error, which tells what to do; no step was begun.
  expect(text.match(/^ERROR: /gm)).toHaveLength(1);
  expect(text).toMatch(/^ {2}Next: .+/m);
  expect(text).not.toContain('Step 1: ');
  expect(text).not.toContain('has a defect');
  expect(await catalog()).toEqual(before);
  // plan says so too.
  const planned = await runProgram(cluster, ['plan'], specOf(cluster, databases, { cluster: more }));
  expect({ command: 'plan', code: planned.code }).toEqual({ command: 'plan', code });
});

test('what stood beside them can be made', async ({ user, apply, catalog }) => {
  const before = await catalog();
  const run = await apply([{ name: 'made', users: [user('newcomer')] }]);
  expect({ code: run.code, log: run.log }).toEqual({ code: 0, log: expect.stringContaining("'made' is ready!") });
  expect(await catalog()).not.toEqual(before);
});
