import { expect } from 'vitest';
import { assertMembers } from '../../src/objects/membership.ts';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import type { Scene } from './support/laboratory.ts';

/** Whoever runs one node, or may register nodes: what the others are told, and what they are given. */

const test = laboratoryTest.extend(
  'registered',
  { scope: 'file' },
  ({ laboratory }) =>
    async (row: string, body: () => Promise<void>): Promise<void> => {
      await query(laboratory.cluster, 0, 'shop', `INSERT INTO ${ROGUE} VALUES ${row}`);
      try {
        await body();
      } finally {
        await query(laboratory.cluster, 0, 'shop', 'DELETE FROM pg_dist_node WHERE nodeid = 77');
      }
    },
);
let scene: Scene;
let powers: unknown;

test.beforeAll(async ({ laboratory }) => {
  scene = await laboratory.scene('shop');
  powers = await laboratory.powers();
});

const UNDECLARED = 'has members that nobody declared, and that the coordinator does not have';

const ROGUE = 'pg_dist_node (nodeid, groupid, nodename, nodeport, isactive, hasmetadata, metadatasynced)';

test.for(['plan', 'apply', 'verify'])(
  'a node that nobody declared is named before anything is written: %s refuses',
  async (command, { laboratory, registered }) => {
    await registered("(77, 77, 'rogue.example', 5432, false, false, false)", async () => {
      // What a new user would be given on every registered node.
      const before = await firstValue(laboratory.cluster, 0, 'shop', 'SELECT count(*)::int FROM pg_dist_authinfo');
      const { code, stdout, stderr } = await scene.run([command], { comment: 'anything' });
      expect({ code, text: stdout + stderr }).toEqual({
        code: 3,
        text: expect.stringContaining('Node rogue.example:5432 (group 77) is registered and not declared'),
      });
      expect(await firstValue(laboratory.cluster, 0, 'shop', 'SELECT count(*)::int FROM pg_dist_authinfo')).toBe(
        before,
      );
    });
  },
);

test('the spec accepts it: the risk is in the name of the field', async ({ registered }) => {
  await registered("(77, 77, 'rogue.example', 5432, false, false, false)", async () => {
    const { code, stdout, stderr } = await scene.run(['plan'], {}, { acceptUndeclaredNodes: true });
    expect([0, 10]).toContain(code);
    expect(stdout + stderr).toContain('rogue.example:5432 (group 77) is registered and no longer declared');
  });
});

test('a worker that rolls back every distributed table: the run after the failed proof proves it again', async ({
  skip,
  laboratory,
}) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in makes no shards');
  const { cluster } = laboratory;
  // Every CREATE TABLE there fails, as on a full disk; what the program changes needs none.
  await query(
    cluster,
    1,
    'shop',
    `SET citus.enable_ddl_propagation = off;
    CREATE FUNCTION public.full() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left'; END $$;
    CREATE EVENT TRIGGER no_space ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.full()`,
  );
  const change = { comment: 'changed' };
  try {
    const first = await scene.run(['apply'], change);
    expect({ code: first.code, text: first.stderr + first.stdout }).toEqual({
      code: 1,
      text: expect.stringContaining('no space left'),
    });
    const second = await scene.run(['apply'], change);
    expect({ code: second.code, text: second.stderr + second.stdout }).toEqual({
      code: 1,
      text: expect.stringContaining('The proof of an earlier run failed and is repeated'),
    });
  } finally {
    await query(cluster, 1, 'shop', 'SET citus.enable_ddl_propagation = off; DROP EVENT TRIGGER no_space');
  }
  const third = await scene.run(['apply'], change);
  expect({ code: third.code, text: third.stdout }).toEqual({
    code: 0,
    text: expect.stringContaining('a distributed table was created, written and read on every worker'),
  });
  const fourth = await scene.run(['apply'], change);
  expect(fourth.stdout).not.toContain('The proof of an earlier run failed');
});

