import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { LogEntry } from '../../../src/report/log.ts';
import { Sections } from '../../../src/report/sections.ts';
import { createStepLog } from '../../../src/report/stepLog.ts';

const HEARTBEAT_SECONDS = 15;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function start(total: number, atOnce = false) {
  const entries: LogEntry[] = [];
  const log = createStepLog({ write: (entry) => entries.push(entry), ...(atOnce ? { atOnce } : {}) });
  const sections = new Sections(log, total, HEARTBEAT_SECONDS);
  /** What came out since the last look. */
  const shown = () => entries.splice(0).map(({ text }) => text);
  return { sections, shown };
}

test('the first unfinished section is live, the others come whole and in their order', () => {
  const { sections, shown } = start(3);
  const [a, b, c] = [sections.begin('a'), sections.begin('b'), sections.begin('c')];
  a.log.line('a1');
  b.log.line('b1');
  c.log.line('c1');
  expect(shown()).toEqual(['a1']);
  c.log.line('c2');
  c.end('done');
  expect(shown()).toEqual([]);
  b.log.line('b2');
  a.log.line('a2');
  expect(shown()).toEqual(['a2']);
  a.end('done');
  expect(shown()).toEqual(['b1', 'b2']);
  b.log.line('b3');
  expect(shown()).toEqual(['b3']);
  b.end('done');
  expect(shown()).toEqual(['c1', 'c2']);
});

test('one that begins when all before it have ended is live', () => {
  const { sections, shown } = start(2);
  sections.begin('a').end('done');
  sections.begin('b').log.line('b1');
  expect(shown()).toEqual(['b1']);
});

test('one that fails is told of at once and whole, and the live one says that it goes on', () => {
  const { sections, shown } = start(3);
  const [a, b, c] = [sections.begin('a'), sections.begin('b'), sections.begin('c')];
  a.log.line('a1');
  c.log.line('c1');
  c.log.error('c failed');
  expect(shown()).toEqual(['a1']);
  c.end('failed');
  expect(shown()).toEqual(['c1', 'c failed', '', "Database 'a' goes on:"]);
  a.log.line('a2');
  b.log.line('b1');
  a.end('done');
  b.end('done');
  expect(shown()).toEqual(['a2', 'b1']);
});

test('the live one that fails needs no such line, nor does one that has told nothing yet', () => {
  const { sections, shown } = start(3);
  const [a, b, c] = [sections.begin('a'), sections.begin('b'), sections.begin('c')];
  c.log.line('c1');
  c.end('failed');
  a.log.line('a1');
  a.end('failed');
  b.log.line('b1');
  expect(shown()).toEqual(['c1', 'a1', 'b1']);
});

test('what was held back is told in the end, as far as it got', () => {
  const { sections, shown } = start(2);
  const [a, b] = [sections.begin('a'), sections.begin('b')];
  b.log.line('b1');
  a.log.line('a1');
  sections.close();
  expect(shown()).toEqual(['a1', 'b1']);
});

test('lines of JSON are not held back', () => {
  const { sections, shown } = start(2, true);
  const [a, b] = [sections.begin('a'), sections.begin('b')];
  b.log.line('b1');
  a.log.line('a1');
  b.end('failed');
  expect(shown()).toEqual(['b1', 'a1']);
});

test('while the live one is silent, one line tells what the others do', () => {
  const { sections, shown } = start(9);
  const [a, ...others] = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => sections.begin(name));
  others[0]?.end('done');
  vi.advanceTimersByTime(HEARTBEAT_SECONDS * 1000);
  expect(shown()).toEqual(["... 1 of 9 databases ended; at work: 'a', 'c', 'd', 'e' and 1 more"]);
  a?.log.line('a1');
  vi.advanceTimersByTime(HEARTBEAT_SECONDS * 1000);
  expect(shown()).toEqual(['a1']);
  vi.advanceTimersByTime(HEARTBEAT_SECONDS * 1000);
  expect(shown()).toHaveLength(1);
  sections.close();
  vi.advanceTimersByTime(HEARTBEAT_SECONDS * 2000);
  expect(shown()).toEqual([]);
});

test('one database at a time needs no such line', () => {
  const { sections, shown } = start(2);
  sections.begin('a');
  vi.advanceTimersByTime(HEARTBEAT_SECONDS * 3000);
  expect(shown()).toEqual([]);
});
