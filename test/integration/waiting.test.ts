import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

const test = clusterTest({ workers: 2 }).extend(
  'run',
  { scope: 'file' },
  ({ cluster }) =>
    async (command: string, database: Document = {}, more: Document = {}): Promise<Outcome> => {
      const patience = { maxAttempts: 2, retryDelaySeconds: 1 };
      return await runProgram(
        cluster,
        [command],
        specOf(cluster, [{ name: 'waited', ...patience, ...database }], { cluster: more }),
      );
    },
);

test('every node is ready', async ({ run }) => {
  const { code, log } = await run('wait');
  expect({ code, log }).toEqual({ code: 0, log: 'All 3 nodes are ready!\n' });
});

test.for(['wait', 'apply', 'plan', 'verify'])(
  '%s with a worker down gives up after maxAttempts',
  async (command, { cluster, run }) => {
    await nodeOf(cluster, 2).stop();
    try {
      const { code, log } = await run(command);
      expect(code).toBe(1);
      expect(log).toMatchSnapshot();
    } finally {
      await nodeOf(cluster, 2).start();
    }
  },
);

test('a worker that comes up meanwhile is waited for', async ({ cluster, run }) => {
  await nodeOf(cluster, 1).stop();
  const coming = new Promise((resolve) => setTimeout(resolve, 2_500)).then(() => nodeOf(cluster, 1).start());
  const { code, log } = await run('apply', { maxAttempts: 30 });
  await coming;
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("Database 'waited' is ready!") });
  expect(log).toMatch(/^Waiting for worker node1\.\.\. \(attempt 1\/30: connect ECONNREFUSED/m);
});

test('the coordinator down', async ({ cluster, run }) => {
  await nodeOf(cluster, 0).stop();
  try {
    const { code, log } = await run('apply');
    expect(code).toBe(1);
    expect(log).toMatchSnapshot();
  } finally {
    await nodeOf(cluster, 0).start();
  }
});

test('a standby answers, but it is not ready', async ({ cluster, run }) => {
  const node = nodeOf(cluster, 2);
  await node.stop();
  const signal = path.join(node.dataDirectory, 'standby.signal');
  await writeFile(signal, '');
  await node.start();
  try {
    const { code, log } = await run('apply');
    expect(code).toBe(1);
    expect(log).toMatchSnapshot();
  } finally {
    await query(cluster, 2, 'postgres', 'SELECT pg_promote()');
  }
  expect((await run('apply', { maxAttempts: 10 })).code).toBe(0);
});

test('no password', async ({ run }) => {
  const { code, log } = await run('apply', {}, { passwordFile: undefined });
  expect(code).toBe(1);
  // Which node is asked first differs.
  expect(log).toMatch(/^ERROR: .+ did not become ready after 2 attempts$/m);
  expect(log).toContain('Cause: The server asks for the password of user postgres, and none is given (node node');
});

test('a password file that does not exist', async ({ run }) => {
  const { code, log } = await run('apply', {}, { passwordFile: '/nonexistent/password' });
  expect({ code, log }).toMatchSnapshot();
});

test('a role that is no superuser', async ({ cluster, run }) => {
  await query(cluster, 0, 'postgres', 'CREATE ROLE humble LOGIN');
  for (const group of [1, 2])
    await query(cluster, group, 'postgres', 'CREATE ROLE humble LOGIN').catch(() => undefined);
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', `ALTER ROLE humble PASSWORD '${cluster.password.replaceAll("'", "''")}'`);
  }
  const { code, log } = await run('apply', {}, { user: 'humble' });
  expect(code).toBe(2);
  for (const node of ['node0', 'node1', 'node2']) {
    expect(log).toContain(
      `The role of cluster.user is no superuser, which extensions, pg_dist_authinfo and node registration need (node ${node})`,
    );
  }
});
