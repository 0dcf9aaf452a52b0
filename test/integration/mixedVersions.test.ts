import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf } from '../support/program.ts';

/**
 * A rolling update: one node runs another Citus for a while. Only the stand-in can be made to say so: the version of a
 * loaded library cannot be set.
 */

const test = clusterTest({ workers: 1, citus: 'standIn' })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      (command: string, name: string, maxAttempts: number) =>
        runProgram(cluster, [command], specOf(cluster, [{ name, maxAttempts, retryDelaySeconds: 0.5 }])),
  )
  .extend('otherVersion', { scope: 'file' }, ({ cluster }) => async (on: boolean): Promise<void> => {
    const change = on ? "SET citus.version = '13.1.0'" : 'RESET citus.version';
    await query(cluster, 1, 'postgres', `ALTER SYSTEM ${change}`);
    await query(cluster, 1, 'postgres', 'SELECT pg_reload_conf()');
    // The server reads its files in its own time.
    const version = on ? '13.1.0' : '13.2.0';
    while ((await query(cluster, 1, 'postgres', 'SHOW citus.version'))[0]?.['citus.version'] !== version)
      await sleep(20);
  });

const REASON = 'node1: The server has loaded Citus 13.1.0, and 13.2-1 is installed';

test.for(['wait', 'apply'])('%s waits until the node runs the same version', async (command, { run, otherVersion }) => {
  await otherVersion(true);
  const ended = run(command, 'waited', 200);
  await sleep(3_000);
  await otherVersion(false);
  const { code, log } = await ended;
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('ready!') });
  expect(log).toContain(`Waiting for nodes of one version... (attempt 1/200: ${REASON})`);
});

test.for(['wait', 'apply', 'plan', 'verify'])(
  '%s gives up in the end, and says which node it is',
  async (command, { run, otherVersion }) => {
    await otherVersion(true);
    const { code, log, stderr } = await run(command, 'waited', 2);
    await otherVersion(false);
    expect({ command, code }).toEqual({ command, code: 1 });
    const said = `${log}${stderr}`.replaceAll(/127\.0\.0\.1:\d+/g, 'node1');
    expect(said).toContain('The server has loaded Citus 13.1.0, and 13.2-1 is installed (node node1');
  },
);
