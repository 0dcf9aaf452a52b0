import pg from 'pg';
import { expect, test } from 'vitest';
import { Semaphore } from '../../../src/concurrency/semaphore.ts';
import { splitScript } from '../../../src/initSql/splitScript.ts';
import type { Session } from '../../../src/postgres/connection.ts';
import { executeAsRole } from '../../../src/reconcile/executeAsRole.ts';
import type { Run } from '../../../src/reconcile/run.ts';

test('a committed statement is not executed again when its row cannot be written for a reason that passes', async () => {
  const { units } = await splitScript('INSERT INTO t VALUES (1)');
  let committed = 0;
  let failures = 0;
  const run: Run = {
    database: 'skymap',
    coordinator: 'c',
    sessions: undefined as never,
    signal: new AbortController().signal,
    assertLock: async () => undefined,
    label: (node) => `w${node.group}`,
    deadline: () => performance.now() + 2_000,
    session: () => Promise.reject(new Error('not used')),
    lockLimits: (lockDeadline) => ({ lockDeadline }),
    interruptible: (action) => action(),
    loginAs: () => Promise.reject(new Error('not used')),
    proofs: new Semaphore(1),
    withoutSuperuser: false,
  };
  const session = {
    isAlive: true,
    script: async () => [],
    query: async () => ({ rows: [{ transaction: '4711' }] }),
    pipeline: async () => {
      committed += 1;
    },
  } as unknown as Session;
  const ledger = {
    isAlive: true,
    script: async (text: string) => {
      if (text.includes("SET state = 'done'") && failures === 0) {
        failures += 1;
        throw Object.assign(new pg.DatabaseError('could not serialize access', 0, 'error'), { code: '40001' });
      }
      return [{ rows: [{ table_version: '1' }] }];
    },
  } as unknown as Session;
  const work = { kind: 'run', replay: [], pending: units, gone: [] } as const;
  const log = { line: () => undefined, warn: () => undefined };
  await expect(executeAsRole({ run, log, session, ledger }, work)).rejects.toThrow('the statement took effect');
  expect({ committed, failures }).toEqual({ committed: 1, failures: 1 });
});
