import { expect, test } from 'vitest';
import { newLostAnswer } from '../../../src/postgres/lostAnswer.ts';

interface Look {
  readonly client: string | null;
  readonly read?: number;
  readonly unsent?: number;
}

function verdicts(looks: readonly Look[]): readonly boolean[] {
  const tcp = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  const isLost = newLostAnswer(tcp);
  return looks.map(({ client, read = 0, unsent = 0 }) => {
    tcp.bytesRead += read;
    tcp.writableLength = unsent;
    return isLost({ client });
  });
}

const READS = 'ClientRead 10:00:00';
const WRITES = 'ClientWrite 10:00:00';
const same = (count: number, look: Look): Look[] => Array.from({ length: count }, () => look);

test.each<[string, readonly Look[], readonly boolean[]]>([
  ['it works', same(4, { client: null }), [false, false, false, false]],
  ['it waits for us, and nothing moves', same(3, { client: READS }), [false, true, true]],
  ['it has begun something else meanwhile', [{ client: READS }, { client: 'ClientRead 10:00:30' }], [false, false]],
  ['it worked in between', [{ client: READS }, { client: null }, { client: READS }], [false, false, false]],
  ['it cannot get rid of rows', same(2, { client: WRITES }), [false, true]],
])('%s', (_, looks, expected) => {
  expect(verdicts(looks)).toEqual(expected);
});

test('rows that arrive slowly are waited for, as long as they arrive', () => {
  expect(verdicts(same(100, { client: WRITES, read: 1 }))).not.toContain(true);
});

test.each<[string, Partial<Look>]>([
  ['what goes out is waited for', { unsent: 1 }],
  ['an answer that trickles in is waited for', { read: 1 }],
])('%s, and not without an end', (_, look) => {
  expect(verdicts(same(22, { client: READS, ...look })).indexOf(true)).toBe(20);
});
