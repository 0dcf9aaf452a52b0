import { expect, test } from 'vitest';
import type { ScriptOptions, Session } from '../../../src/postgres/session.ts';
import { Sessions } from '../../../src/postgres/sessions.ts';
import { WriteBlock } from '../../../src/reconcile/writeBlock.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';

function node(group: number): NodeSpec {
  return { group, host: `n${group}`, port: 5432, nodeName: `n${group}`, nodePort: 5432 };
}

/** Begins a transaction, and then does what `lock` does. */
function session(lock: (signal: AbortSignal | undefined) => Promise<unknown>): Session {
  const script = async (text: string, { signal }: ScriptOptions = {}) => {
    if (!text.startsWith('BEGIN')) await lock(signal);
    return [];
  };
  return { isAlive: true, script } as unknown as Session;
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
}

test('a lock that cannot be had ends the wait for the others at once', async () => {
  const [first, second] = [node(1), node(2)];
  const sessions = new Sessions(async ({ group }) =>
    session(group === 1 ? () => Promise.reject(new Error('no such table')) : untilAborted),
  );
  const { signal } = new AbortController();
  const block = new WriteBlock({
    ...{ sessions, maintenance: sessions, signal, waitMs: 60_000 },
    label: ({ nodeName }) => nodeName,
  });
  const blockings = [first, second].map((each) => ({ node: each, database: 'shop' }));
  await expect(block.take(blockings, () => 'LOCK')).rejects.toMatchObject({
    details: { what: 'Failed to lock the metadata of Citus for the restore point', node: 'n1', database: 'shop' },
  });
});
