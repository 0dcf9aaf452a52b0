import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextRestart, type PendingParameter, type RestartMember, restartOrder } from '../../../src/patroni/restart.ts';

const more: PendingParameter = { name: 'max_connections', oldValue: '100', newValue: '200' };
const less: PendingParameter = { name: 'max_connections', oldValue: '200', newValue: '100' };
const buffers: PendingParameter = { name: 'shared_buffers', oldValue: '256MB', newValue: '128MB' };

function leader(...pending: PendingParameter[]): RestartMember {
  return member('lead', 'leader', pending);
}

function member(
  name: string,
  role: RestartMember['role'],
  pending: readonly PendingParameter[],
  more: Partial<RestartMember> = {},
): RestartMember {
  return {
    name,
    role,
    healthy: true,
    lag: 0,
    promotable: true,
    pending: pending.length === 0 ? undefined : pending,
    ...more,
  };
}

describe('nextRestart', () => {
  test.each<[string, readonly RestartMember[], ReturnType<typeof nextRestart>]>([
    ['nothing waits', [leader(), member('a', 'sync', [])], { kind: 'none' }],
    [
      'a standby before the primary',
      [leader(more), member('a', 'sync', [more])],
      { kind: 'restart', member: 'a', primary: false },
    ],
    [
      'asynchronous standbys first',
      [leader(more), member('a', 'sync', [more]), member('b', 'replica', [more])],
      { kind: 'restart', member: 'b', primary: false },
    ],
    [
      'ailing standbys first',
      [leader(more), member('a', 'replica', [more]), member('b', 'replica', [more], { healthy: false })],
      { kind: 'restart', member: 'b', primary: false },
    ],
    [
      'then a switchover to the synchronous standby that is nearest',
      [leader(more), member('a', 'sync', [], { lag: 9 }), member('b', 'sync', [], { lag: 1 })],
      { kind: 'switchover', leader: 'lead', candidate: 'b' },
    ],
    [
      'the primary itself where the standby is asynchronous',
      [leader(more), member('a', 'replica', [])],
      { kind: 'restart', member: 'lead', primary: true },
    ],
    [
      'the primary itself where the standby may not become one',
      [leader(more), member('a', 'sync', [], { promotable: false })],
      { kind: 'restart', member: 'lead', primary: true },
    ],
    [
      'a decrease: the primary first, where it is',
      [leader(less), member('a', 'sync', [less])],
      { kind: 'restart', member: 'lead', primary: true },
    ],
    [
      'a decrease: the standby once the primary has it',
      [leader(), member('a', 'sync', [less])],
      { kind: 'restart', member: 'a', primary: false },
    ],
    [
      'a smaller shared_buffers is no such decrease',
      [leader(buffers), member('a', 'sync', [buffers])],
      { kind: 'restart', member: 'a', primary: false },
    ],
    [
      'one that goes up with one that goes down: the standby first',
      [leader(less, buffers), member('a', 'sync', [less, buffers])],
      { kind: 'restart', member: 'a', primary: false },
    ],
    [
      'Patroni before 4.0 gives no reasons',
      [leader(more), member('a', 'sync', [], { pending: [] })],
      { kind: 'restart', member: 'a', primary: false },
    ],
    ['no leader', [member('a', 'replica', [more])], { kind: 'noLeader' }],
    ['no replica at all', [leader(more)], { kind: 'refuse', leader: 'lead' }],
    [
      'no healthy replica',
      [leader(more), member('a', 'sync', [], { healthy: false })],
      { kind: 'refuse', leader: 'lead' },
    ],
  ])('%s', (_, members, expected) => {
    expect(nextRestart(members, false)).toEqual(expected);
  });

  test('restarts a lonely primary when the interruption is accepted', () => {
    expect(nextRestart([leader(more)], true)).toEqual({ kind: 'restart', member: 'lead', primary: true });
  });
});

describe('restartOrder', () => {
  test.each<[string, readonly RestartMember[], readonly string[]]>([
    ['increase', [leader(more), member('a', 'sync', [more]), member('b', 'sync', [more])], ['a', 'b', 'lead']],
    ['decrease', [leader(less), member('a', 'sync', [less])], ['lead', 'a']],
    ['both', [leader(less, buffers), member('a', 'sync', [less, buffers])], ['a', 'lead', 'a']],
    ['nothing', [leader(), member('a', 'sync', [])], []],
    ['standby only', [leader(), member('a', 'sync', [less])], ['a']],
  ])('%s', (_, members, expected) => {
    expect(restartOrder(members)).toEqual(expected);
  });

  test('names every member that waits, whatever waits', () => {
    const parameter = fc.record({
      name: fc.constantFrom('max_connections', 'max_worker_processes', 'shared_buffers'),
      oldValue: fc.constantFrom('1', '2'),
      newValue: fc.constantFrom('1', '2', '3'),
    });
    // members of a group agree on what waits: they have one configuration
    fc.assert(
      fc.property(
        fc.array(parameter, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 3 }),
        (pending, count) => {
          const standbys = Array.from({ length: count }, (_, index) => member(`s${index}`, 'sync', pending));
          const order = restartOrder([leader(...pending), ...standbys]);
          expect(new Set(order)).toEqual(new Set(['lead', ...standbys.map(({ name }) => name)]));
        },
      ),
    );
  });
});