test('who watches sessions does not see the verifier of a role that is copied to a node', async ({ laboratory }) => {
  const { cluster } = laboratory;
  await query(cluster, 0, 'postgres', "CREATE ROLE keeper LOGIN PASSWORD 'a-password-of-keeper'");
  await query(cluster, 1, 'postgres', 'DROP ROLE IF EXISTS keeper');
  await query(cluster, 1, 'postgres', 'CREATE ROLE watcher; GRANT pg_read_all_stats TO watcher');
  // CREATE ROLE waits for that, and logging in does not.
  const holder = await connect(cluster, 1, 'postgres');
  try {
    await holder.query('BEGIN; LOCK TABLE pg_catalog.pg_authid IN SHARE MODE');
    const running = scene.runOn('kept', ['apply'], { owner: 'keeper' });
    const waiting = () =>
      firstValue(
        cluster,
        1,
        'postgres',
        `SET ROLE watcher; SELECT query FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND application_name LIKE 'citus-databases%' AND query LIKE '%keeper%'`,
      );
    await expect.poll(waiting, { timeout: 60_000 }).toMatch(/CREATE ROLE "?keeper/);
    const seen = await waiting();
    await holder.query('COMMIT');
    const { code, stdout, stderr } = await running;
    expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
    expect(seen).not.toContain('SCRAM-SHA-256');
    const verifier = (group: number) =>
      firstValue(cluster, group, 'postgres', "SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'");
    expect(await verifier(1)).toBe(await verifier(0));
  } finally {
    await holder.end();
    await scene.runOn('kept', ['drop', 'kept', '--confirm', 'kept'], { owner: 'keeper' });
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', 'DROP ROLE IF EXISTS keeper');
    await query(cluster, 1, 'postgres', 'DROP ROLE watcher');
  }
});

test.each([
  ['a function of Citus that was replaced on a worker', 1],
  ['the same on the coordinator', 0],
])('poisoned catalogs: %s', async (_, group) => {
  // A superuser of one node may do that: other nodes and the program do not run it.
  await scene.asMallory(
    group,
    'CREATE SCHEMA IF NOT EXISTS poisoned; CREATE TABLE IF NOT EXISTS poisoned.pg_dist_node (a int)',
  );
  for (const command of ['plan', 'verify']) {
    const { code } = await scene.run([command], { comment: 'changed' });
    expect(code).toBe(0);
  }
  await scene.asMallory(group, 'DROP SCHEMA poisoned CASCADE');
});

test('a schema of this program’s name on a worker: it is taken, and a foreign one is refused', async () => {
  await expect(scene.asMallory(2, 'CREATE SCHEMA citus_databases')).rejects.toMatchObject({ code: '42P06' });
  // As in a database that this program did not make.
  await scene.provoke(2, 'SET citus.enable_ddl_propagation = off; DROP SCHEMA citus_databases');
  await scene.asMallory(2, 'CREATE SCHEMA citus_databases');
  const { code, stdout, stderr } = await scene.run(['apply'], { comment: 'again' });
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringContaining('schema citus_databases belongs to mallory, who is no superuser'),
  });
  await scene.asMallory(2, 'DROP SCHEMA citus_databases');
});

test('nobody gained anything', async ({ laboratory }) => {
  expect(await laboratory.powers()).toEqual(powers);
  expect(await scene.sprung()).toEqual([]);
});

test('a superuser of the coordinator that a role with CREATEROLE made on a worker first: nobody becomes one through it', async ({
  laboratory,
}) => {
  const { cluster } = laboratory;
  const create = "CREATE ROLE mary LOGIN CREATEROLE PASSWORD 'mary-makes-roles'";
  for (const group of [0, 1, 2]) await query(cluster, group, 'postgres', create);
  await query(cluster, 0, 'postgres', 'CREATE ROLE boss SUPERUSER');
  await query(cluster, 1, 'postgres', 'SET ROLE mary; CREATE ROLE boss; GRANT boss TO mary');
  const { code, stdout, stderr } = await scene.runOn('bossy', ['apply'], { owner: 'boss' });
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringContaining(`Role 'boss' ${UNDECLARED}: mary`),
  });
  await expect(query(cluster, 1, 'postgres', assertMembers('boss', [], 'SUPERUSER would reach'))).rejects.toThrow(
    'SUPERUSER would reach members of role boss on this node: mary',
  );
  const isSuperuser = "SELECT rolsuper FROM pg_roles WHERE rolname = 'boss'";
  expect(await firstValue(cluster, 1, 'postgres', isSuperuser)).toBe(false);
  await query(cluster, 1, 'postgres', 'REVOKE boss FROM mary CASCADE');
  const mended = await scene.runOn('bossy', ['apply'], { owner: 'boss' });
  expect({ code: mended.code, text: mended.stdout + mended.stderr }).toMatchObject({ code: 0 });
  expect(await firstValue(cluster, 1, 'postgres', isSuperuser)).toBe(true);
});

