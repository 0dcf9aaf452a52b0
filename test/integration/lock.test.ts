import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect } from 'vitest';
import {
  databaseLock,
  describeHolder,
  type LockHolder,
  registrationLock,
  withLock,
} from '../../src/postgres/advisoryLock.ts';
import { connect, type Session } from '../../src/postgres/connection.ts';
import { Failure, Interrupted } from '../../src/report/errors.ts';
import { type Access, loadAccess } from '../../src/secrets/credentials.ts';
import { clusterSpec, NO_SSL, nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';

const test = clusterTest({ workers: 0, citus: 'none' }).extend(
  'open',
  { scope: 'file' },
  ({ cluster }) =>
    async (applicationName = 'citus-databases apply skymap'): Promise<Session> => {
      const node = clusterSpec(cluster).coordinator;
      const session = await connect({ node, database: 'postgres' }, access, { applicationName });
      sessions.push(session);
      return session;
    },
);
let access: Access;
const sessions: Session[] = [];

test.beforeAll(async ({ cluster }) => {
  access = await loadAccess({ cluster: clusterSpec(cluster), ssl: NO_SSL });
});
afterAll(async () => {
  await Promise.all(sessions.map((session) => session.close()));
});

function soon(milliseconds: number): { readonly deadline: number } {
  return { deadline: performance.now() + milliseconds };
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error(`Not a Failure: ${error}`);
  return error;
}

describe('keys', () => {
  test('stay as they are between versions, and differ', () => {
    expect(databaseLock('skymap').key).toMatchInlineSnapshot(`"-3016356705350801229"`);
    expect(registrationLock().key).toMatchInlineSnapshot(`"-747320299150334269"`);
    const keys = ['skymap', 'Skymap', 'worker-registration', 'Üñí', ''].map((name) => databaseLock(name).key);
    expect(new Set([...keys, registrationLock().key]).size).toBe(6);
    for (const key of keys) expect(BigInt.asIntN(64, BigInt(key)).toString()).toBe(key);
  });
});

describe('withLock', () => {
  test('one at a time: twenty sessions never meet', async ({ open }) => {
    let inside = 0;
    let most = 0;
    const all = await Promise.all(Array.from({ length: 20 }, () => open()));
    await Promise.all(
      all.map((session) =>
        withLock(session, databaseLock('busy'), soon(60_000), async () => {
          inside += 1;
          most = Math.max(most, inside);
          await delay(5);
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    await Promise.all(all.map((session) => session.close()));
  });

  test('keys do not hinder each other, negative ones included', async ({ open }) => {
    const names = Array.from({ length: 8 }, (_, at) => `database ${at}`);
    expect(names.some((name) => databaseLock(name).key.startsWith('-'))).toBe(true);
    expect(names.some((name) => !databaseLock(name).key.startsWith('-'))).toBe(true);
    const session = await open();
    const held = async (left: readonly string[]): Promise<number> => {
      const [name, ...rest] = left;
      if (name === undefined) return 0;
      const other = await open();
      return withLock(other, databaseLock(name), soon(0), async (lock) => {
        await lock.assertHeld();
        return 1 + (await held(rest));
      });
    };
    expect(await withLock(session, registrationLock(), soon(0), () => held(names))).toBe(names.length);
  });

  test('who waits is told for whom, once, and gets the lock when it is free', async ({ cluster, open }) => {
    const [first, second] = [await open('citus-databases apply skymap'), await open()];
    const holders: LockHolder[] = [];
    const order: string[] = [];
    await withLock(first, databaseLock('skymap'), soon(0), async () => {
      const waiting = withLock(
        second,
        databaseLock('skymap'),
        { ...soon(30_000), onWait: (holder) => holders.push(holder) },
        async () => order.push('second'),
      );
      await delay(1_500);
      order.push('first');
      return { waiting };
    }).then(({ waiting }) => waiting);
    expect(order).toEqual(['first', 'second']);
    expect(holders).toEqual([
      {
        pid: first.backendPid,
        role: cluster.superuser,
        applicationName: 'citus-databases apply skymap',
        clientAddress: '127.0.0.1',
        since: expect.any(Date),
      },
    ]);
    expect(Math.abs(Date.now() - (holders[0]?.since?.getTime() ?? 0))).toBeLessThan(60_000);
  });

  test('the wait ends at its deadline, and says who was there', async ({ cluster, open }) => {
    const [first, second] = [await open('citus-databases apply skymap'), await open()];
    const failure = await withLock(first, databaseLock('skymap'), soon(0), () =>
      failureOf(withLock(second, databaseLock('skymap'), soon(700), async () => undefined)),
    );
    const message = failure.message
      .replaceAll(String(nodeOf(cluster, 0).port), 'PORT')
      .replaceAll(String(first.backendPid), 'PID')
      .replace(/since [^)]*/, 'since THEN');
    expect(message).toMatchInlineSnapshot(`
      "The lock of database 'skymap' was not free in time (node 127.0.0.1:PORT, database postgres)
        Cause: held by citus-databases apply skymap (process PID, from 127.0.0.1, since THEN)
        Next: Let the other run end, then run again. If it is dead, end its session: SELECT pg_terminate_backend(PID) in database postgres of that node"
    `);
  });

  test('the wait ends when the signal says so', async ({ open }) => {
    const [first, second] = [await open(), await open()];
    const controller = new AbortController();
    const reason = new Interrupted('SIGTERM');
    setTimeout(() => controller.abort(reason), 300);
    await withLock(first, databaseLock('skymap'), soon(0), async () => {
      const options = { ...soon(30_000), signal: controller.signal };
      await expect(withLock(second, databaseLock('skymap'), options, async () => undefined)).rejects.toBe(reason);
    });
  });

  test('the lock is free after an error, whose message goes on', async ({ open }) => {
    const [first, second] = [await open(), await open()];
    const boom = new Error('boom');
    await expect(withLock(first, databaseLock('skymap'), soon(0), () => Promise.reject(boom))).rejects.toBe(boom);
    expect(await withLock(second, databaseLock('skymap'), soon(0), async () => 'taken')).toBe('taken');
  });

  test('the lock is free after a failed transaction was left open', async ({ open }) => {
    const [first, second] = [await open(), await open()];
    await withLock(first, databaseLock('skymap'), soon(0), async () => {
      await first.script('BEGIN; SELECT 1 / 0').catch(() => undefined);
      expect(first.transactionStatus).toBe('E');
    });
    await expect
      .poll(() => withLock(second, databaseLock('skymap'), soon(0), async () => 'taken').catch(() => 'held'))
      .toBe('taken');
  });
});

describe('assertHeld', () => {
  test('notices a session that was ended', async ({ cluster, open }) => {
    const [first, second] = [await open(), await open()];
    const failure = await withLock(first, databaseLock('skymap'), soon(0), async (lock) => {
      await lock.assertHeld();
      await query(cluster, 0, 'postgres', 'SELECT pg_terminate_backend($1, 5000)', [first.backendPid]);
      await withLock(second, databaseLock('skymap'), soon(5_000), async () => undefined);
      return failureOf(lock.assertHeld());
    });
    expect(failure.details).toMatchObject({
      kind: 'failed',
      what: "The lock of database 'skymap' was lost on the way",
    });
  });

  test('notices a lock that was let go', async ({ open }) => {
    const first = await open();
    const failure = await withLock(first, registrationLock(), soon(0), async (lock) => {
      await first.query('SELECT pg_advisory_unlock_all()');
      return failureOf(lock.assertHeld());
    });
    expect(failure.details).toMatchObject({
      what: 'The lock of worker registration was lost on the way',
      cause: 'the session no longer holds it',
    });
  });

  test('the same key in another database is another lock, whose holder nobody waits for', async ({ cluster, open }) => {
    const node = clusterSpec(cluster).coordinator;
    const others = ['elsewhere', 'nowhere'];
    for (const database of others) await query(cluster, 0, 'postgres', `CREATE DATABASE ${database}`);
    const [below, above] = await Promise.all(others.map((database) => connect({ node, database }, access)));
    if (below === undefined || above === undefined) throw new Error('Two sessions were opened');
    sessions.push(below, above);
    const [here, waiting] = [await open(), await open()];
    const lock = databaseLock('skymap');
    const holders: number[] = [];
    const onWait = ({ pid }: LockHolder) => holders.push(pid);
    await withLock(below, lock, soon(0), () =>
      withLock(here, lock, soon(0), () =>
        withLock(above, lock, soon(0), () =>
          failureOf(withLock(waiting, lock, { ...soon(500), onWait }, async () => undefined)),
        ),
      ),
    );
    expect(holders).toEqual([here.backendPid]);
  });
});

describe('runs as superuser and runs without one, which take the lock in the declared database', () => {
  const lock = databaseLock('shared');
  const ofSuperusers = { database: 'postgres', of: 'superusers' } as const;
  const ofOthers = { database: 'shared', of: 'others' } as const;

  test.beforeAll(async ({ cluster }) => {
    await query(cluster, 0, 'postgres', "CREATE ROLE sharer LOGIN PASSWORD 'of the sharer'");
    await query(cluster, 0, 'postgres', 'CREATE DATABASE shared OWNER sharer');
    await query(cluster, 0, 'postgres', "CREATE ROLE guest LOGIN PASSWORD 'of the sharer'");
  });

  async function sharer(cluster: Parameters<typeof clusterSpec>[0], user = 'sharer'): Promise<Session> {
    const place = { node: clusterSpec(cluster).coordinator, database: 'shared' };
    const as = { ...access, user, password: 'of the sharer' };
    const session = await connect(place, as, { applicationName: 'citus-databases apply shared' });
    sessions.push(session);
    return session;
  }

  test('wait for each other', async ({ cluster, open }) => {
    const [superuser, owner] = [await open(), await sharer(cluster)];
    const order: string[] = [];
    const waited: string[] = [];
    const onWait = (holder: LockHolder) => waited.push(describeHolder(holder).replace(/process \d+|since [^)]*/g, '…'));
    const first = await withLock(owner, lock, { ...soon(0), elsewhere: ofSuperusers }, async () => {
      const second = withLock(superuser, lock, { ...soon(30_000), elsewhere: ofOthers, onWait }, async () => {
        const third = withLock(owner, lock, { ...soon(30_000), elsewhere: ofSuperusers, onWait }, async () =>
          order.push('without'),
        );
        await expect.poll(() => waited.length).toBe(2);
        order.push('superuser');
        return { third };
      });
      await expect.poll(() => waited.length).toBe(1);
      order.push('without');
      return { second };
    });
    await (await first.second).third;
    expect(order).toEqual(['without', 'superuser', 'without']);
    expect(waited).toEqual([
      'held by citus-databases apply shared (…, from 127.0.0.1, …)',
      `held by citus-databases apply skymap (…, of ${cluster.superuser})`,
    ]);
  });

  test('who is no superuser holds a superuser up for a while, and not longer', async ({ cluster, open }) => {
    const [superuser, owner] = [await open(), await sharer(cluster)];
    const ended: number[] = [];
    const failure = await withLock(owner, lock, { ...soon(0), elsewhere: ofSuperusers }, async (held) => {
      const options = { ...soon(30_000), heldUpMs: 300, elsewhere: ofOthers };
      const onEnded = ({ pid }: LockHolder) => ended.push(pid);
      await withLock(superuser, lock, { ...options, onEnded }, async () => undefined);
      return failureOf(held.assertHeld());
    });
    expect(ended).toEqual([owner.backendPid]);
    expect(failure.message).toContain('was lost on the way');
  });

  test('who may only connect does not hold a superuser up, nor end the wait for a run', async ({ cluster, open }) => {
    const [superuser, guest, owner] = [await open(), await sharer(cluster, 'guest'), await sharer(cluster)];
    const ended: number[] = [];
    const waited: number[] = [];
    const options = {
      ...{ ...soon(30_000), elsewhere: ofOthers },
      onEnded: ({ pid }: LockHolder) => ended.push(pid),
      onWait: ({ pid }: LockHolder) => waited.push(pid),
    };
    const take = 'SELECT pg_advisory_lock_shared($1::bigint)';
    for (const session of [guest, owner]) await session.query(take, [lock.key]);
    const superusers = withLock(superuser, lock, options, async () => 'taken');
    await expect.poll(() => waited).toEqual([owner.backendPid]);
    expect(ended).toEqual([guest.backendPid]);
    await owner.close();
    expect(await superusers).toBe('taken');
    expect(ended).toEqual([guest.backendPid]);
  });

  test("nobody holds a run without superuser up in a superuser's name", async ({ cluster }) => {
    const [owner, other] = [await sharer(cluster), await sharer(cluster)];
    const node = clusterSpec(cluster).coordinator;
    const as = { ...access, user: 'sharer', password: 'of the sharer' };
    const planted = await connect({ node, database: 'postgres' }, as);
    sessions.push(planted);
    await planted.query('SELECT pg_advisory_lock($1::bigint)', [lock.key]);
    expect(await withLock(owner, lock, { ...soon(0), elsewhere: ofSuperusers }, async () => 'taken')).toBe('taken');
    expect(await withLock(other, lock, { ...soon(0), elsewhere: ofSuperusers }, async () => 'taken')).toBe('taken');
  });
});

test('describeHolder', () => {
  const since = new Date('2026-01-02T03:04:05Z');
  expect(describeHolder({ pid: 7, role: 'postgres', applicationName: '', clientAddress: undefined, since })).toBe(
    'held by a session without a name (process 7, from a local socket, since 2026-01-02T03:04:05.000Z)',
  );
});
