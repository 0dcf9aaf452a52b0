import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type WaitProgress, waitForNode, waitForNodes } from '../../src/cluster/ready.ts';
import { type Access, loadAccess } from '../../src/secrets/credentials.ts';
import { clusterSpec, NO_SSL, nodeOf } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';

const test = clusterTest({ workers: 1, citus: 'none' }).extend('nodes', { scope: 'file' }, ({ cluster }) => () => {
  const { coordinator, workers } = clusterSpec(cluster);
  return [coordinator, ...(workers ?? [])];
});
let access: Access;

test.beforeAll(async ({ cluster }) => {
  access = await loadAccess({ cluster: { ...clusterSpec(cluster), citus: false }, ssl: NO_SSL });
});

const soon = { maxAttempts: 100, retryDelaySeconds: 0.1 };

test('all nodes, with open sessions to the maintenance database', async ({ nodes }) => {
  const sessions = await waitForNodes(nodes(), access, soon);
  expect(sessions.map(({ node, database, isAlive }) => [node.group, database, isAlive])).toEqual([
    [0, 'postgres', true],
    [1, 'postgres', true],
  ]);
  await Promise.all(sessions.map((session) => session.close()));
});

test('a server that starts while it is waited for', async ({ cluster, nodes }) => {
  const server = nodeOf(cluster, 1);
  await server.stop();
  const reasons: string[] = [];
  const started: Promise<void>[] = [];
  const onProgress = ({ reason, attempt }: WaitProgress) => {
    reasons.push(reason);
    if (attempt === 2) started.push(server.start());
  };
  const [, worker] = nodes();
  if (worker === undefined) throw new Error('The cluster has no worker');
  const session = await waitForNode(worker, access, { ...soon, onProgress });
  await Promise.all(started);
  expect(reasons[0]).toContain('ECONNREFUSED');
  expect(reasons.length).toBeGreaterThanOrEqual(2);
  await session.close();
});

test('a standby is waited for until it is promoted', async ({ cluster, nodes }) => {
  const server = nodeOf(cluster, 1);
  await server.stop();
  await writeFile(join(server.dataDirectory, 'standby.signal'), '');
  await server.start();
  const reasons: string[] = [];
  const [, worker] = nodes();
  if (worker === undefined) throw new Error('The cluster has no worker');
  const promote = async () => {
    const { query } = await import('../support/cluster.ts');
    await query(cluster, 1, 'postgres', 'SELECT pg_promote()');
  };
  const promoted: Promise<void>[] = [];
  const onProgress = ({ reason }: WaitProgress) => {
    reasons.push(reason);
    if (reasons.length === 3) promoted.push(promote());
  };
  const session = await waitForNode(worker, access, { ...soon, onProgress });
  await Promise.all(promoted);
  expect(reasons[0]).toBe('The server is in recovery: it does not accept writes yet');
  await session.query('CREATE TEMPORARY TABLE pg_temp.written AS SELECT 1 AS one');
  await session.close();
});

test('a wrong password ends the wait early', async ({ nodes }) => {
  const [, worker] = nodes();
  if (worker === undefined) throw new Error('The cluster has no worker');
  const wrong = { ...access, password: 'wrong' };
  const options = { ...soon, maxAttempts: 1_000, graceSeconds: 0.5, label: 'citusdemo-1' };
  const startedAt = Date.now();
  await expect(waitForNode(worker, wrong, options)).rejects.toThrow(
    'Worker citusdemo-1 does not accept the password of user postgres\n' +
      '  Cause: password authentication failed for user "postgres" (SQLSTATE 28P01)',
  );
  expect(Date.now() - startedAt).toBeLessThan(10_000);
});

test('a host that does not exist', async ({ nodes }) => {
  const [coordinator] = nodes();
  if (coordinator === undefined) throw new Error('The cluster has no coordinator');
  const unknown = { ...coordinator, host: 'citusdemo-0.invalid' };
  await expect(waitForNode(unknown, access, { ...soon, maxAttempts: 3, graceSeconds: 0 })).rejects.toMatchObject({
    details: { kind: 'failed', cause: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) },
  });
});
