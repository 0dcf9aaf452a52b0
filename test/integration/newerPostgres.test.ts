import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** What PostgreSQL 16 and 17 brought: options of memberships, and MAINTAIN. On the stand-in where real Citus is older. */

const real = await findRealCitus();
const newEnough = real !== undefined && Number.parseInt(real.version, 10) >= 17;

const test = clusterTest({ workers: 2, citus: newEnough ? 'auto' : 'standIn' })
  .extend(
    'user',
    { scope: 'file' },
    ({ folder }) =>
      (name: string, access: string, more: Document = {}): Document => ({
        ...{ name, access, passwordFile: path.join(folder, 'password') },
        ...more,
      }),
  )
  .extend(
    'apply',
    { scope: 'file' },
    ({ cluster }) =>
      (database: Document, groups?: readonly number[]) =>
        runProgram(cluster, ['apply'], specOf(cluster, [database], groups === undefined ? {} : { groups })),
  )
  /** `ADMIN INHERIT SET` of one membership, as t or f, on each node. */
  .extend(
    'options',
    { scope: 'file' },
    ({ cluster }) =>
      async (group: string, member: string): Promise<readonly unknown[]> => {
        const found = [];
        for (const node of cluster.nodes) {
          const [row] = await query(
            cluster,
            node.group,
            'postgres',
            `SELECT concat(bool_or(admin_option), bool_or(inherit_option), bool_or(set_option)) AS options FROM pg_auth_members
       WHERE roleid = $1::regrole AND member = $2::regrole`,
            [group, member],
          );
          found.push(row?.['options']);
        }
        return found;
      },
  );

test.beforeAll(async ({ folder }) => {
  await writeFile(path.join(folder, 'password'), 'canary-newer', { mode: 0o600 });
});

describe('memberships', () => {
  test('one with ADMIN alone gives no rights, so access owner grants what it promises', async ({
    cluster,
    user,
    apply,
    options,
  }) => {
    for (const { group } of cluster.nodes) {
      const sql =
        'CREATE ROLE boss; CREATE ROLE chief LOGIN; GRANT boss TO chief WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
      await query(cluster, group, 'postgres', sql);
    }
    const database = { name: 'led', owner: 'boss', users: [user('chief', 'owner')] };
    const { code, log } = await apply(database);
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('Making role "chief" a member of "boss"') });
    expect(await options('boss', 'chief')).toEqual(['ttt', 'ttt', 'ttt']);
    expect(await apply(database)).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
  });

  test('a worker that joins later gets those of roles that nobody declares, with their options', async ({
    cluster,
    apply,
    options,
  }) => {
    const initSQL = `CREATE ROLE office; CREATE ROLE clerk LOGIN; CREATE ROLE guest LOGIN;
      GRANT office TO clerk WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
      GRANT office TO guest WITH INHERIT FALSE, SET TRUE;
      CREATE TABLE letters (id int PRIMARY KEY); SELECT create_distributed_table('letters', 'id');
      GRANT SELECT ON letters TO office, clerk, guest;`;
    const database = { name: 'written', initSQL };
    expect(await apply({ ...database, workerGroups: [1] })).toMatchObject({ code: 0 });
    // Citus enters roles that are granted something by itself; the stand-in does not.
    if (cluster.kind === 'stand-in') {
      const roles = "SELECT 'pg_authid'::regclass, oid, 0 FROM pg_roles WHERE rolname IN ('office', 'clerk', 'guest')";
      await query(cluster, 0, 'written', `INSERT INTO pg_dist_object (classid, objid, objsubid) ${roles}`);
    }
    const joined = await apply(database);
    expect({ code: joined.code, log: joined.log }).toMatchObject({ code: 0 });
    expect(await options('office', 'clerk')).toEqual(['tff', 'tff', 'tff']);
    expect(await options('office', 'guest')).toEqual(['fft', 'fft', 'fft']);
  });
});

test('owner and all may maintain tables on every node, what is there and what comes later; not those of the superuser', async ({
  cluster,
  user,
  apply,
}) => {
  const users = [user('keeper', 'owner'), user('hand', 'all'), user('reader', 'readOnly')];
  const database = { name: 'kept', owner: 'keeper', users };
  expect(await apply(database)).toMatchObject({ code: 0 });
  const make = (table: string) =>
    `CREATE TABLE public.${table} (id int PRIMARY KEY); SELECT create_distributed_table('public.${table}', 'id')`;
  for (const table of ['kept', 'later']) {
    await query(cluster, 0, 'kept', `SET ROLE keeper; ${make(table)}`);
    if (table === 'kept') expect(await apply(database)).toMatchObject({ code: 0 });
  }
  await query(cluster, 0, 'kept', make('boss'));
  // The stand-in's workers have views for tables, and get no grants.
  for (const { group } of cluster.kind === 'real' ? cluster.nodes : cluster.nodes.slice(0, 1)) {
    for (const table of ['kept', 'later']) {
      const text = `SELECT ARRAY(SELECT has_table_privilege(u, 'public.${table}', 'MAINTAIN') FROM unnest(ARRAY['keeper', 'hand', 'reader']) u) AS may`;
      expect(await query(cluster, group, 'kept', text), `${table} on ${group}`).toEqual([{ may: [true, true, false] }]);
    }
  }
  expect(
    await query(
      cluster,
      0,
      'kept',
      "SELECT has_table_privilege('hand', 'public.boss', 'INSERT') AS writes, has_table_privilege('hand', 'public.boss', 'MAINTAIN') AS maintains",
    ),
  ).toEqual([{ writes: true, maintains: false }]);
  const again = await apply(database);
  expect(again).toMatchObject({ code: 0 });
  if (cluster.kind === 'real') expect(again.log).toContain('Nothing was changed');
});
