import { describe, expect, test } from 'vitest';
import { database, nodes, parse, problemsOf } from './support.ts';

test('defaults', () => {
  expect(database('{ name: d, users: [{ name: u, access: readOnly }] }').users).toEqual([
    {
      name: 'u',
      passwordFile: undefined,
      access: 'readOnly',
      login: true,
      connectionLimit: undefined,
      memberOf: [],
      parameters: {},
    },
  ]);
});

test('everything that can be given', () => {
  const [user] = database(
    '{ name: d, users: [{ name: u, passwordFile: /p, access: all, login: false, connectionLimit: 3, memberOf: [g, g, pg_monitor], parameters: { Work_Mem: 8MB, jit: false } }] }',
  ).users;
  expect(user).toEqual({
    name: 'u',
    passwordFile: '/p',
    access: 'all',
    login: false,
    connectionLimit: 3,
    memberOf: ['g', 'pg_monitor'],
    parameters: { work_mem: '8MB', jit: 'false' },
  });
});

test('the owner is the first user with access owner, unless one is named', () => {
  const users = 'users: [{ name: r, access: readOnly }, { name: a, access: owner }, { name: b, access: owner }]';
  expect(database(`{ name: d, ${users} }`).owner).toBe('a');
  expect(database(`{ name: d, owner: x, ${users} }`).owner).toBe('x');
  expect(database('{ name: d, users: [{ name: r, access: all }] }').owner).toBe('postgres');
});

describe('one role in two databases', () => {
  const two = (first: string, second: string) =>
    `${nodes}databases: [{ name: a, users: [{ name: u${first} }] }, { name: b, users: [{ name: u${second} }] }]`;

  test.each([
    [', access: all', ', access: readOnly, parameters: { jit: off }'],
    [', access: all, login: true', ', access: all'],
    [', access: all, memberOf: [x, y]', ', access: all, memberOf: [y, x]'],
    [', access: all, passwordFile: /p', ', access: all, passwordFile: /p'],
  ])('is declared alike: %s and %s', (first, second) => {
    expect(parse(two(first, second)).databases).toHaveLength(2);
  });

  test('is declared differently', () => {
    const first = ', access: all, passwordFile: /p, connectionLimit: 1';
    const second = ', access: all, login: false, memberOf: [g]';
    const because = 'a role is one and the same in all databases';
    expect(problemsOf(two(first, second))).toEqual(
      ['passwordFile', 'login', 'connectionLimit', 'memberOf'].map(
        (field) =>
          `databases[1].users[0].${field}: of role 'u' differs from databases[0].users[0].${field}: ${because}`,
      ),
    );
  });
});

test.each([
  ['{ access: all }', ['users[0].name: is required']],
  ['{ name: u }', ['users[0].access: is required']],
  [
    '{ name: u, access: readwrite }',
    ["users[0].access: 'readwrite' is none of owner, all, readWrite, readOnly; did you mean readWrite?"],
  ],
  [
    '{ name: pg_u, access: all }',
    ["users[0].name: 'pg_u' is a reserved role name (names that begin with pg_ belong to PostgreSQL)"],
  ],
  ['{ name: public, access: all }', ["users[0].name: 'public' is a reserved role name (a key word of PostgreSQL)"]],
  [
    '{ name: postgres, access: all }',
    ["users[0].name: 'postgres' is cluster.user, the superuser, which is not for this program to change"],
  ],
  ['{ name: u, access: all }, { name: u, access: all }', ["users[1].name: 'u' is listed twice"]],
  ['{ name: u, access: all, memberOf: [u] }', ['users[0].memberOf[0]: is the role itself']],
  [
    '{ name: u, access: all, memberOf: [postgres] }',
    ["users[0].memberOf[0]: 'postgres' is cluster.user: a member of it could become superuser"],
  ],
  [
    '{ name: u, access: all, memberOf: [pg_read_all_data, pg_write_all_data] }',
    [
      "users[0].memberOf[1]: 'pg_write_all_data' may write the catalogs of Citus: a member of it could become superuser",
    ],
  ],
  [
    '{ name: u, access: all, memberOf: [pg_maintain] }',
    [
      "users[0].memberOf[0]: 'pg_maintain' may refresh the superuser's materialized views, over tables and functions of others: a member of it could become superuser",
    ],
  ],
  [
    '{ name: u, access: all, parameters: { jit: on, JIT: off } }',
    ['users[0].parameters.JIT: names the parameter jit a second time (PostgreSQL does not tell case apart)'],
  ],
  ['{ name: u, access: all, passwordfile: x }', ['users[0].passwordfile: unknown key; did you mean passwordFile?']],
])('users: [%s]', (users, expected) => {
  expect(problemsOf(`${nodes}databases: [{ name: d, users: [${users}] }]`)).toEqual(
    expected.map((line) => `databases[0].${line}`),
  );
});

test('access owner under an owner that is the superuser', () => {
  expect(problemsOf(`${nodes}databases: [{ name: d, owner: postgres, users: [{ name: u, access: owner }] }]`)).toEqual([
    "databases[0].users[0].access: is 'owner', but the database's owner is 'postgres', the superuser: name this user as owner, or leave owner out",
  ]);
});

describe('cluster.exporter', () => {
  const spec = (exporter: string, database = '{ name: d }') =>
    `${nodes}  exporter: ${exporter}\ndatabases: [${database}]`;

  test('has a name by default', () => {
    expect(parse(spec('{ passwordFile: /p }')).cluster.exporter).toEqual({
      name: 'postgres_exporter',
      passwordFile: '/p',
    });
    expect(parse(`${nodes}databases: [{ name: d }]`).cluster.exporter).toBeUndefined();
  });

  test.each([
    ['{ name: m }', '{ name: d }', 'cluster.exporter.passwordFile: is required'],
    [
      '{ passwordFile: /p, access: all }',
      '{ name: d }',
      'cluster.exporter.access: unknown key; known here: name, passwordFile',
    ],
    [
      '{ name: pg_m, passwordFile: /p }',
      '{ name: d }',
      "cluster.exporter.name: 'pg_m' is a reserved role name (names that begin with pg_ belong to PostgreSQL)",
    ],
    [
      '{ name: postgres, passwordFile: /p }',
      '{ name: d }',
      "cluster.exporter.name: 'postgres' is cluster.user, the superuser",
    ],
    [
      '{ passwordFile: /p }',
      '{ name: d, users: [{ name: postgres_exporter, access: all }] }',
      "cluster.exporter.name: 'postgres_exporter' is a user too, in databases[0].users[0]",
    ],
    ['{ name: o, passwordFile: /p }', '{ name: d, owner: o }', "cluster.exporter.name: 'o' owns databases[0]"],
  ])('%s beside %s', (exporter, database, problem) => {
    expect(problemsOf(spec(exporter, database))).toEqual([problem]);
  });
});
