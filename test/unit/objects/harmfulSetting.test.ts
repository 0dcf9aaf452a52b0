import { describe, expect, test } from 'vitest';
import {
  harmfulParameterProblems,
  harmfulSettingProblems,
  lockingParameters,
  type ObservedHarmfulSetting,
} from '../../../src/objects/harmfulSetting.ts';
import { wanted } from '../reconcile/situations.ts';

const COORDINATOR = { label: 'node0', isWorker: false };
const WORKER = { label: 'node1', isWorker: true };

function setting(name: string, value: string, more: Partial<ObservedHarmfulSetting> = {}): ObservedHarmfulSetting {
  return { role: null, inDatabase: true, name, value, missing: false, ...more };
}

const PLAIN = wanted('{ name: skymap, users: [{ name: app, access: readWrite }] }');

describe('set by hand', () => {
  test.each([
    ['0', []],
    ['1', ['statement_timeout']],
    ['999ms', ['statement_timeout']],
    ['999999us', ['statement_timeout']],
    ['0.5s', ['statement_timeout']],
    ['.5 s', ['statement_timeout']],
    ['1000', []],
    ['1s', []],
    ['1min', []],
    ['0.1h', []],
    ['0x10', []],
  ])('a limit of %j', (value, refused) => {
    const problems = harmfulSettingProblems(PLAIN, [setting('statement_timeout', value)], COORDINATOR);
    expect(problems.map(({ what }) => /^Setting '(\w+)' of database 'skymap' is /.exec(what)?.[1])).toEqual(refused);
  });

  test.each([
    ['on the coordinator', COORDINATOR, {}, 1],
    ['on a worker, which follows the coordinator', WORKER, {}, 0],
    ['of the superuser on a worker, which does not', WORKER, { role: 'postgres', inDatabase: false }, 1],
  ] as const)('read-only transactions %s', (_, node, more, count) => {
    const observed = [setting('default_transaction_read_only', 'on', more)];
    expect(harmfulSettingProblems(PLAIN, observed, node)).toHaveLength(count);
  });

  test('of a user: what concerns Citus, and what makes the user read-only', () => {
    const ofUser = { role: 'app', inDatabase: false };
    const observed = [
      setting('citus.enable_metadata_sync', 'off', ofUser),
      setting('idle_session_timeout', '1', ofUser),
      setting('default_transaction_read_only', 'on', ofUser),
    ];
    expect(harmfulSettingProblems(PLAIN, observed, COORDINATOR)).toEqual([
      {
        kind: 'refused',
        node: 'node0',
        what: "Setting 'idle_session_timeout' of role 'app' is '1', which acts on connections between the nodes: those would be ended in the middle of what they do; a second is the least",
        next: 'On that node: ALTER ROLE "app" RESET "idle_session_timeout"',
      },
      {
        kind: 'refused',
        node: 'node0',
        what: "Setting 'default_transaction_read_only' of role 'app' is 'on': this user of the database could only read",
        next: 'On that node: ALTER ROLE "app" RESET "default_transaction_read_only"; or declare it in `users[].parameters`',
      },
    ]);
    const declared = wanted(
      '{ name: skymap, users: [{ name: app, access: readWrite, parameters: { default_transaction_read_only: on } }] }',
    );
    expect(harmfulSettingProblems(declared, observed.slice(2), COORDINATOR)).toEqual([]);
  });

  test('what is declared in its place is set first, and not refused', () => {
    const declared = wanted('{ name: skymap, parameters: { Statement_Timeout: 60s, work_mem: 8MB } }');
    const observed = [setting('statement_timeout', '1')];
    expect(lockingParameters(declared, observed)).toEqual({ statement_timeout: '60s' });
    expect(harmfulSettingProblems(declared, observed, COORDINATOR)).toEqual([]);
    expect(lockingParameters(declared, [setting('statement_timeout', '30s')])).toEqual({});
  });
});

test.each([
  ['default_transaction_read_only: on', 'default_transaction_read_only: on', ['database']],
  ['idle_in_transaction_session_timeout: 100', 'idle_in_transaction_session_timeout: 100', ['database', 'user']],
  ['citus.node_connection_timeout: 10', 'citus.node_connection_timeout: 30s', ['database']],
  ['statement_timeout: 90s', 'statement_timeout: 90s', []],
])('declared: %s for the database, %s for a user', (ofDatabase, ofUser, refused) => {
  const declared = wanted(
    `{ name: skymap, parameters: { ${ofDatabase} }, users: [{ name: app, access: readWrite, parameters: { ${ofUser} } }] }`,
  );
  const problems = harmfulParameterProblems(declared);
  expect(
    problems.map(({ next }) => (next.includes('users[].parameters`') && !next.includes(', and') ? 'user' : 'database')),
  ).toEqual(refused);
  for (const { kind } of problems) expect(kind).toBe('invalid');
});
