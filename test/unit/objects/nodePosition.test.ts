import { describe, expect, test } from 'vitest';
import { isFresh, type NodePosition, type ObservedPosition, setBack } from '../../../src/objects/nodePosition.ts';

const RECORDED: NodePosition = { system: '7', major: 15, timeline: 2, checkpoint: '1/A0000000' };
const NOW: ObservedPosition = {
  ...RECORDED,
  end: '1/B0000000',
  history: '1\t0/5000000\tno recovery target specified\n',
};

describe('a server that was set back', () => {
  test.each<[name: string, observed: Partial<ObservedPosition>, reason: RegExp | undefined]>([
    ['went on', {}, undefined],
    ['stands where it was', { end: '1/A0000000' }, undefined],
    ['went on beyond four gigabytes', { end: '2/0' }, undefined],
    [
      'is behind on the same timeline',
      { end: '1/9FFFFFFF' },
      /^its write-ahead log ends at 1\/9FFFFFFF and was at 1\/A0000000 of timeline 2$/,
    ],
    ['is on an earlier timeline', { timeline: 1, end: '9/0', history: null }, /^it is on timeline 1 and was/],
    [
      'failed over to a standby that had everything',
      { timeline: 3, history: '1\t0/5000000\tx\n2\t1/A0000060\tx\n' },
      undefined,
    ],
    ['failed over twice', { timeline: 4, history: '1\t0/5\tx\n2\t1/A0000000\tx\n3\t1/C0000000\tx\n' }, undefined],
    [
      'failed over to a standby that lagged',
      { timeline: 3, history: '1\t0/5\tx\n\n2\t1/9F000000\tx\n' },
      /^it left timeline 2 at 1\/9F000000 and was/,
    ],
    [
      'was recovered to yesterday',
      { timeline: 3, history: '1\t0/5\tx\n2\t0/FF000000\tbefore 2026-11-25\n' },
      /^it left timeline 2 at 0\/FF000000/,
    ],
    [
      'came to a later timeline by another way, as an older backup does that is recovered along its own timeline',
      { timeline: 3, history: '1\t0/30000A0\tno recovery target specified\n' },
      /^the history of its timeline 3 does not lead through timeline 2, and it was at 1\/A0000000 of timeline 2$/,
    ],
    [
      'has no history of its timeline any more',
      { timeline: 3, history: null },
      /^the history of its timeline 3 does not lead through timeline 2/,
    ],
    ['is another server, which its identifier tells', { system: '8', end: '0/1' }, undefined],
    ['was upgraded by pg_upgrade', { system: '8', major: 16, timeline: 1, end: '0/1', history: null }, undefined],
  ])('%s', (_, observed, reason) => {
    const found = setBack(RECORDED, { ...NOW, ...observed });
    if (reason === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(reason);
  });
});

describe('a timeline whose number was given a second time', () => {
  const recorded = { ...RECORDED, began: { timeline: 1, at: '0/5000000' } };
  test.each<[name: string, observed: Partial<ObservedPosition>, reason: RegExp | undefined]>([
    ['is the same one', {}, undefined],
    ['is written with more digits', { history: '1\t0/05000000\tx\n' }, undefined],
    [
      'came from an earlier place, and has grown since',
      { end: '9/0', history: '1\t0/4000000\tx\n' },
      /^its timeline 2 came from timeline 1 at 0\/4000000, and it was at 1\/A0000000 of timeline 2, which came from timeline 1 at 0\/5000000$/,
    ],
    [
      'came from another timeline',
      { timeline: 3, end: '9/0', history: '4\t0/5000000\tx\n2\t8/0\tx\n' },
      /^its timeline 2 came from timeline 4/,
    ],
    ['led to the next one', { timeline: 3, end: '9/0', history: '1\t0/5000000\tx\n2\t8/0\tx\n' }, undefined],
  ])('%s', (_, observed, reason) => {
    const found = setBack(recorded, { ...NOW, ...observed });
    if (reason === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(reason);
    // as an older version recorded it
    const untold = setBack(RECORDED, { ...NOW, ...observed });
    expect(untold).toBeUndefined();
  });

  test('the first timeline without a history file: where it was left is not known', () => {
    expect(setBack({ ...RECORDED, timeline: 1 }, { ...NOW, history: null })).toBeUndefined();
  });

  test('what an older version recorded is completed', () => {
    const known = { ...RECORDED, group: 1, seconds: 60 };
    expect(isFresh(known, NOW)).toBe(false);
    expect(isFresh({ ...known, timeline: 1 }, { ...NOW, timeline: 1, history: null })).toBe(true);
  });
});

test('a position is recorded again after an hour, a failover, or when the server is another one', () => {
  const known = { ...RECORDED, group: 1, seconds: 60, began: { timeline: 1, at: '0/5000000' } };
  expect(isFresh(known, NOW)).toBe(true);
  expect(isFresh({ ...known, seconds: 3600 }, NOW)).toBe(false);
  expect(isFresh(known, { ...NOW, timeline: 3 })).toBe(false);
  expect(isFresh(known, { ...NOW, system: '8' })).toBe(false);
  expect(isFresh(undefined, NOW)).toBe(false);
});
