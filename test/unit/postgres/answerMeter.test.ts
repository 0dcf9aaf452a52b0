import { describe, expect, test } from 'vitest';
import {
  AnswerMeter,
  AnswerTooLarge,
  type Kept,
  LARGEST_ANSWER,
  LONGEST_NOTE,
} from '../../../src/postgres/answerMeter.ts';

function message(type: string, body: number | Buffer = 0): Buffer {
  const content = typeof body === 'number' ? Buffer.alloc(body) : body;
  const head = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  head.writeInt32BE(4 + content.length, 1);
  return Buffer.concat([head, content]);
}

function header(type: string, length: number): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  head.writeUInt32BE(length, 1);
  return head;
}

function meter(kept: Kept): AnswerMeter {
  const made = new AnswerMeter();
  made.begin(kept);
  return made;
}

/** How many times a chunk is taken until it is refused; undefined: it is not. */
function takes(taken: AnswerMeter, chunk: Buffer, most: number): number | undefined {
  for (let index = 0; index < most; index += 1) {
    try {
      taken.take(chunk);
    } catch (error) {
      if (!(error instanceof AnswerTooLarge)) throw error;
      return index;
    }
  }
  return undefined;
}

test.each<[Kept, number]>([
  ['login', 100_000],
  ['all', LARGEST_ANSWER + 1],
  ['nothing', LARGEST_ANSWER + 1],
  ['nothing', 0xff_ff_ff_f0],
])('a message that says it is too large is refused before it comes (%s, %d bytes)', (kept, length) => {
  expect(() => meter(kept).take(header('D', length))).toThrow(AnswerTooLarge);
});

test('one that is as large as may be is taken', () => {
  const taken = meter('all');
  taken.take(header('D', LARGEST_ANSWER - 1));
  expect(takes(taken, Buffer.alloc(1_000_000), 60)).toBeUndefined();
});

test('a message that is shorter than its own length is no message', () => {
  expect(() => meter('all').take(header('D', 3))).toThrow('shorter than its own length');
});

describe('what is handed on', () => {
  function handedOn(bytes: Buffer, size: number): Buffer {
    const taken = meter('nothing');
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) parts.push(taken.take(bytes.subarray(at, at + size)));
    return Buffer.concat(parts);
  }

  const small = [message('T', 20), message('N', 7), message('D'), message('E', 300), message('Z', 1)];

  test.each([1, 2, 3, 4, 5, 7, 100, 100_000])('everything, where all is small, in pieces of %d', (size) => {
    const bytes = Buffer.concat([...small, ...small]);
    expect(handedOn(bytes, size)).toEqual(bytes);
  });

  const text = (letter: string, bytes: number) => `${letter}${letter.repeat(bytes)}\0`;
  const long = (type: string) =>
    message(type, Buffer.from(`SERROR\0CP0001\0${text('M', 40_000)}${text('D', 1_000_000)}${text('H', 9)}\0`));

  test.each([7, 1000, 65_536, 20_000_000])('of errors and warnings the first 64 KB, in pieces of %d', (size) => {
    for (const type of ['E', 'N']) {
      const handed = handedOn(Buffer.concat([...small, long(type), ...small]), size);
      const around = Buffer.concat(small);
      expect(handed.subarray(0, around.length)).toEqual(around);
      expect(handed.subarray(-around.length)).toEqual(around);
      const note = handed.subarray(around.length, -around.length);
      expect(note.toString('latin1', 0, 1)).toBe(type);
      expect(note.readUInt32BE(1)).toBe(note.length - 1);
      expect(note.length).toBe(5 + LONGEST_NOTE + 2);
      const fields = note.toString('latin1', 5).split('\0');
      expect(fields.slice(0, 3)).toEqual(['SERROR', 'CP0001', 'M'.repeat(40_001)]);
      expect(fields[3]).toMatch(/^D{20000,}$/);
      expect(fields.slice(4)).toEqual(['', '']);
    }
  });

  test('of an error of 4 GB too', () => {
    const taken = meter('all');
    taken.take(header('E', 0xff_ff_ff_f0));
    expect(takes(taken, Buffer.alloc(1_000_000, 'x'), 1000)).toBeUndefined();
  });
});

describe('messages without end', () => {
  const megabyte = Buffer.concat(Array.from({ length: 1000 }, () => message('D', 1000)));

  test('are refused where they are kept', () => {
    expect(takes(meter('all'), megabyte, 1000)).toBeGreaterThan(50);
    expect(takes(meter('all'), megabyte, 1000)).toBeLessThan(70);
  });

  test('are taken where they are dropped', () => {
    expect(takes(meter('nothing'), megabyte, 1000)).toBeUndefined();
  });

  test.each(['C', 'T', 'N', 'Z', 'E'])('%s, which take more memory than they have bytes', (type) => {
    const small = Buffer.concat(Array.from({ length: 1000 }, () => message(type, 10)));
    expect(takes(meter('all'), small, 1000)).toBeLessThan(150);
  });

  test('errors, of which a statement has one', () => {
    const errors = Buffer.concat(Array.from({ length: 1000 }, () => message('E', 100)));
    expect(takes(meter('nothing'), errors, 1000)).toBeLessThan(10);
  });

  test('in small pieces: each is weighed once', () => {
    const bytes = Buffer.concat([message('T', 20), message('D', 7), message('D'), message('C', 300), message('Z', 1)]);
    for (let size = 1; size <= bytes.length; size += 1) {
      const taken = meter('login');
      let rounds = 0;
      const round = () => {
        for (let at = 0; at < bytes.length; at += size) taken.take(bytes.subarray(at, at + size));
        rounds += 1;
      };
      // Three weigh 512, and two 128.
      const most = Math.floor(65_536 / (3 * 512 + 2 * 128));
      while (rounds < most) round();
      expect(round).toThrow(AnswerTooLarge);
    }
  });

  test('values in one row, which take more memory as JSON than they have bytes', () => {
    for (const [json, kept, refused] of [
      ['{},', 'all', true],
      ['{},', 'nothing', false],
      [`{"hash": "${'a'.repeat(64)}", "statement": "SELECT 1", "state": "done", "line": 1},`, 'all', false],
    ] as const) {
      const taken = meter(kept);
      taken.take(header('D', 60_000_000));
      const piece = Buffer.from(json.repeat(Math.ceil(65_536 / json.length)));
      expect(takes(taken, piece, 900) !== undefined).toBe(refused);
    }
  });

  test('the next answer begins anew', () => {
    const taken = meter('all');
    for (let index = 0; index < 5; index += 1) {
      expect(takes(taken, megabyte, 50)).toBeUndefined();
      taken.begin('all');
    }
  });
});
