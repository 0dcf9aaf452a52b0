import { expect } from 'vitest';
import { type ConnectOptions, connect, type Session } from '../../src/postgres/connection.ts';
import { classify } from '../../src/postgres/sqlstate.ts';
import { loadAccess } from '../../src/secrets/credentials.ts';
import { clusterSpec, NO_SSL } from '../support/cluster.ts';
import { type FaultProxy, startFaultProxy } from '../support/faultProxy.ts';
import { clusterTest } from '../support/fixtures.ts';

/** A node, or a proxy in front of it, that executes a statement, keeps the session open and never passes the answer on. */

const test = clusterTest({ workers: 0, citus: 'none' })
  .extend('proxy', { scope: 'file' }, async ({ cluster }, { onCleanup }) => {
    const proxy = await startFaultProxy(clusterSpec(cluster).coordinator);
    onCleanup(() => proxy.stop());
    return proxy;
  })
  .extend('throughProxy', { scope: 'file' }, ({ cluster, proxy }) => {
    const spec = clusterSpec(cluster);
    const node = { ...spec.coordinator, port: proxy.port };
    return async (use: (session: Session) => Promise<void>, options: ConnectOptions = {}) => {
      const access = await loadAccess({ cluster: spec, ssl: NO_SSL });
      const session = await connect({ node, database: 'postgres' }, access, { probeAfterMs: 200, ...options });
      // a first statement has the prelude of PostgreSQL 17 before it
      await session.query('SELECT 1');
      try {
        await use(session);
      } finally {
        await session.close();
      }
    };
  });

function swallowNext(proxy: FaultProxy, at = 1): void {
  proxy.reset({ at, moment: 'answered', swallowed: true });
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'it was answered',
    (error: unknown) => error,
  );
}

const WAYS: Readonly<Record<string, (session: Session) => Promise<unknown>>> = {
  'a question': (session) => session.query('SELECT 2'),
  'a script': (session) => session.script('CREATE TABLE made (); SELECT 3'),
  'statements that are sent together': (session) => session.pipeline(['BEGIN', 'SELECT 4', 'COMMIT']),
  'statements that are sent ahead': (session) =>
    session.sendAhead({
      groups: [{ steps: [{ kind: 'statement' as const, sql: 'SELECT 5' }], quick: true }].values(),
      onAnswer: () => {},
    }),
};

test.for(Object.keys(WAYS))(
  '%s: the session is ended, and the node named',
  { timeout: 30_000 },
  async (way, { proxy, throughProxy }) => {
    await throughProxy(async (session) => {
      swallowNext(proxy);
      const error = await rejection(WAYS[way]?.(session) ?? Promise.resolve());
      expect(proxy.struck()).toBe(true);
      expect(error).toMatchObject({
        code: 'ETIMEDOUT',
        message: expect.stringMatching(
          new RegExp(`^127.0.0.1:${proxy.port} does not answer any more: its server process waits for this program`),
        ),
      });
      expect(classify(error)).toBe('transient');
      expect(session.isAlive).toBe(false);
    });
  },
);

test('a statement that works for long, or whose rows are taken slowly, is left alone', { timeout: 30_000 }, async ({
  proxy,
  throughProxy,
}) => {
  proxy.reset();
  await throughProxy(async (session) => {
    const { rows } = await session.query(`SELECT pg_sleep(2), 'done' AS state`);
    expect(rows).toMatchObject([{ state: 'done' }]);
    await session.script(`SELECT repeat('x', 1000), pg_sleep(0.02) FROM generate_series(1, 100)`, { dropsRows: true });
  });
});
