import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Lanes } from '../../../src/report/lanes.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Lanes a, b, c …, and what they print: `label|text`, indented by depth. */
function start(...labels: readonly string[]) {
  const printed: string[] = [];
  const print =
    (label: string, mark: string) =>
    (text: string, depth = 0) => {
      printed.push(`${label}|${'  '.repeat(depth)}${mark}${text}`);
    };
  const lanes = new Lanes(labels, (label) => ({ line: print(label, ''), warn: print(label, 'WARNING: ') }), 15);
  /** What was printed since the last call. */
  const news = () => printed.splice(0);
  return { lanes, news };
}

describe('order', () => {
  test('the first unfinished lane is told live, once it does something; the others are held back', () => {
    const { lanes, news } = start('a', 'b');
    const [a, b] = [lanes.lane(0), lanes.lane(1)];
    b.changing();
    b.line('Making...', 1);
    a.line('Ready', 1);
    expect(news()).toEqual([]);
    a.changing();
    a.line('Making...', 1);
    expect(news()).toEqual(['a|  Ready', 'a|  Making...']);
    a.line('Made');
    expect(news()).toEqual(['a|Made']);
    b.line('Made');
    expect(news()).toEqual([]);
    a.finish();
    expect(news()).toEqual(['b|  Making...', 'b|Made']);
    b.line('More');
    expect(news()).toEqual(['b|More']);
    b.finish();
    lanes.close();
    expect(news()).toEqual([]);
  });

  test('lanes that end out of order are told in order', () => {
    const { lanes, news } = start('a', 'b', 'c');
    for (const [index, name] of [
      [2, 'c'],
      [1, 'b'],
    ] as const) {
      lanes.lane(index).line(`${name} works...`);
      lanes.lane(index).finish();
    }
    expect(news()).toEqual([]);
    lanes.lane(0).changing();
    lanes.lane(0).line('a works...');
    lanes.lane(0).finish();
    expect(news()).toEqual(['a|a works...', 'b|b works...', 'c|c works...']);
  });

  test('a warning is told live', () => {
    const { lanes, news } = start('a');
    lanes.lane(0).warn('Odd', 1);
    expect(news()).toEqual(['a|  WARNING: Odd']);
    lanes.close();
  });
});

describe('failure', () => {
  test('a lane that fails is told at once, in full, and not a second time', () => {
    const { lanes, news } = start('a', 'b', 'c');
    lanes.lane(0).changing();
    lanes.lane(0).line('a works...');
    lanes.lane(1).line('b is ready');
    lanes.lane(1).changing();
    lanes.lane(1).line('b works...');
    lanes.lane(2).changing();
    lanes.lane(2).line('c works...');
    news();
    lanes.lane(1).fail();
    expect(news()).toEqual(['b|b is ready', 'b|b works...']);
    lanes.lane(0).finish();
    expect(news()).toEqual(['c|c works...']);
    lanes.lane(2).finish();
    lanes.close();
    expect(news()).toEqual([]);
  });

  test('closing tells what was held back', () => {
    const { lanes, news } = start('a', 'b');
    lanes.lane(0).line('a is ready');
    lanes.lane(1).changing();
    lanes.lane(1).line('b works...');
    lanes.lane(1).finish();
    lanes.close();
    expect(news()).toEqual(['a|a is ready', 'b|b works...']);
  });
});

describe('lanes in which nothing was changed', () => {
  test('are told in one line as long as they say the same', () => {
    const { lanes, news } = start('a', 'b', 'c', 'd');
    for (const index of [0, 1]) {
      lanes.lane(index).line('is ready');
      lanes.lane(index).finish('already there');
    }
    expect(news()).toEqual([]);
    lanes.lane(2).finish('something else');
    expect(news()).toEqual(['a, b|  a, b: already there']);
    lanes.lane(3).changing();
    lanes.lane(3).line('Making...');
    expect(news()).toEqual(['c|  c: something else', 'd|Making...']);
    lanes.lane(3).finish();
    lanes.close();
    expect(news()).toEqual([]);
  });

  test('the last of them are told when all have ended', () => {
    const { lanes, news } = start('a', 'b');
    lanes.lane(1).finish('already there');
    lanes.lane(0).finish('already there');
    expect(news()).toEqual(['a, b|  a, b: already there']);
  });

  test('keep their lines when one of them warned', () => {
    const { lanes, news } = start('a', 'b');
    lanes.lane(1).line('is ready');
    lanes.lane(1).warn('Odd');
    lanes.lane(1).finish('already there');
    lanes.lane(0).finish('already there');
    expect(news()).toEqual(['a|  a: already there', 'b|is ready', 'b|WARNING: Odd']);
  });
});

describe('heartbeat', () => {
  test('tells what the lanes do after a silence, as often as it lasts', () => {
    const { lanes, news } = start('a', 'b', 'c');
    lanes.lane(0).line('Connecting', 2);
    lanes.lane(1).changing();
    lanes.lane(1).line('  Making...');
    lanes.lane(2).finish('already there');
    const beat = '|  ... 1 of 3 done; still at work: a (Connecting), b (Making...)';
    vi.advanceTimersByTime(14_999);
    expect(news()).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(news()).toEqual([beat]);
    vi.advanceTimersByTime(15_000);
    expect(news()).toEqual([beat]);
    lanes.close();
  });

  test('stays away while there are lines, and after the end', () => {
    const { lanes, news } = start('a');
    vi.advanceTimersByTime(14_000);
    lanes.lane(0).changing();
    lanes.lane(0).line('Making...');
    vi.advanceTimersByTime(1_000);
    expect(news()).toEqual(['a|Making...']);
    vi.advanceTimersByTime(15_000);
    expect(news()).toEqual(['|  ... 0 of 1 done; still at work: a (Making...)']);
    lanes.lane(0).finish();
    lanes.close();
    vi.advanceTimersByTime(60_000);
    expect(news()).toEqual([]);
  });

  test('names four lanes at most', () => {
    const { lanes, news } = start('a', 'b', 'c', 'd', 'e', 'f');
    vi.advanceTimersByTime(15_000);
    expect(news()).toEqual([
      '|  ... 0 of 6 done; still at work: a (waiting), b (waiting), c (waiting), d (waiting) and 2 more',
    ]);
    lanes.close();
  });
});

test('a lane that does not exist is a defect', () => {
  const { lanes } = start('a');
  expect(() => lanes.lane(1)).toThrow('there is no lane 1');
  lanes.close();
});
