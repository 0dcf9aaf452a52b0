/**
 * A password that one node does not accept, through the program: it ends after half a minute with its own message, not
 * after 60 attempts, which take five. Half a minute in full: the time that a node that is still bootstrapping has.
 */
import { expect } from 'vitest';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

const OTHER = 'what the bootstrap has set';

// Nothing of Citus is reached: the nodes are waited for first.
const test = clusterTest({ workers: 1, citus: 'none' })
  .extend('setPassword', { scope: 'file' }, ({ cluster }) => async (from: string, to: string): Promise<void> => {
    const before = { ...cluster, password: from };
    await query(before, 1, 'postgres', `ALTER ROLE postgres PASSWORD '${to.replaceAll("'", "''")}'`);
  })
  /** With the patience that is the default: 60 attempts, 5 seconds apart. */
  .extend('spec', { scope: 'file' }, ({ cluster }) => (): Document => {
    const workers = cluster.nodes.slice(1).map(({ group, host, port }) => ({ group, host, port }));
    return specOf(cluster, [{ name: 'skymap' }], { cluster: { citus: true, workers } });
  });

test.beforeEach(({ cluster, setPassword }) => setPassword(cluster.password, OTHER));
test.afterEach(({ cluster, setPassword }) => setPassword(OTHER, cluster.password).catch(() => undefined));

test('every command gives up after half a minute, and those that only report sooner', {
  timeout: 240_000,
}, async ({ cluster, spec }) => {
  const commands = [['wait'], ['plan'], ['apply'], ['verify'], ['drop', 'skymap', '--confirm', 'skymap']];
  const runs = await Promise.all(commands.map((command) => runProgram(cluster, command, spec())));
  for (const [index, { code, log, milliseconds }] of runs.entries()) {
    const attempts = [...log.matchAll(/^Waiting for worker node1\.\.\. \(attempt (\d+)\/\d+: (.*)\)$/gm)];
    const command = commands[index]?.[0];
    const told = {
      command,
      code,
      numbered: attempts.every(([, attempt], at) => Number(attempt) === at + 1),
      reasons: [...new Set(attempts.map(([, , reason]) => reason))],
      end: log.slice(log.indexOf('ERROR: ')),
    };
    expect(told).toEqual({
      command,
      code: 1,
      numbered: true,
      reasons: ['password authentication failed for user "postgres" (SQLSTATE 28P01)'],
      end: [
        'ERROR: Worker node1 does not accept the password of user postgres',
        '  Cause: password authentication failed for user "postgres" (SQLSTATE 28P01)',
        '  Next: Compare the password file with the password of that role on this node (a changed Secret does not change it)',
        '',
      ].join('\n'),
    });
    // Every 5 s, for 30 s or 15 s. A machine that is slow makes it fewer.
    const reports = command === 'plan' || command === 'verify';
    expect(milliseconds).toBeGreaterThanOrEqual(reports ? 10_000 : 30_000);
    expect(attempts.length).toBeGreaterThan(0);
    expect(attempts.length).toBeLessThanOrEqual(reports ? 2 : 6);
  }
  expect(await query(cluster, 0, 'postgres', "SELECT FROM pg_database WHERE datname = 'skymap'")).toEqual([]);
});

test('a node that gets its password meanwhile is ready then', async ({ cluster, program, setPassword, spec }) => {
  const waiting = await program.start(cluster, ['wait'], spec());
  await waiting.printed('Waiting for worker');
  await setPassword(OTHER, cluster.password);
  const { code, log } = await waiting.ended;
  expect({ code, log }).toEqual({ code: 0, log: expect.stringMatching(/\nAll 2 nodes are ready!\n$/) });
});
