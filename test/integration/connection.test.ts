import { writeFile } from 'node:fs/promises';
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { type Activity, describeActivity } from '../../src/postgres/activity.ts';
import { type ConnectOptions, connect, type Session } from '../../src/postgres/connection.ts';
import { LockBudget } from '../../src/postgres/lockBudget.ts';
import { classify, describe as describeError } from '../../src/postgres/sqlstate.ts';
import { applicationName } from '../../src/postgres/startup.ts';
import { Interrupted } from '../../src/report/errors.ts';
import { type Access, loadAccess } from '../../src/secrets/credentials.ts';
import type { NodeSpec } from '../../src/spec/types.ts';
import { clusterSpec, NO_SSL, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';

const test = clusterTest({ workers: 0, citus: 'none' })
  /** The server is in the middle of pg_sleep. */
  .extend('untilAsleep', { scope: 'file' }, ({ cluster }) => async (session: Session): Promise<void> => {
    const asleep = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
    await expect.poll(() => query(cluster, 0, 'postgres', asleep, [session.backendPid])).toHaveLength(1);
  });
let access: Access;
let node: NodeSpec;

test.beforeAll(async ({ cluster }) => {
  const spec = clusterSpec(cluster);
  node = spec.coordinator;
  access = await loadAccess({ cluster: spec, ssl: NO_SSL });
});

async function withSession<T>(options: ConnectOptions, use: (session: Session) => Promise<T>, at = node): Promise<T> {
  const session = await connect({ node: at, database: 'postgres' }, access, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function setting(session: Session, name: string): Promise<unknown> {
  const { rows } = await session.query<{ value: string }>('SELECT current_setting($1) AS value', [name]);
  return rows[0]?.value;
}

describe('startup', () => {
  const HOSTILE = {
    search_path: 'public',
    role: 'somebody',
    statement_timeout: '1ms',
    lock_timeout: '1ms',
    idle_in_transaction_session_timeout: '1ms',
    idle_session_timeout: '1ms',
    transaction_timeout: '1s',
    default_transaction_read_only: 'on',
    default_transaction_isolation: 'serializable',
    client_encoding: 'LATIN1',
    datestyle: 'SQL, DMY',
    intervalstyle: 'iso_8601',
    standard_conforming_strings: 'off',
    quote_all_identifiers: 'on',
    client_min_messages: 'error',
    bytea_output: 'escape',
    extra_float_digits: '-15',
    timezone: 'Asia/Kathmandu',
    row_security: 'off',
    check_function_bodies: 'off',
    transform_null_equals: 'on',
  } as const;
  const PINNED: Readonly<Record<keyof typeof HOSTILE, string>> = {
    search_path: 'pg_catalog',
    role: 'none',
    statement_timeout: '0',
    lock_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    idle_session_timeout: '0',
    transaction_timeout: '0',
    default_transaction_read_only: 'off',
    default_transaction_isolation: 'read committed',
    client_encoding: 'UTF8',
    datestyle: 'ISO, MDY',
    intervalstyle: 'postgres',
    standard_conforming_strings: 'on',
    quote_all_identifiers: 'off',
    client_min_messages: 'notice',
    bytea_output: 'hex',
    extra_float_digits: '1',
    timezone: 'UTC',
    row_security: 'on',
    check_function_bodies: 'on',
    transform_null_equals: 'off',
  };

  test('settings of the role and the database do not reach a pinned session, and reach one that is not', async ({
    cluster,
  }) => {
    await query(cluster, 0, 'postgres', 'CREATE ROLE somebody; CREATE ROLE boss SUPERUSER LOGIN');
    const verifier = `(SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres')`;
    await query(
      cluster,
      0,
      'postgres',
      `SET allow_system_table_mods = on; UPDATE pg_authid SET rolpassword = ${verifier} WHERE rolname = 'boss'`,
    );
    for (const [name, value] of Object.entries(HOSTILE)) {
      await query(cluster, 0, 'postgres', `ALTER ROLE boss SET ${name} = '${value}'`);
      if (name !== 'role')
        await query(cluster, 0, 'postgres', `ALTER ROLE boss IN DATABASE postgres SET ${name} = '${value}'`);
    }
    const boss = { ...access, user: 'boss' };
    const session = await connect({ node, database: 'postgres' }, boss);
    const found: Record<string, unknown> = {};
    for (const name of Object.keys(PINNED)) found[name] = await setting(session, name);
    await session.close();
    expect(found).toEqual(PINNED);

    await query(cluster, 0, 'postgres', 'ALTER ROLE boss RESET ALL; ALTER ROLE boss IN DATABASE postgres RESET ALL');
    await query(
      cluster,
      0,
      'postgres',
      `ALTER ROLE boss SET search_path = 'own, public'; ALTER ROLE boss SET role = 'somebody'`,
    );
    const unpinned = await connect({ node, database: 'postgres' }, boss, { pinned: false });
    expect(await setting(unpinned, 'search_path')).toBe('"own, public"');
    expect(await setting(unpinned, 'role')).toBe('somebody');
    expect(await setting(unpinned, 'client_encoding')).toBe('UTF8');
    await unpinned.close();
  });

  test('what is asked for', async () => {
    const options = {
      applicationName: applicationName('apply', 'skymap'),
      settings: { work_mem: '7MB', search_path: '"a b", c', 'citus_databases.text': ' a\\ \t"b"\n' },
    };
    await withSession(options, async (session) => {
      expect(await setting(session, 'application_name')).toBe('citus-databases apply skymap');
      expect(await setting(session, 'work_mem')).toBe('7MB');
      expect(await setting(session, 'search_path')).toBe('"a b", c');
      expect(await setting(session, 'citus_databases.text')).toBe(' a\\ \t"b"\n');
      expect(await setting(session, 'tcp_keepalives_idle')).toBe('10');
      expect(session.encrypted).toBe(false);
      const { rows } = await session.query('SELECT pg_backend_pid() AS pid');
      expect(rows).toEqual([{ pid: session.backendPid }]);
    });
  });

  test('the environment has no say', async () => {
    const hostile = {
      PGUSER: 'nobody',
      PGPASSWORD: 'wrong',
      PGPASSFILE: '/nonexistent',
      PGDATABASE: 'nowhere',
      PGHOST: 'unknown.invalid',
      PGPORT: '1',
      PGOPTIONS: '-c work_mem=1MB',
      PGAPPNAME: 'other',
      PGSSLMODE: 'verify-full',
      PGSSLNEGOTIATION: 'direct',
      PGREPLICATION: 'database',
      PGCLIENT_ENCODING: 'LATIN1',
      PGCONNECT_TIMEOUT: '0',
      PGBINARY: '1',
    };
    const before = { ...process.env };
    Object.assign(process.env, hostile);
    try {
      await withSession({ pinned: false }, async (session) => {
        const { rows } = await session.query(
          `SELECT current_user AS user, current_database() AS database, current_setting('work_mem') AS memory,
                  current_setting('application_name') AS name, current_setting('client_encoding') AS encoding`,
        );
        expect(rows).toEqual([
          { user: 'postgres', database: 'postgres', memory: '4MB', name: 'citus-databases', encoding: 'UTF8' },
        ]);
      });
      const none = { ...access, password: undefined };
      await expect(connect({ node, database: 'postgres' }, none)).rejects.toMatchObject({
        details: { what: 'The server asks for the password of user postgres, and none is given' },
      });
    } finally {
      for (const name of Object.keys(hostile)) {
        delete process.env[name];
        if (before[name] !== undefined) process.env[name] = before[name];
      }
    }
  });
});

describe('who is let in', () => {
  test('a wrong password', async () => {
    const error = await rejection(connect({ node, database: 'postgres' }, { ...access, password: 'wrong' }));
    expect(error).toMatchObject({ code: '28P01' });
    expect(classify(error)).toBe('hopeless');
  });

  test('a database that is not there', async () => {
    await expect(connect({ node, database: 'nowhere' }, access)).rejects.toMatchObject({ code: '3D000' });
  });

  test('a port where nothing listens', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = portOf(server);
    await new Promise((resolve) => server.close(resolve));
    const error = await rejection(connect({ node: { ...node, port }, database: 'postgres' }, access));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(classify(error)).toBe('transient');
  });

  test('the password never leaves in clear text', async ({ cluster }) => {
    const hba = join(nodeOf(cluster, 0).dataDirectory, 'pg_hba.conf');
    await writeFile(hba, 'host all postgres all password\n');
    await nodeOf(cluster, 0).restart();
    try {
      await expect(connect({ node, database: 'postgres' }, access)).rejects.toMatchObject({
        details: { what: 'The server asks for the password in clear text, which this program never sends' },
      });
    } finally {
      await writeFile(hba, 'host all all all scram-sha-256\n');
      await nodeOf(cluster, 0).restart();
    }
  });
});

describe('statements', () => {
  test('one at a time, in order, and counted', async () => {
    await withSession({}, async (session) => {
      const numbers = [1, 2, 3, 4, 5];
      const results = await Promise.all(
        numbers.map((number) => session.query<{ n: number }>('SELECT $1::int AS n', [number])),
      );
      expect(results.map(({ rows }) => rows[0]?.n)).toEqual(numbers);
      expect(session.queries).toBe(5);
    });
  });

  test('query takes one statement only, script takes several', async () => {
    await withSession({}, async (session) => {
      await expect(session.query('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: '42601' });
      const results = await session.script<{ n: number }>('SELECT 1 AS n; SELECT 2 AS n');
      expect(results.map(({ rows }) => rows)).toEqual([[{ n: 1 }], [{ n: 2 }]]);
      expect((await session.script('SELECT 1')).length).toBe(1);
    });
  });

  test('rows that nobody reads are dropped, of several statements too, and errors are told as ever', async () => {
    await withSession({}, async (session) => {
      const rows = 'SELECT n FROM generate_series(1, 1000) n';
      const results = await session.script(`${rows}; CREATE TEMPORARY TABLE t AS ${rows}; ${rows}`, {
        dropsRows: true,
      });
      expect(results).toEqual([
        { rows: [], rowCount: 1000, command: 'SELECT' },
        { rows: [], rowCount: 1000, command: 'SELECT' },
        { rows: [], rowCount: 1000, command: 'SELECT' },
      ]);
      expect(await rejection(session.script(`${rows}; SELECT 1 / 0`, { dropsRows: true }))).toMatchObject({
        code: '22012',
      });
      await session.pipeline(['BEGIN', rows, 'COMMIT']);
      expect((await session.script<{ n: number }>(rows)).at(0)?.rows).toHaveLength(1000);
    });
  });

  test('a flood of warnings: the first ones come with the error, the others are counted', async () => {
    await withSession({}, async (session) => {
      const flood = `DO $$ BEGIN
        FOR n IN 1..1254 LOOP RAISE WARNING 'number % %', n, repeat('x', 10000); END LOOP; PERFORM 1 / 0;
      END $$`;
      const told = describeError(await rejection(session.script(flood)));
      expect(told).toContain('WARNING: number 20 x');
      expect(told).not.toContain('WARNING: number 21 x');
      expect(told).toContain('WARNING: … and 1,234 more');
      expect(told.length).toBeLessThan(200_000);
      const next = describeError(await rejection(session.script('SELECT 1 / 0')));
      expect(next).not.toContain('WARNING');
    });
  });

  test('the state of the transaction', async () => {
    await withSession({}, async (session) => {
      expect(session.transactionStatus).toBe('I');
      await session.script('BEGIN');
      expect(session.transactionStatus).toBe('T');
      await rejection(session.query('SELECT 1 / 0'));
      expect(session.transactionStatus).toBe('E');
      await session.script('ROLLBACK');
      expect(session.transactionStatus).toBe('I');
    });
  });

  test('notices reach the caller', async () => {
    const notices: unknown[] = [];
    await withSession({ onNotice: (notice) => notices.push(notice) }, (session) =>
      session.script(`DO $$ BEGIN RAISE NOTICE 'look'; RAISE WARNING 'out'; END $$`),
    );
    expect(notices).toEqual([
      { severity: 'NOTICE', message: 'look' },
      { severity: 'WARNING', message: 'out' },
    ]);
  });

  test('a deadline cancels the statement, and the session lives on', async () => {
    await withSession({}, async (session) => {
      const error = await rejection(session.query('SELECT pg_sleep(60)', [], { deadlineMs: 200 }));
      expect(error).toMatchObject({ code: 'ETIMEDOUT', message: expect.stringContaining('did not end within 0.2 s') });
      expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    });
  });

  test('a signal cancels the statement and gives its own reason', async () => {
    await withSession({}, async (session) => {
      const controller = new AbortController();
      const reason = new Interrupted('SIGTERM');
      setTimeout(() => controller.abort(reason), 200);
      expect(await rejection(session.script('SELECT pg_sleep(60)', { signal: controller.signal }))).toBe(reason);
      expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    });
  });

  test('cancel hits the statement under way and no other', async ({ untilAsleep }) => {
    await withSession({}, async (session) => {
      await session.cancel();
      expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      const error = rejection(session.query('SELECT pg_sleep(60)'));
      const next = session.query('SELECT 2 AS two');
      await untilAsleep(session);
      await session.cancel();
      expect(await error).toMatchObject({ code: '57014' });
      expect((await next).rows).toEqual([{ two: 2 }]);
    });
  });
});

describe('connections that break', () => {
  test('a session that an administrator ends', async ({ cluster, untilAsleep }) => {
    await withSession({}, async (session) => {
      const sleeping = rejection(session.query('SELECT pg_sleep(60)'));
      // an idle session that ends is another case, below
      await untilAsleep(session);
      await query(cluster, 0, 'postgres', 'SELECT pg_terminate_backend($1)', [session.backendPid]);
      expect(await sleeping).toMatchObject({ code: '57P01' });
      expect(session.isAlive).toBe(false);
      const after = await rejection(session.query('SELECT 1'));
      expect(classify(after)).toBe('transient');
    });
  });

  test('an idle session that ends is no uncaught exception, and is found dead', async ({ cluster }) => {
    await withSession({}, async (session) => {
      await query(cluster, 0, 'postgres', 'SELECT pg_terminate_backend($1, 5000)', [session.backendPid]);
      await expect.poll(() => session.isAlive).toBe(false);
      expect(await rejection(session.query('SELECT 1'))).toMatchObject({
        code: 'ECONNRESET',
        message: expect.stringContaining(
          `The connection to ${node.host}:${node.port} was lost: terminating connection`,
        ),
      });
    });
  });

  test('a server that accepts and says nothing', async () => {
    const { port, stop } = await silentServer();
    try {
      const startedAt = Date.now();
      const error = await rejection(
        connect({ node: { ...node, port }, database: 'postgres' }, access, { connectTimeoutMs: 300 }),
      );
      expect(error).toMatchObject({ code: 'ETIMEDOUT', message: `No answer from 127.0.0.1:${port} within 0.3 s` });
      expect(Date.now() - startedAt).toBeLessThan(2_000);
    } finally {
      await stop();
    }
  });

  test('connecting stops when the signal says so', async () => {
    const { port, stop } = await silentServer();
    try {
      const controller = new AbortController();
      const reason = new Interrupted('SIGINT');
      setTimeout(() => controller.abort(reason), 100);
      const options = { signal: controller.signal };
      expect(await rejection(connect({ node: { ...node, port }, database: 'postgres' }, access, options))).toBe(reason);
    } finally {
      await stop();
    }
  });

  test('a network that swallows everything while a statement runs', async () => {
    const relay = await startRelay(node);
    try {
      const at = { ...node, port: relay.port };
      const session = await connect({ node: at, database: 'postgres' }, access, { probeAfterMs: 200 });
      const waiting = rejection(session.query('SELECT pg_sleep(600)'));
      relay.refuse();
      const startedAt = Date.now();
      const error = await waiting;
      expect(Date.now() - startedAt).toBeLessThan(10_000);
      expect(error).toMatchObject({ code: 'ETIMEDOUT', message: expect.stringContaining('does not answer any more') });
      expect(session.isAlive).toBe(false);
      await session.close();
    } finally {
      await relay.stop();
    }
  });

  test('a name that has moved to another server, as after a failover', async ({ cluster }) => {
    const other = await startLocalCluster({ workers: 0, citus: 'none', password: cluster.password });
    const relay = await startRelay(node);
    try {
      const at = { ...node, port: relay.port };
      const session = await connect({ node: at, database: 'postgres' }, access, { probeAfterMs: 200 });
      const waiting = rejection(session.query('SELECT pg_sleep(600)'));
      relay.leadTo(nodeOf(other, 0));
      expect(await waiting).toMatchObject({
        code: 'ETIMEDOUT',
        message: expect.stringContaining('the server does not know this session any more'),
      });
      await session.close();
    } finally {
      await relay.stop();
      await other.stop();
    }
  });

  test('a long statement on a healthy server is left alone', async () => {
    await withSession({ probeAfterMs: 100 }, async (session) => {
      const { rows } = await session.query(`SELECT pg_sleep(1.5), 'done' AS state`);
      expect(rows).toMatchObject([{ state: 'done' }]);
    });
  });

  test('a statement that waits for a lock: who holds it is told, and not with which statement', async () => {
    const seen: string[] = [];
    const onProbe = (activity: Activity) => seen.push(describeActivity(activity));
    await withSession({ applicationName: 'holder' }, async (holder) => {
      await holder.script('BEGIN; SELECT pg_advisory_lock(4711)');
      await withSession({ probeAfterMs: 100, onProbe }, async (session) => {
        const waiting = session.query('SELECT pg_advisory_lock(4711)');
        await expect.poll(() => seen.length, { timeout: 30_000 }).toBeGreaterThan(0);
        await holder.query('SELECT pg_advisory_unlock(4711)');
        await waiting;
      });
      expect(seen[0]).toMatch(
        new RegExp(
          `^Still at it after \\d s: waits for ExclusiveLock on advisory that process ${holder.backendPid} \\(postgres, holder\\) holds; to end it: SELECT pg_terminate_backend\\(${holder.backendPid}\\)$`,
        ),
      );
    });
  });

  test('waits for locks have one budget together: who lets go and takes another lock does not hold a run up for ever', async () => {
    const lockBudget = new LockBudget(1_000);
    const later = () => performance.now() + 60_000;
    await withSession({ applicationName: 'holder' }, async (holder) => {
      await withSession({ probeAfterMs: 100 }, async (session) => {
        let waits = 0;
        const waitAgain = async () => {
          await holder.script('SELECT pg_advisory_lock(4712)');
          const waiting = session.query('SELECT pg_advisory_lock(4712)', [], { lockDeadline: later(), lockBudget });
          const released = sleep(600).then(() => holder.query('SELECT pg_advisory_unlock(4712)'));
          await Promise.all([waiting, released]).finally(() => released);
          await session.query('SELECT pg_advisory_unlock(4712)');
          waits += 1;
        };
        const error = await rejection(
          (async () => {
            while (waits < 20) await waitAgain();
          })(),
        );
        expect(error).toMatchObject({
          message: expect.stringMatching(
            /gave up after \d s: it waits for .* that process \d+ \(postgres, holder\) holds; .*This run has waited 1 s for locks altogether$/,
          ),
        });
        expect(classify(error)).toBe('permanent');
        expect(waits).toBeLessThan(6);
      });
    });
  });

  test('close ends the session on the server, also while a statement runs, and twice', async ({ cluster }) => {
    const session = await connect({ node, database: 'postgres' }, access, { applicationName: 'closing' });
    const running = rejection(session.query('SELECT pg_sleep(1)'));
    await session.close();
    await session.close();
    expect(classify(await running)).toBe('transient');
    expect(await rejection(session.query('SELECT 1'))).toMatchObject({ code: 'ECONNRESET' });
    const open = `SELECT FROM pg_stat_activity WHERE application_name = 'closing'`;
    await expect.poll(() => query(cluster, 0, 'postgres', open), { timeout: 5_000 }).toEqual([]);
  });
});

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return address.port;
}

async function listen(onSocket: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: portOf(server), stop };
}

function silentServer() {
  return listen(() => undefined);
}

/** Connections that are there stay as they are; new ones are refused, or go elsewhere. */
async function startRelay(first: { readonly host: string; readonly port: number }) {
  let target: { readonly host: string; readonly port: number } | undefined = first;
  const { port, stop } = await listen((socket) => {
    if (target === undefined) {
      socket.destroy();
      return;
    }
    const onward = connectSocket(target.port, target.host);
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
    socket.pipe(onward);
    onward.pipe(socket);
  });
  return {
    port,
    stop,
    refuse: () => {
      target = undefined;
    },
    leadTo: (other: { readonly host: string; readonly port: number }) => {
      target = other;
    },
  };
}
