import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { ACTIVITY_FOR } from '../../src/postgres/activity.ts';
import { databaseLock, registrationLock } from '../../src/postgres/advisoryLock.ts';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { specOf } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, PASSWORD, type Scene } from './support/laboratory.ts';

/** A user that may read, and connect to `postgres` as everybody may: it can hold up others, for a while. */

const test = laboratoryTest.extend(
  'mallory',
  { scope: 'file' },
  ({ laboratory }) =>
    async (database: string, group = 0) => {
      const client = await connect(laboratory.cluster, group, database, { name: MALLORY, password: PASSWORD });
      client.on('error', () => undefined);
      return client;
    },
);

let scene: Scene;
let powers: unknown;

test.beforeAll(async ({ laboratory }) => {
  scene = await laboratory.scene('shop', {
    access: 'readOnly',
    more: { initSQL: 'CREATE TABLE t (a int)', maxAttempts: 4, retryDelaySeconds: 5 },
  });
  powers = await laboratory.powers();
});

test.for([
  ['the lock of a database', databaseLock('shop').key],
  ['the lock of registration', registrationLock().key],
])('%s is taken from it', async ([_, key], { mallory }) => {
  const holders = await Promise.all([1, 2, 3].map(() => mallory('postgres')));
  const waits = holders.map((client) => client.query(`SELECT pg_advisory_lock(${key})`).catch(() => undefined));
  await sleep(200);
  const { code, stdout, stderr, milliseconds } = await scene.run(['apply'], { comment: `held ${key}` });
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.stringContaining('is ready!') });
  expect(milliseconds).toBeLessThan(60_000);
  await Promise.all(holders.map((client) => client.end().catch(() => undefined)));
  await Promise.all(waits);
});

test('a prepared transaction that holds the lock, and has no session to be ended', async ({ laboratory, mallory }) => {
  const client = await mallory('postgres');
  const hold = async (gid: string) => {
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${databaseLock('shop').key})`);
    await client.query(`PREPARE TRANSACTION '${gid}'`);
  };
  await hold("it''s hers");
  const { code, stdout, stderr } = await scene.run(['apply'], { comment: 'prepared' });
  expect({ code, text: stdout + stderr }).toEqual({
    code: 0,
    text: expect.stringMatching(/Rolled back a prepared transaction .*'it''s hers' of mallory.*[\s\S]*is ready!/),
  });
  await client.end();
  // A superuser's is named, and how to end it.
  await query(
    laboratory.cluster,
    0,
    'postgres',
    `BEGIN; SELECT pg_advisory_xact_lock(${databaseLock('shop').key}); PREPARE TRANSACTION 'of a superuser'`,
  );
  const waiting = await scene.run(['apply'], { comment: 'prepared again', maxAttempts: 1, retryDelaySeconds: 1 });
  expect({ code: waiting.code, text: waiting.stdout + waiting.stderr }).toEqual({
    code: 1,
    text: expect.stringMatching(
      /held by prepared transaction 'of a superuser'[\s\S]*ROLLBACK PREPARED 'of a superuser'/,
    ),
  });
  await query(laboratory.cluster, 0, 'postgres', "ROLLBACK PREPARED 'of a superuser'");
});

test('the lock where a run without superuser would take it: not a moment is lost', async ({ mallory }) => {
  const client = await mallory('shop');
  await client.query(`SELECT pg_advisory_lock(${databaseLock('shop').key})`);
  const { code, stdout, stderr, milliseconds } = await scene.run(['apply'], {
    comment: 'held in its own database',
    maxAttempts: 60,
  });
  expect({ code, text: stdout + stderr }).toEqual({
    code: 0,
    text: expect.stringMatching(/Ended a session that held up this run and is not a superuser's.*[\s\S]*is ready!/),
  });
  // A run of the owner's would be waited for 60 s.
  expect(milliseconds).toBeLessThan(50_000);
  await client.end().catch(() => undefined);
});

test('a reconnect loop on the lock: a run gets it before its deadline', async ({ mallory }) => {
  const stop = new AbortController();
  const loop = async () => {
    while (!stop.signal.aborted) {
      try {
        const client = await mallory('postgres');
        await client.query(`SELECT pg_advisory_lock(${databaseLock('shop').key})`);
        await client.query('SELECT pg_sleep(60)');
      } catch {
        await sleep(5);
      }
    }
  };
  const loops = [loop(), loop(), loop()];
  try {
    const { code, stdout, stderr } = await scene.run(['apply'], { comment: 'looped' });
    const text = stdout + stderr;
    // Ready, or a failure that names the holder by the deadline: never a false word.
    if (code !== 0) expect({ code, text }).toEqual({ code: 1, text: expect.stringMatching(/was not free in time/) });
    expect(text).toContain("Ended a session that held up this run and is not a superuser's");
  } finally {
    stop.abort();
    await scene.provokeIn(
      'postgres',
      0,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${MALLORY}'`,
    );
    await Promise.all(loops);
  }
});

