/**
 * cluster.exporter: a role on every node that reads statistics, and cannot become more. What it may not do is tried by
 * itself, on real Citus: tables that hold passwords are Citus' own.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type LocalCluster, query, startLocalCluster } from '../support/cluster.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

const NAME = 'postgres_exporter';
const PASSWORD = `exporter's "canary" \\ 1`;

let cluster: LocalCluster;
let passwordFile: string;

beforeAll(async () => {
  cluster = await startLocalCluster({ workers: 2 });
  console.log(cluster.description);
  passwordFile = path.join(path.dirname(cluster.passwordFile), 'exporter.password');
  await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
});

afterAll(async () => {
  await cluster?.stop();
});

const shop = { name: 'shop', workerGroups: [1] };
const run = (command: string, exporter: Document = {}) =>
  runProgram(
    cluster,
    [command],
    specOf(cluster, [shop], { cluster: { exporter: { name: NAME, passwordFile, ...exporter } } }),
  );

async function onEachNode(text: string): Promise<readonly unknown[]> {
  return await Promise.all(
    cluster.nodes.map(async ({ group }) => (await query(cluster, group, 'postgres', text, [NAME]))[0]),
  );
}

/** Attributes, what it is a member of, settings and rights on databases, on every node. */
const roles = () =>
  onEachNode(`SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
    rolpassword,
    ARRAY(SELECT pg_get_userbyid(roleid)::text || CASE WHEN admin_option THEN ' (admin)' ELSE '' END
      FROM pg_auth_members WHERE member = r.oid) AS groups,
    ARRAY(SELECT pg_get_userbyid(member)::text FROM pg_auth_members WHERE roleid = r.oid) AS members,
    ARRAY(SELECT setdatabase || ' ' || setconfig::text FROM pg_db_role_setting WHERE setrole = r.oid) AS settings,
    (SELECT count(*)::int FROM pg_shdepend WHERE refobjid = r.oid AND refclassid = 'pg_authid'::regclass) AS depends
    FROM pg_authid r WHERE rolname = $1`);

const AS_DECLARED = {
  ...{ rolsuper: false, rolinherit: true, rolcreaterole: false, rolcreatedb: false, rolcanlogin: true },
  ...{
    rolreplication: false,
    rolbypassrls: false,
    rolconnlimit: 5,
    rolpassword: expect.stringMatching(/^SCRAM-SHA-256\$/),
  },
  ...{ groups: ['pg_monitor'], members: [], settings: ['0 {search_path=pg_catalog}'], depends: 0 },
};

/** As the exporter, in a session of its own; the SQLSTATE of what is refused. */
async function asExporter(group: number, text: string, database = 'postgres'): Promise<unknown> {
  const client = await connect(cluster, group, database, { name: NAME, password: PASSWORD });
  try {
    return (await client.query(text)).rows[0] ?? 'nothing';
  } catch (error) {
    return (error as { readonly code?: string }).code;
  } finally {
    await client.end();
  }
}

test('apply makes it on every node, those that the database leaves out included; then there is nothing to do', async () => {
  const plan = await run('plan');
  expect({ code: plan.code, text: plan.stdout }).toEqual({
    code: 10,
    text: expect.stringContaining(`make role "${NAME}" a member of "pg_monitor"`),
  });
  const { code, log, stdout, stderr } = await run('apply');
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
  expect(`${stdout}${stderr}${plan.stdout}${plan.stderr}`).not.toMatch(/canary|SCRAM-SHA-256\$/);
  const found = await roles();
  expect(found).toEqual(cluster.nodes.map(() => AS_DECLARED));
  const verifiers = new Set(found.map((role) => (role as { readonly rolpassword: string }).rolpassword));
  expect(verifiers.size).toBe(1);
  expect((await run('plan')).code).toBe(0);
  expect((await run('verify')).code).toBe(0);
});

test('it reads what an exporter asks for', async () => {
  for (const { group } of cluster.nodes) {
    // Another's query, which needs pg_read_all_stats; a setting of superusers, which needs pg_read_all_settings.
    const holder = await connect(cluster, group, 'postgres');
    try {
      await holder.query('SELECT 4711 AS canary');
      const seen = "SELECT count(*)::int AS seen FROM pg_stat_activity WHERE query LIKE 'SELECT 4711%'";
      expect(await asExporter(group, seen)).toEqual({ seen: 1 });
    } finally {
      await holder.end();
    }
    expect(await asExporter(group, "SELECT current_setting('data_directory') <> '' AS known")).toEqual({ known: true });
    const sizes = "SELECT pg_database_size('postgres') > 0 AS size, current_schemas(true)::text AS path";
    expect(await asExporter(group, sizes)).toEqual({ size: true, path: '{pg_catalog}' });
  }
});