test('a user, and the group of a user, that a role with CREATEROLE made on a worker first: she is named, and nothing is made', async ({
  laboratory,
}) => {
  const { cluster, passwordFile } = laboratory;
  await query(cluster, 0, 'postgres', 'CREATE ROLE office');
  await query(
    cluster,
    2,
    'postgres',
    `SET ROLE mary; CREATE ROLE clerk; GRANT clerk TO mary;
    CREATE ROLE office; CREATE ROLE friends; GRANT friends TO mary; GRANT office TO friends`,
  );
  const clerk = { name: 'clerk', passwordFile, access: 'readWrite', memberOf: ['office'] };
  const entry = { users: [scene.user, clerk] };
  for (const command of ['plan', 'apply']) {
    const { code, stdout, stderr } = await scene.run([command], entry);
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringMatching(
        new RegExp(`Role 'clerk' ${UNDECLARED}: mary[\\s\\S]*Role 'office' ${UNDECLARED}: friends, mary`),
      ),
    });
    expect(await query(cluster, 0, 'postgres', "SELECT FROM pg_roles WHERE rolname = 'clerk'")).toEqual([]);
    const advice = (stdout + stderr).match(/REVOKE .*? CASCADE/g) ?? [];
    expect(advice).toHaveLength(2);
    if (command === 'apply') await query(cluster, 2, 'postgres', advice.join(';'));
  }
  const { code, stdout, stderr } = await scene.run(['apply'], entry);
  expect({ code, text: stdout + stderr }).toMatchObject({ code: 0 });
  expect(
    await firstValue(
      cluster,
      2,
      'postgres',
      "SELECT pg_has_role('mary', 'clerk', 'MEMBER') OR pg_has_role('mary', 'office', 'MEMBER')",
    ),
  ).toBe(false);
});

test('a member that the coordinator has as well is none of anybody else', async ({ laboratory }) => {
  const { cluster, passwordFile } = laboratory;
  const entry = { users: [scene.user, { name: 'porter', passwordFile, access: 'readOnly' }] };
  for (const group of [0, 1])
    await query(cluster, group, 'postgres', 'SET ROLE mary; CREATE ROLE porter; GRANT porter TO mary');
  const { code, stdout, stderr } = await scene.run(['apply'], entry);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 0,
    text: expect.stringContaining("Role 'porter' exists, and its members get what it is given: mary"),
  });
  // By then it is as declared, and nothing is given.
  expect((await scene.run(['apply'], entry)).stdout).not.toContain('its members get');
});

test('a role that Citus would carry to a worker that joins, made there first', async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in manages no roles');
  const branch = await laboratory.scene('branch', { groups: [0, 1], more: { workerGroups: [1] } });
  await branch.provoke(0, 'CREATE ROLE keeper');
  await query(cluster, 2, 'postgres', 'SET ROLE mary; CREATE ROLE keeper; GRANT keeper TO mary');
  for (const command of ['plan', 'apply']) {
    const { code, stdout, stderr } = await branch.run([command], { workerGroups: [1, 2] });
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringContaining(`Role 'keeper' ${UNDECLARED}: mary`),
    });
  }
  expect(await query(cluster, 2, 'postgres', "SELECT FROM pg_database WHERE datname = 'branch'")).toEqual([]);
  await query(cluster, 2, 'postgres', 'REVOKE keeper FROM mary CASCADE');
  const { code, stdout, stderr } = await branch.run(['apply'], { workerGroups: [1, 2] });
  expect({ code, text: stdout + stderr }).toMatchObject({ code: 0 });
});
