import { describe, expect, test } from 'vitest';
import { type MemberReading, type Progress, progressOf } from '../../../src/patroni/progress.ts';
import type { KnownSetting } from '../../../src/patroni/values.ts';

function settings(setting: string, more: Partial<KnownSetting> = {}): ReadonlyMap<string, KnownSetting> {
  return new Map([
    [
      'p',
      {
        name: 'p',
        setting,
        unit: 'kB',
        vartype: 'integer',
        min_val: null,
        max_val: null,
        enumvals: null,
        context: 'user',
        source: 'configuration file',
        sourcefile: null,
        ...more,
      },
    ],
  ]);
}

const postmaster = { context: 'postmaster' };
const waits = [{ name: 'p', oldValue: '4MB', newValue: '8MB' }];
const stale = [{ name: 'p', oldValue: '4MB', newValue: '6MB' }];
const other = [{ name: 'q', oldValue: '1', newValue: '2' }];

describe('progressOf', () => {
  test.each<[string, Partial<MemberReading>, Progress]>([
    ['the server has it', { settings: settings('8192') }, 'inForce'],
    ['the server has it already, another one waits', { settings: settings('8192'), pending: other }, 'inForce'],
    ['the server has the old value', { settings: settings('4096') }, 'waiting'],
    ['the server keeps the old value', { settings: settings('4096'), loopPassed: true }, 'waiting'],
    ['Patroni says that it waits', { settings: settings('4096', postmaster), pending: waits }, 'needsRestart'],
    [
      'Patroni still speaks of an earlier change',
      { settings: settings('4096', postmaster), pending: stale },
      'waiting',
    ],
    [
      'Patroni keeps speaking of another value',
      { settings: settings('4096', postmaster), pending: stale, loopPassed: true },
      'needsRestart',
    ],
    ['Patroni has not looked yet', { settings: settings('4096', postmaster) }, 'waiting'],
    ['Patroni waits for something else', { settings: settings('4096', postmaster), pending: other }, 'waiting'],
    ['an old Patroni does not say for what', { settings: settings('4096', postmaster), pending: [] }, 'needsRestart'],
    ['nobody to ask', {}, 'waiting'],
    ['nobody to ask, a loop later', { loopPassed: true }, 'inForce'],
    ['nobody but Patroni to ask', { pending: waits, loopPassed: true }, 'needsRestart'],
  ])('%s', (_, reading, expected) => {
    const parameter = { name: 'p', wanted: '8MB', former: '4MB' };
    expect(progressOf(parameter, { pending: undefined, settings: undefined, loopPassed: false, ...reading })).toBe(
      expected,
    );
  });

  test.each<[string, Partial<MemberReading>, Progress]>([
    ['the server still has it', { settings: settings('4096') }, 'waiting'],
    ['the server has something else', { settings: settings('64') }, 'inForce'],
    ['the default is the same', { settings: settings('4096'), loopPassed: true }, 'inForce'],
    ['it takes a restart', { settings: settings('4096'), pending: waits, loopPassed: true }, 'needsRestart'],
  ])('back to the default: %s', (_, reading, expected) => {
    const parameter = { name: 'p', wanted: undefined, former: '4MB' };
    expect(progressOf(parameter, { pending: undefined, settings: undefined, loopPassed: false, ...reading })).toBe(
      expected,
    );
  });
});
