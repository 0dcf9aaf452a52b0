import { describe, expect, test } from 'vitest';
import { rebalanceLock, takeLock } from '../../../src/postgres/advisoryLock.ts';
import type { Session } from '../../../src/postgres/connection.ts';

const NOBODY = { rows: [] };

/** A session that never gets the lock; `others` are who is ended at each look, one list a look. */
function losing(others: () => readonly { readonly pid: number; readonly role: string }[]): Session {
  const row = { application_name: 'psql', client_addr: '10.0.0.9', since: new Date('2026-01-02T03:04:05Z') };
  return {
    node: { host: 'node0', port: 5432 },
    database: 'postgres',
    script: async () => [{ rows: [{ taken: false }] }],
    query: async (text: string) => {
      if (!text.includes('pg_terminate_backend')) return NOBODY;
      return { rows: others().map((other) => ({ ...row, ...other })) };
    },
  } as unknown as Session;
}

describe('a lock that others take again and again', () => {
  test('is given up, without a deadline of its own, and names who takes it', async () => {
    let pid = 100;
    const session = losing(() => {
      pid += 1;
      return [{ pid, role: 'mallory' }];
    });
    const options = { deadline: Number.POSITIVE_INFINITY, heldUpMs: 100 };
    await expect(takeLock(session, rebalanceLock(), options)).rejects.toMatchObject({
      details: {
        kind: 'failed',
        what: 'The lock of rebalancing is taken again by sessions of "mallory" as soon as they are ended',
        cause: expect.stringContaining('process 1'),
        next: 'Stop that client, or keep it out: ALTER ROLE "mallory" NOLOGIN. Then run again',
      },
    });
  });

  test('is waited for as long as a run holds it in between', async () => {
    let asked = 0;
    const session = losing(() => {
      asked += 1;
      return asked % 2 === 0 ? [{ pid: asked, role: 'mallory' }] : [];
    });
    const options = { deadline: performance.now() + 1_500, heldUpMs: 100 };
    await expect(takeLock(session, rebalanceLock(), options)).rejects.toMatchObject({
      details: { what: 'The lock of rebalancing was not free in time' },
    });
  });
});
