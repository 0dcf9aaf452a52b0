import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { Messages, type Step } from '../../../src/postgres/extendedMessages.ts';
import { AheadQuery, type Answered, type Group } from '../../../src/postgres/sendAhead.ts';

/** The types of the messages in what was written, one letter each, as the protocol has them. */
function typesIn(bytes: Buffer): string {
  let types = '';
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) types += String.fromCharCode(bytes[at] ?? 0);
  return types;
}

interface Attempt {
  readonly query: AheadQuery;
  readonly written: string[];
  readonly answers: Answered[];
  /** How many groups were asked for. */
  readonly asked: () => number;
}

function start(groups: readonly Group[]): Attempt {
  const written: string[] = [];
  const answers: Answered[] = [];
  let asked = 0;
  function* each(): Iterator<Group> {
    for (const group of groups) {
      asked += 1;
      yield group;
    }
  }
  const query = new AheadQuery({ groups: each(), onAnswer: (answer) => answers.push(answer) });
  const connection = { stream: { write: (bytes: Buffer) => written.push(typesIn(bytes)) } };
  query.submit(connection as unknown as pg.Connection);
  return { query, written, answers, asked: () => asked };
}

function group(quick: boolean, text = 'SELECT 1'): Group {
  return { quick, steps: [{ kind: 'statement', sql: text }] };
}

const UNIT = 'PBE';

describe('what goes out', () => {
  test('nothing long waits behind an answer that nobody asked for', () => {
    const { written } = start([group(true), group(false), group(true)]);
    expect(written).toEqual([`${UNIT}H${UNIT}H${UNIT}S`]);
  });

  test('quick groups share a Flush', () => {
    const { written } = start(Array.from({ length: 20 }, () => group(true)));
    expect(written.join('')).toBe(`${UNIT.repeat(8)}H${UNIT.repeat(8)}H${UNIT.repeat(4)}S`);
  });

  test('64 groups at most are under way, and half of them are answered before more go out', () => {
    const { query, asked, written } = start(Array.from({ length: 200 }, () => group(true)));
    expect(asked()).toBe(64);
    for (let answered = 1; answered < 32; answered += 1) query.handleCommandComplete();
    expect(asked()).toBe(64);
    query.handleCommandComplete();
    expect(asked()).toBe(96);
    expect(written).toHaveLength(2);
  });

  test('so are a million bytes, but for a single group that is larger', () => {
    const large = group(true, 'x'.repeat(400_000));
    expect(start(Array.from({ length: 9 }, () => large)).asked()).toBe(3);
    expect(start(Array.from({ length: 9 }, () => group(true, 'x'.repeat(3_000_000)))).asked()).toBe(1);
  });

  test('after an error there is nothing but Sync, which ends what the server skips', async () => {
    const { query, asked, written } = start(Array.from({ length: 200 }, () => group(true)));
    query.handleError(new pg.DatabaseError('division by zero', 0, 'error'));
    query.handleCommandComplete();
    query.handleReadyForQuery();
    expect(asked()).toBe(64);
    expect(written.slice(1)).toEqual(['S']);
    await expect(query.done).rejects.toThrow('division by zero');
  });

  test('a Sync that is on its way is not sent again', async () => {
    const { query, written } = start([group(true)]);
    query.handleError(new Error('no'));
    expect(written).toEqual([`${UNIT}S`]);
    await expect(query.done).rejects.toThrow('no');
  });
});

test('answers tell which step of which group they belong to; naming a statement has none', async () => {
  const { query, answers } = start([
    {
      quick: true,
      steps: [
        { kind: 'statement', sql: 'BEGIN' },
        { kind: 'parse', name: 'a', sql: 'SELECT 1' },
        { kind: 'statement', sql: 'COMMIT' },
      ],
    },
    { quick: true, steps: [{ kind: 'prepared', name: 'a', values: [] }] },
  ]);
  for (let answered = 0; answered < 3; answered += 1) query.handleCommandComplete();
  query.handleReadyForQuery();
  await query.done;
  expect(answers).toEqual([
    { group: 0, step: 0, last: false },
    { group: 0, step: 2, last: true },
    { group: 1, step: 0, last: true },
  ]);
});

function bytesOf(...steps: readonly Step[]): string {
  const messages = new Messages();
  for (const step of steps) messages.step(step);
  return messages.bytes().toString('hex');
}

describe('messages', () => {
  test('have the bytes of the protocol', () => {
    expect(bytesOf({ kind: 'statement', sql: 'é' })).toBe(
      // Parse '' 'é' without types; Bind '' '' without anything; Execute '' without limit
      '500000000a' +
        '00' +
        'c3a900' +
        '0000' +
        '420000000c' +
        '0000' +
        '000000000000' +
        '4500000009' +
        '00' +
        '00000000',
    );
    expect(bytesOf({ kind: 'parse', name: 'n', sql: 'S' })).toBe(
      '4300000007' + '53' + '6e00' + '500000000a' + '6e00' + '5300' + '0000',
    );
    expect(bytesOf({ kind: 'prepared', name: 'n', values: ['ab'] })).toBe(
      '4200000013' + '00' + '6e00' + '0000' + '0001' + '00000002' + '6162' + '0000' + '4500000009' + '00' + '00000000',
    );
    const messages = new Messages();
    messages.flush();
    messages.sync();
    expect(messages.bytes().toString('hex')).toBe('4800000004' + '5300000004');
  });

  test('are the same however large, and in a buffer that was used before', () => {
    const steps = ['x', 'é'.repeat(50_000), 'y'.repeat(300_000), 'z'].flatMap((text): readonly Step[] => [
      { kind: 'statement', sql: text },
      { kind: 'prepared', name: 'n', values: [text, ''] },
    ]);
    const one = steps.map((step) => bytesOf(step)).join('');
    expect(bytesOf(...steps)).toBe(one);
    const messages = new Messages();
    for (const step of steps.toReversed()) messages.step(step);
    messages.clear();
    for (const step of steps) messages.step(step);
    expect(messages.bytes().toString('hex')).toBe(one);
  });
});

test('a buffer is filled again only once it has been written', () => {
  const writes: { readonly bytes: Buffer; readonly copy: Buffer; readonly done: () => void }[] = [];
  const query = new AheadQuery({
    groups: Array.from({ length: 300 }, (_, index) => group(true, `SELECT ${index}`)).values(),
    onAnswer: () => undefined,
  });
  const write = (bytes: Buffer, done: () => void) => writes.push({ bytes, copy: Buffer.from(bytes), done });
  query.submit({ stream: { write } } as unknown as pg.Connection);
  for (let answered = 0; answered < 100; answered += 1) query.handleCommandComplete();
  expect(writes).toHaveLength(4);
  for (const { bytes, copy } of writes) expect(bytes.equals(copy)).toBe(true);
  writes[0]?.done();
  for (let answered = 0; answered < 32; answered += 1) query.handleCommandComplete();
  expect(writes[4]?.bytes.buffer).toBe(writes[0]?.bytes.buffer);
  for (const { bytes, copy } of writes.slice(1)) expect(bytes.equals(copy)).toBe(true);
});
