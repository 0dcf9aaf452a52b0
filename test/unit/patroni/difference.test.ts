import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Difference, type DynamicConfig, difference } from '../../../src/patroni/difference.ts';

function config(parameters: Record<string, unknown>, managed?: readonly string[]): DynamicConfig {
  return { loopWaitSeconds: 10, parameters, managed };
}

function compare(
  parameters: Record<string, unknown>,
  wanted: Record<string, string>,
  managed?: readonly string[],
  managedBefore: readonly string[] = [],
): Difference {
  return difference({
    config: config(parameters, managed),
    wanted,
    managedBefore,
    fallback: (name) => (name === 'shared_preload_libraries' ? 'citus' : undefined),
  });
}

describe('difference', () => {
  test('sends nothing when the configuration and the record hold what is wanted', () => {
    expect(
      compare(
        { work_mem: '4MB', jit: true, max_connections: 200, own: 'x' },
        {
          work_mem: '4MB',
          jit: 'true',
          max_connections: '200',
        },
        ['jit', 'max_connections', 'work_mem'],
      ),
    ).toEqual({
      changes: [],
      managed: ['jit', 'max_connections', 'work_mem'],
      patch: undefined,
    });
  });

  test('sends only what differs, whole numbers as numbers', () => {
    const { changes, patch } = compare(
      { work_mem: '4MB', max_connections: 100, by_hand: 1 },
      { work_mem: '4MB', max_connections: '200', random_page_cost: '1.1', huge: '123456789012345678' },
      [],
    );
    expect(changes).toEqual([
      { name: 'huge', from: undefined, to: '123456789012345678' },
      { name: 'max_connections', from: '100', to: '200' },
      { name: 'random_page_cost', from: undefined, to: '1.1' },
    ]);
    expect(patch).toEqual({
      postgresql: { parameters: { huge: '123456789012345678', max_connections: 200, random_page_cost: '1.1' } },
      citus_databases: { managed: ['huge', 'max_connections', 'random_page_cost', 'work_mem'] },
    });
  });

  test('writes the record alone where the bootstrap has set everything already', () => {
    expect(compare({ work_mem: '4MB' }, { work_mem: '4MB' }).patch).toEqual({
      citus_databases: { managed: ['work_mem'] },
    });
  });

  test.each([
    ['recorded', ['work_mem', 'jit'], []],
    ['named by the spec', [], ['work_mem', 'JIT']],
  ])('takes out what is no longer wanted and was %s, and leaves what was set by hand', (_, managed, before) => {
    const { changes, patch } = compare({ work_mem: '4MB', jit: 'off', log_statement: 'all' }, {}, managed, before);
    expect(changes).toEqual([
      { name: 'jit', from: 'off', to: undefined },
      { name: 'work_mem', from: '4MB', to: undefined },
    ]);
    expect(patch?.postgresql).toEqual({ parameters: { jit: null, work_mem: null } });
  });

  test('does not take out what is not there any more', () => {
    expect(compare({}, {}, ['work_mem'])).toEqual({
      changes: [],
      managed: [],
      patch: { citus_databases: { managed: [] } },
    });
  });

  test('never takes citus out of the libraries', () => {
    const first = compare({ shared_preload_libraries: 'citus,pg_partman_bgw' }, {}, ['shared_preload_libraries']);
    expect(first.patch?.postgresql).toEqual({ parameters: { shared_preload_libraries: 'citus' } });
    expect(compare({ shared_preload_libraries: 'citus' }, {}, []).patch).toBeUndefined();
  });

  test('knows a name in another spelling, and leaves one spelling', () => {
    expect(compare({ Work_Mem: '4MB' }, { work_mem: '8MB' }, ['work_mem'])).toMatchObject({
      changes: [{ name: 'work_mem', from: '4MB', to: '8MB' }],
      patch: { postgresql: { parameters: { Work_Mem: null, work_mem: '8MB' } } },
    });
    expect(compare({ TimeZone: 'UTC' }, {}, ['timezone']).patch?.postgresql).toEqual({
      parameters: { TimeZone: null, timezone: null },
    });
  });

  test('finds nothing to do once its patch is merged, whatever there was', () => {
    const name = fc.constantFrom('work_mem', 'Work_Mem', 'jit', 'JIT', 'max_connections', 'shared_preload_libraries');
    const value = fc.oneof(fc.constantFrom('4MB', '200', 'on', ''), fc.integer(), fc.boolean());
    const names = fc.uniqueArray(fc.constantFrom('work_mem', 'jit', 'max_connections', 'other'));
    const wanted = fc.dictionary(
      fc.constantFrom('work_mem', 'jit', 'max_connections'),
      fc.constantFrom('4MB', '7', ''),
    );
    fc.assert(
      fc.property(fc.dictionary(name, value), wanted, names, names, (present, target, managed, before) => {
        const { patch } = compare(present, target, managed, before);
        const merged = merge(present, patch?.postgresql?.parameters ?? {});
        const record = patch?.citus_databases?.managed ?? managed;
        expect(compare(merged, target, record).patch).toBeUndefined();
        for (const [key, wish] of Object.entries(target)) expect(String(merged[key])).toBe(wish);
      }),
    );
  });
});

/** patch_config() of Patroni (patroni/utils.py), for one level. */
function merge(present: Record<string, unknown>, patch: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const merged = { ...present, ...patch };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}