test('it cannot become more', async () => {
  const names = await query(cluster, 0, 'postgres', 'SELECT rolname::text AS name FROM pg_roles WHERE rolname <> $1', [
    NAME,
  ]);
  const ofMonitor = ['pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables'];
  for (const { name } of names) {
    const role = String(name);
    const outcome = await asExporter(0, `SET ROLE "${role}"`);
    expect({ role, outcome }).toEqual({ role, outcome: ofMonitor.includes(role) ? 'nothing' : '42501' });
  }
  for (const statement of [
    'SELECT rolpassword FROM pg_authid',
    "SELECT pg_read_file('postgresql.conf')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    'CREATE ROLE more',
    'CREATE DATABASE more',
    'CREATE SCHEMA more',
    'CREATE EXTENSION pg_trgm',
    `ALTER ROLE ${NAME} SUPERUSER`,
    `ALTER ROLE ${NAME} CREATEROLE`,
    `GRANT pg_monitor TO ${NAME} WITH ADMIN OPTION`,
    'ALTER SYSTEM SET log_statement = none',
    "SET session_replication_role = 'replica'",
    'SELECT * FROM citus_databases.databases',
  ]) {
    const outcome = await asExporter(0, statement);
    expect({ statement, outcome }).toEqual({ statement, outcome: '42501' });
  }
});

test('passwords of nodes and users are none of its business (real Citus)', async ({ skip }) => {
  if (cluster.kind !== 'real') return skip('needs real Citus');
  for (const group of [0, 1]) {
    expect(await asExporter(group, 'SELECT * FROM pg_dist_authinfo', 'shop')).toBe('42501');
    expect(
      await query(cluster, group, 'shop', 'SELECT rolename FROM pg_dist_authinfo WHERE rolename = $1', [NAME]),
    ).toEqual([]);
  }
});

test('what an owner plants stands in for nothing that it asks for', async () => {
  await query(cluster, 0, 'postgres', 'CREATE SCHEMA planted');
  await query(cluster, 0, 'postgres', 'GRANT ALL ON SCHEMA planted TO PUBLIC');
  await query(
    cluster,
    0,
    'postgres',
    "CREATE FUNCTION planted.pg_is_in_recovery() RETURNS text LANGUAGE sql AS $$SELECT 'planted'$$",
  );
  await query(cluster, 0, 'postgres', 'ALTER DATABASE postgres SET search_path = planted, pg_catalog');
  try {
    expect(await asExporter(0, 'SELECT pg_is_in_recovery() AS standby')).toEqual({ standby: false });
  } finally {
    await query(cluster, 0, 'postgres', 'ALTER DATABASE postgres RESET search_path');
    await query(cluster, 0, 'postgres', 'DROP SCHEMA planted CASCADE');
  }
});

test('what was changed by hand is put right: attributes, search_path, a password, CONNECT', async () => {
  await query(cluster, 1, 'postgres', `ALTER ROLE ${NAME} CREATEROLE CONNECTION LIMIT -1 PASSWORD 'another'`);
  await query(cluster, 0, 'postgres', `ALTER ROLE ${NAME} RESET search_path`);
  await query(cluster, 0, 'postgres', `ALTER ROLE ${NAME} IN DATABASE postgres SET search_path = public`);
  await query(cluster, 2, 'postgres', `DROP ROLE ${NAME}`);
  await query(cluster, 2, 'postgres', 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
  expect((await run('verify')).code).toBe(1);
  const { code, log } = await run('apply');
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
  expect(await roles()).toEqual([AS_DECLARED, AS_DECLARED, { ...AS_DECLARED, depends: 1 }]);
  expect(await asExporter(2, 'SELECT 1 AS one')).toEqual({ one: 1 });
  await query(cluster, 2, 'postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC');
  await query(cluster, 2, 'postgres', `REVOKE CONNECT ON DATABASE postgres FROM ${NAME}`);
});

test.each([
  ['another membership', 'GRANT pg_read_all_data TO', "'pg_read_all_data'", 'REVOKE "pg_read_all_data" FROM'],
  ['ADMIN OPTION', 'GRANT pg_monitor TO', "'pg_monitor WITH ADMIN OPTION'", 'REVOKE ADMIN OPTION FOR pg_monitor FROM'],
])('a role that has more is refused before anything is changed: %s', async (name, grant, what, revoke) => {
  await query(cluster, 1, 'postgres', `${grant} ${NAME}${name === 'ADMIN OPTION' ? ' WITH ADMIN OPTION' : ''}`);
  const { code, log } = await run('apply');
  expect({ code, log }).toEqual({ code: 3, log: expect.stringContaining(`of cluster.exporter has ${what}`) });
  expect(log).toContain(`${revoke} "${NAME}"`);
  await query(cluster, 1, 'postgres', `${revoke} ${NAME}`);
  expect((await run('apply')).code).toBe(0);
});

test('a superuser is refused', async () => {
  await query(cluster, 0, 'postgres', 'CREATE ROLE boss SUPERUSER LOGIN');
  const { code, log } = await run('apply', { name: 'boss' });
  expect({ code, log }).toEqual({ code: 3, log: expect.stringContaining("Role 'boss' exists as a superuser") });
});

test('members of the role, who would have its rights, are named', async () => {
  const onAll = async (text: string) => {
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', text);
  };
  await onAll(`CREATE ROLE watcher; GRANT ${NAME} TO watcher`);
  try {
    const { code, log, stderr } = await run('plan');
    expect({ code, text: log + stderr }).toEqual({
      code: 0,
      text: expect.stringContaining(
        `Role '${NAME}' of cluster.exporter has members, who may do what it may: watcher. To take it from them: REVOKE "${NAME}" FROM "watcher" CASCADE`,
      ),
    });
  } finally {
    await onAll('DROP ROLE watcher');
  }
});
