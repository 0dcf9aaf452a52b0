import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, specOf } from '../support/program.ts';

/** Passwords that must turn up nowhere. The servers log every statement. */

const SUPERUSER = "canary'superuser\\ 4711";
const INIT_SQL = 'canary-init-sql-4712';
const OWNER = 'canary-owner-4713';

/** Parts of the superuser's password that survive any quoting. */
const TRACES = ['superuser\\', 'superuser\\\\', ' 4711'];

const test = clusterTest({
  workers: 2,
  password: SUPERUSER,
  logStatements: true,
  serverSettings: { log_min_duration_statement: '0', log_error_verbosity: 'verbose', log_min_messages: 'debug1' },
})
  .extend('lookAtActivity', { scope: 'file' }, ({ cluster }) => async (): Promise<void> => {
    for (const { group } of cluster.nodes) {
      const rows = await query(
        cluster,
        group,
        'postgres',
        "SELECT query, application_name FROM pg_stat_activity WHERE query NOT LIKE '%pg_stat_activity%'",
      );
      for (const row of rows) activity.add(JSON.stringify(row));
    }
  })
  .extend('verifiers', { scope: 'file' }, ({ cluster }) => async (role: string): Promise<readonly string[]> => {
    const rows = await query(cluster, 0, 'postgres', 'SELECT rolpassword FROM pg_authid WHERE rolname = $1', [role]);
    return rows.map(({ rolpassword }) => String(rolpassword));
  });

let outcomes: readonly Outcome[];
const activity = new Set<string>();

test.beforeAll(async ({ cluster, program, lookAtActivity }) => {
  const client = await connect(cluster, 0, 'postgres');
  await client.query("SET log_statement = 'none'; SET log_min_duration_statement = -1");
  await client.query(`CREATE ROLE keeper LOGIN PASSWORD '${OWNER}'`);
  await client.end();

  const database = {
    name: 'guarded',
    owner: 'keeper',
    extensions: ['hstore'],
    initSQL: `CREATE ROLE reader LOGIN PASSWORD '${INIT_SQL}';\nCREATE TABLE t (a int);\nSELECT 1 / 0;`,
  };
  const failing = await program.start(cluster, ['apply', '--log-level', 'debug'], specOf(cluster, [database]));
  let running = true;
  void failing.ended.finally(() => {
    running = false;
  });
  while (running) await lookAtActivity();
  const good = specOf(cluster, [{ ...database, initSQL: database.initSQL.replace('1 / 0', '1') }]);
  outcomes = [
    await failing.ended,
    await program.run(cluster, ['plan', '--output', 'json'], good),
    await program.run(cluster, ['apply', '--log-format', 'json', '--log-level', 'debug'], good),
    await program.run(cluster, ['verify', '--output', 'json'], good),
  ];
});

test('the runs ended as they should', () => {
  expect(outcomes.map(({ code }) => code)).toEqual([2, 10, 0, 0]);
  expect(outcomes[0]?.stdout).toContain('initSQL failed at line 3: SELECT 1 / 0');
});

test('output holds none of them', async ({ verifiers }) => {
  const text = outcomes.map(({ stdout, stderr }) => stdout + stderr).join('\n');
  for (const secret of [SUPERUSER, INIT_SQL, OWNER, ...TRACES, ...(await verifiers('keeper'))]) {
    expect(text).not.toContain(secret);
  }
  expect(text).toContain("CREATE ROLE reader LOGIN PASSWORD '***'");
});

test('at level debug each statement is in the log, with node, database, time and SQLSTATE', ({ cluster }) => {
  const [failing, , applied] = outcomes;
  const ports = cluster.nodes.map(({ port }) => port);
  for (const port of ports) {
    expect(failing?.stdout).toMatch(
      new RegExp(`^DEBUG: \\S+:${port} postgres, [\\d.]+ ms: CREATE DATABASE "guarded"`, 'm'),
    );
  }
  expect(failing?.stdout).toMatch(/^DEBUG: \S+ guarded, [\d.]+ ms: CREATE ROLE reader LOGIN PASSWORD '\*\*\*'/m);
  expect(failing?.stdout).toMatch(/^DEBUG: \S+ guarded, [\d.]+ ms, failed with 22012: SELECT 1 \/ 0/m);
  const entries = (applied?.stdout ?? '').split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  const debug = entries.filter(({ level, database }) => level === 'debug' && database === 'guarded');
  expect(debug.map(({ msg }) => msg)).toContainEqual(expect.stringMatching(/ms: SELECT 1;?$/));
});

test('ledger and bookkeeping hold none of them', async ({ cluster }) => {
  const rows = [
    ...(await query(cluster, 0, 'guarded', 'SELECT * FROM citus_databases.init_sql')),
    ...(await query(cluster, 0, 'postgres', 'SELECT * FROM citus_databases.managed_database')),
  ];
  expect(rows).toHaveLength(4);
  const text = JSON.stringify(rows);
  for (const secret of ['canary', '4711', '4712', '4713', 'SCRAM']) expect(text).not.toContain(secret);
});

test('pg_stat_activity never showed the passwords of the superuser and the owner', async () => {
  const text = [...activity].join('\n');
  expect(text).toContain('citus-databases apply');
  for (const secret of [SUPERUSER, OWNER, ...TRACES]) expect(text).not.toContain(secret);
});

test("the servers' logs: nothing of pg_dist_authinfo's contents, of verifiers, of the owner's password", async ({
  cluster,
  verifiers,
}) => {
  for (const { group, logFile } of cluster.nodes) {
    const log = await readFile(logFile, 'utf8');
    expect(log).toContain('CREATE DATABASE "guarded"');
    for (const secret of [SUPERUSER, OWNER, ...TRACES, ...(await verifiers('keeper'))]) {
      expect({ group, found: log.split('\n').filter((line) => line.includes(secret)) }).toEqual({ group, found: [] });
    }
  }
});

test('the password in initSQL stands in logs with the statement that the user wrote, nowhere else', async ({
  cluster,
}) => {
  for (const { group, logFile } of cluster.nodes) {
    const log = await readFile(logFile, 'utf8');
    const found = log.split('\n').filter((line) => line.includes(INIT_SQL));
    expect({ group, lines: found.filter((line) => !line.includes('CREATE ROLE reader LOGIN PASSWORD')) }).toEqual({
      group,
      lines: [],
    });
    // Citus sends the statement to the workers as it was written; the stand-in does not.
    expect(found.length > 0).toBe(group === 0 || cluster.kind === 'real');
  }
});