test('a table that initSQL waits for: SIGTERM ends the wait in time, and not with exit code 0', async ({
  laboratory,
  program,
  mallory,
}) => {
  const client = await mallory('shop');
  await client.query('BEGIN; SELECT * FROM public.t');
  const spec = specOf(laboratory.cluster, [
    { name: 'shop', initSQL: 'CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int', users: [scene.user] },
  ]);
  const child = await program.start(laboratory.cluster, ['apply'], spec);
  await child.printed('Line 1: ALTER TABLE t ADD COLUMN b int');
  const at = performance.now();
  child.kill('SIGTERM');
  const { code, stdout } = await child.ended;
  expect(code).toBe(143);
  expect(performance.now() - at).toBeLessThan(10_000);
  expect(stdout).not.toContain('is ready!\n====');
  await client.end();
});

test('a flood of connections: the program says so and does not call it ready', async ({ mallory }) => {
  const clients = (await Promise.allSettled(Array.from({ length: 100 }, () => mallory('shop')))).flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  expect(clients.length).toBeGreaterThan(40);
  try {
    const { code, stdout, stderr, milliseconds } = await scene.run(['verify']);
    // Superusers have slots of their own; users need one to be proved.
    expect([0, 1]).toContain(code);
    if (code === 1)
      expect(stdout + stderr).toMatch(/cannot reach|connection slots|too many clients|too many connections/);
    expect(milliseconds).toBeLessThan(100_000);
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
});

/** What is published about roles that may only log in: each has to fail, whatever the program has granted. */
const ATTEMPTS: readonly string[] = [
  "COPY (SELECT 1) TO PROGRAM 'true'",
  "COPY t FROM '/etc/passwd'",
  "SELECT pg_read_file('postgresql.conf')",
  "SELECT lo_import('/etc/passwd')",
  'SELECT * FROM pg_authid',
  'SELECT * FROM pg_dist_authinfo',
  'SELECT rolpassword FROM pg_shadow',
  'INSERT INTO public.t VALUES (1)',
  'CREATE TABLE public.mine (a int)',
  'CREATE SCHEMA mine',
  'CREATE SCHEMA citus_databases',
  'SELECT * FROM citus_databases.init_sql',
  'CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger()',
  'CREATE PUBLICATION p FOR ALL TABLES',
  "CREATE SUBSCRIPTION s CONNECTION 'host=localhost' PUBLICATION p WITH (connect = false)",
  'CREATE EXTENSION plpython3u',
  "LOAD '/tmp/evil.so'",
  "CREATE FUNCTION evil() RETURNS int LANGUAGE c AS '/tmp/evil', 'evil'",
  'CREATE ROLE minion SUPERUSER',
  'CREATE ROLE minion',
  `ALTER ROLE ${MALLORY} CREATEROLE`,
  `ALTER ROLE ${MALLORY} REPLICATION BYPASSRLS`,
  "ALTER ROLE postgres PASSWORD 'mine'",
  'ALTER ROLE postgres IN DATABASE shop RESET search_path',
  "ALTER ROLE postgres SET search_path = 'evil'",
  'ALTER DATABASE shop OWNER TO mallory',
  'ALTER DATABASE shop SET search_path = evil',
  "ALTER SYSTEM SET ssl = 'off'",
  'GRANT postgres TO mallory',
  'GRANT pg_execute_server_program TO mallory',
  'SET ROLE postgres',
  'SET SESSION AUTHORIZATION postgres',
  'SET session_preload_libraries = evil',
  "SECURITY LABEL FOR selinux ON TABLE public.t IS 'x'",
  "SELECT citus_add_node('127.0.0.1', 1)",
  "SELECT citus_update_node(1, '127.0.0.1', 1)",
  "SELECT run_command_on_workers('ALTER ROLE mallory SUPERUSER')",
  "SELECT master_run_on_worker(ARRAY['127.0.0.1'], ARRAY[5432], ARRAY['SELECT 1'], false)",
  'UPDATE pg_dist_node SET nodeport = 1',
  'INSERT INTO pg_dist_object VALUES (1, 2, 3)',
  'TRUNCATE pg_dist_partition',
  "SELECT citus_internal_add_partition_metadata('public.t'::regclass, 'h', 'a', 1, 's')",
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND datname IS NOT NULL",
];

test.for(ATTEMPTS)('%s', async (attempt, { laboratory, mallory }) => {
  for (const { group } of laboratory.cluster.nodes) {
    const client = await mallory('shop', group);
    try {
      await client.query('BEGIN');
      const refused = await client.query(attempt).then(
        ({ rows }) => (rows.length === 0 || /run_(?:command_)?on_worker/.test(attempt) ? 'did nothing' : 'worked'),
        () => 'refused',
      );
      expect(refused === 'refused' || (refused === 'did nothing' && /^SELECT/.test(attempt))).toBe(true);
      await client.query('COMMIT');
    } finally {
      await client.end();
    }
  }
});

test("a session under the name of Citus' own: no statement of a run is said to wait for what it waits for", async ({
  laboratory,
  mallory,
}) => {
  const { cluster } = laboratory;
  const [holder, forger] = await Promise.all([mallory('shop', 1), mallory('shop', 1)]);
  const superuser = await connect(cluster, 1, 'shop');
  const name = `citus_internal gpid=1${String(4711).padStart(10, '0')}`;
  const waitingFor = async () => await query(cluster, 1, 'postgres', ACTIVITY_FOR, [4711, 'shop']);
  await holder.query('SELECT pg_advisory_lock(7)');
  const waits = async (client: Awaited<ReturnType<typeof mallory>>) => {
    await client.query(`SET application_name = '${name}'`);
    const [{ pid } = {}] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
    const waiting = client.query('SELECT pg_advisory_lock(7)').catch(() => undefined);
    await expect
      .poll(
        async () => await query(cluster, 1, 'postgres', 'SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [pid]),
        {
          timeout: 30_000,
        },
      )
      .toHaveLength(1);
    // Not the promise alone, which would be waited for.
    return { waiting };
  };
  const forged = await waits(forger);
  expect(await waitingFor()).toEqual([]);
  // As Citus does on behalf of a run.
  const real = await waits(superuser);
  expect(await waitingFor()).toMatchObject([{ lock: expect.stringContaining('advisory') }]);
  // One after the other gets the lock.
  await holder.end();
  await forged.waiting;
  await forger.end();
  await real.waiting;
  await superuser.end();
});

/** Citus asks for no owner in these: a name of the session is enough. */
const CALLS = [
  'citus_internal.delete_placement_metadata(1)',
  'pg_catalog.citus_internal_delete_placement_metadata(1)',
  "citus_internal.add_tenant_schema('public'::regnamespace, 7)",
  "pg_catalog.citus_internal_add_tenant_schema('public'::regnamespace, 7)",
  "citus_internal.delete_tenant_schema('public'::regnamespace)",
  "pg_catalog.citus_internal_delete_tenant_schema('public'::regnamespace)",
  "citus_internal.update_none_dist_table_metadata('pg_class'::regclass, 't', 0, false)",
  "pg_catalog.citus_internal_update_none_dist_table_metadata('pg_class'::regclass, 't', 0, false)",
  "pg_catalog.citus_unmark_object_distributed('pg_namespace'::regclass, 'public'::regnamespace, 0, false)",
  "pg_catalog.worker_change_sequence_dependency('pg_class'::regclass, 'pg_class'::regclass, 'pg_class'::regclass)",
];

test.for(CALLS)('%s is not hers to call', async (call, { skip, laboratory, mallory }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', "the stand-in has none of Citus' own functions");
  for (const { group } of cluster.nodes) {
    const [{ there } = {}] = await query(
      cluster,
      group,
      'shop',
      'SELECT pg_catalog.to_regproc($1) IS NOT NULL AS there',
      [call.replace(/\(.*/, '')],
    );
    const client = await mallory('shop', group);
    await client.query("SET application_name = 'citus_rebalancer gpid=10000000001'");
    await client.query('BEGIN');
    const code = there === true ? '42501' : expect.stringMatching(/^42883|3F000$/);
    await expect(client.query(`SELECT ${call}`)).rejects.toMatchObject({ code });
    await client.end();
  }
});

/** What Citus sends when it moves a shard. It asks for no owner: any role may name its session like one of Citus' own. */
const FORGET_PLACEMENTS = `SET application_name = 'citus_rebalancer gpid=10000000001';
  SELECT pg_catalog.citus_internal_delete_placement_metadata(placementid) FROM pg_dist_placement WHERE groupid = 1`;

test('deleting where shards are: named, made worse by no command, and no group may leave', async ({
  skip,
  laboratory,
  mallory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no shards');
  const placed = await laboratory.scene('placed', {
    access: 'readOnly',
    more: {
      initSQL: `CREATE TABLE kept (a int);
        SELECT create_distributed_table('kept', 'a', shard_count => 4);
        INSERT INTO kept SELECT generate_series(1, 100);`,
    },
  });
  const forget = async (group: number) => {
    // As Citus makes it, and an earlier version of this program left it.
    await query(
      cluster,
      group,
      'placed',
      'GRANT EXECUTE ON FUNCTION pg_catalog.citus_internal_delete_placement_metadata(bigint) TO PUBLIC',
    );
    const client = await mallory('placed', group);
    await client.query(FORGET_PLACEMENTS);
    await client.end();
  };
  const ran = async (args: readonly string[]) => {
    const { code, stdout, stderr } = await placed.run(args);
    return { code, text: stdout + stderr };
  };
  const known = (group: number) =>
    firstValue(cluster, group, 'placed', 'SELECT count(*)::int FROM pg_dist_placement WHERE groupid = 1');
  const named = { code: 3, text: expect.stringMatching(/2 shards of public\.kept are not placed on any node/) };

  const before = await known(2);
  await forget(0);
  for (const command of ['plan', 'verify', 'apply']) expect(await ran([command])).toEqual(named);
  // Else nobody would know any more.
  expect([await known(1), await known(2)]).toEqual([before, before]);

  await forget(1);
  await forget(2);
  for (const command of ['plan', 'verify', 'apply']) expect(await ran([command])).toEqual(named);
  expect(await ran(['drain', '1'])).toEqual({
    code: 3,
    text: expect.stringMatching(/may be on group 1[\s\S]*'placed'/),
  });
  const { text } = await ran(['verify']);
  const [statement = ''] = /INSERT INTO pg_catalog\.pg_dist_placement .*;/.exec(text) ?? [];
  await query(cluster, 0, 'placed', statement);
  expect(await ran(['apply'])).toEqual({ code: 0, text: expect.stringContaining('is ready!') });
  expect(await firstValue(cluster, 1, 'placed', 'SELECT count(*)::int FROM public.kept')).toBe(100);
});

test('nobody gained anything, and the database is ready', async ({ laboratory }) => {
  expect(await laboratory.powers()).toEqual(powers);
  const { code, stdout, stderr } = await scene.run(['verify']);
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.any(String) });
});
