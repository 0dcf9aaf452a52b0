import { expect, test } from 'vitest';
import { type ReleaseIdentity, readRecord, remembers } from '../../../src/cluster/release.ts';
import type { Kubernetes, Reply } from '../../../src/kubernetes/client.ts';
import { changedCluster } from '../../../src/reconcile/identity.ts';
import { rememberCluster } from '../../../src/reconcile/rememberCluster.ts';
import { SETTINGS, situation } from '../reconcile/situations.ts';

/** A namespace whose one ConfigMap is `data`. */
function fake(data: Record<string, string> | undefined, refuse?: number) {
  const calls: string[] = [];
  let present = data;
  const kubernetes: Kubernetes = {
    namespace: 'ns',
    async call(method, path, body): Promise<Reply> {
      calls.push(`${method} ${path}`);
      if (refuse !== undefined) return { status: refuse, body: { message: 'no right to' } };
      if (method === 'GET')
        return present === undefined ? { status: 404, body: {} } : { status: 200, body: { data: present } };
      if (method === 'POST' && present !== undefined) return { status: 409, body: {} };
      present = { ...present, ...(body as { data: Record<string, string> }).data };
      return { status: method === 'POST' ? 201 : 200, body: {} };
    },
  };
  return { kubernetes, calls, data: () => present };
}

const identity = (scope: string, ...ids: readonly string[]): ReleaseIdentity => ({
  scope,
  systemIdentifiers: new Map(ids.map((id, group) => [group, id])),
});

async function cluster(data: Record<string, string> | undefined, seen: { scope: string; id: string }, refuse?: number) {
  const api = fake(data, refuse);
  const settings = { ...SETTINGS, clusterName: seen.scope, systemIdentifier: seen.id };
  const servers = Object.fromEntries([0, 1, 2].map((group) => [group, { settings }]));
  const release = await readRecord(api.kubernetes, 'prod-citus-identity');
  return { ...api, situation: { ...situation({ servers }), release } };
}

async function warningsOf(given: Awaited<ReturnType<typeof cluster>>): Promise<readonly string[]> {
  const warnings: string[] = [];
  await rememberCluster(given.situation, { warn: (text) => warnings.push(text) });
  return warnings;
}

test('the first run remembers, the second one asks only', async () => {
  const given = await cluster(undefined, { scope: 'ops', id: '7' });
  expect(changedCluster(given.situation)).toEqual([]);
  expect(await warningsOf(given)).toEqual([]);
  expect(given.data()).toEqual({ scope: 'ops', 'group-0': '7', 'group-1': '7', 'group-2': '7' });
  const again = await cluster(given.data(), { scope: 'ops', id: '7' });
  expect(await warningsOf(again)).toEqual([]);
  expect(again.calls).toEqual(['GET /api/v1/namespaces/ns/configmaps/prod-citus-identity']);
});

test.each([
  ['the same', { scope: 'ops', 'group-0': '7' }, []],
  ['another clusterName', { scope: 'other', 'group-0': '6' }, ['refused']],
  ['the same name over empty volumes', { scope: 'ops', 'group-0': '6' }, ['refused']],
  ['a worker alone: the coordinator remembers more of it', { scope: 'ops', 'group-0': '7', 'group-1': '6' }, []],
  ['written by something else', { note: 'x' }, []],
] as const)('%s', async (_, data, kinds) => {
  const given = await cluster(data, { scope: 'ops', id: '7' });
  const problems = changedCluster(given.situation);
  expect(problems.map(({ kind }) => kind)).toEqual(kinds);
  for (const { next } of problems) expect(next).toContain('kubectl -n ns delete configmap prod-citus-identity');
});

test('without the right to, the run goes on and says so', async () => {
  const given = await cluster(undefined, { scope: 'ops', id: '7' }, 403);
  expect(changedCluster(given.situation)).toEqual([]);
  expect(await warningsOf(given)).toEqual([expect.stringContaining('would not be noticed: no right to')]);
});

test.each([
  [identity('ops', '1', '2'), identity('ops', '1', '2'), true],
  [identity('ops', '1', '2', '3'), identity('ops', '1', '2'), true],
  [identity('ops', '1'), identity('ops', '1', '2'), false],
  [identity('ops', '1'), identity('other', '1'), false],
])('remembers %#', (before, seen, expected) => {
  expect(remembers(before, seen)).toBe(expected);
});
