import { describe, expect, test } from 'vitest';
import { AbsentPods } from '../../../src/cluster/absentPods.ts';
import { waitForImage } from '../../../src/cluster/rollout.ts';
import type { Kubernetes, Reply } from '../../../src/kubernetes/client.ts';
import { Failure } from '../../../src/report/errors.ts';

const OLD = 'patroni-citus-k8s:0.1.0';
const NEW = 'registry.example.com/patroni-citus-k8s:0.2.0@sha256:1';

const pod = (name: string, image: string | undefined) => ({
  metadata: { name, annotations: image === undefined ? {} : { 'citus-databases/image': image } },
});
const pods = (...items: readonly object[]): Reply => ({ status: 200, body: { items } });
const rolled = pods(pod('demo-0-0', NEW), pod('demo-0-1', NEW), pod('demo-1-0', NEW));

/** Knows nothing. */
const silent = { look: async () => {}, explained: (error: unknown) => error };

/** What a wait for NEW in the groups demo-0 and demo-1 says, when Kubernetes answers this, one after the other. */
async function wait(replies: readonly (Reply | Error)[], maxAttempts = 10, retryDelaySeconds = 0, why?: Kubernetes) {
  const lines: string[] = [];
  let asked = 0;
  const kubernetes: Kubernetes = {
    namespace: 'shop',
    call: async (_, path) => {
      expect(path).toBe('/api/v1/namespaces/shop/pods?labelSelector=application%3Dpatroni');
      const reply = replies[asked] ?? new Error('nothing more was to be asked');
      asked += 1;
      if (reply instanceof Error) throw reply;
      return reply;
    },
  };
  const hosts = ['demo-0', 'demo-1'];
  const { signal } = new AbortController();
  const failure = await waitForImage({
    image: NEW,
    hosts,
    maxAttempts,
    retryDelaySeconds,
    signal,
    log: { line: (text) => lines.push(text), warn: (text) => lines.push(`WARNING: ${text}`) },
    kubernetes: async () => kubernetes,
    absent:
      why === undefined
        ? silent
        : new AbsentPods(
            hosts,
            signal,
            (line) => lines.push(line),
            async () => why,
          ),
  }).catch((error: unknown) => error);
  return { failure, lines, asked };
}

describe('waiting for the image of the release', () => {
  test('is over at once when every pod runs it', async () => {
    expect(await wait([rolled])).toEqual({ failure: undefined, lines: [], asked: 1 });
  });

  test('lasts while all leaders alike run the old one, while a standby does, and while a group has no pod', async () => {
    const { failure, lines, asked } = await wait([
      pods(pod('demo-0-0', OLD), pod('demo-0-1', OLD), pod('demo-1-0', undefined)),
      pods(pod('demo-0-0', NEW), pod('demo-0-1', OLD), pod('demo-1-0', NEW)),
      pods(pod('demo-0-0', NEW), pod('demo-0-1', NEW)),
      rolled,
    ]);
    expect(failure).toBeUndefined();
    expect(asked).toBe(4);
    expect(lines).toEqual([
      `Waiting for pods with ${NEW}... (attempt 1/10: demo-0-0 runs ${OLD}; demo-0-1 runs ${OLD}; demo-1-0 was made by an earlier chart)`,
      `Waiting for pods with ${NEW}... (attempt 2/10: demo-0-1 runs ${OLD})`,
      `Waiting for pods with ${NEW}... (attempt 3/10: demo-1 has no pod)`,
    ]);
  });

  test('asks every second, however long the pause between two lines of the log is', async () => {
    const old = pods(pod('demo-0-0', OLD), pod('demo-1-0', NEW));
    const start = performance.now();
    const { lines, asked } = await wait([old, old, rolled], 10, 3600);
    expect({ lines: lines.length, asked }).toEqual({ lines: 1, asked: 3 });
    expect(performance.now() - start).toBeLessThan(60_000);
  });

  test('does not look at pods of other releases', async () => {
    const other = pods(pod('demo-0-0', NEW), pod('demo-1-0', NEW), pod('demo-10-0', OLD), pod('demo-0-blue-0', OLD));
    expect(await wait([other])).toMatchObject({ failure: undefined, lines: [] });
  });

  test('ends with exit code 1 when the rollout does not, naming the pods and the command that shows it', async () => {
    const stuck = pods(pod('demo-0-0', NEW), pod('demo-1-0', OLD));
    const { failure } = await wait([stuck, stuck], 2);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toHaveProperty('details', {
      kind: 'failed',
      what: `Not all servers run the image of this release, ${NEW}, after 2 attempts`,
      cause: `demo-1-0 runs ${OLD}`,
      next: expect.stringContaining('kubectl rollout status statefulset/demo-1'),
    });
  });

  test.each([
    [
      'pods cannot be made',
      pods(pod('demo-0-0', NEW)),
      pods({ involvedObject: { name: 'demo-1' }, message: 'exceeded quota: none-left', lastTimestamp: '2026-01-01' }),
      'demo-1 has no pod',
      'demo-1: there is no pod: exceeded quota: none-left',
    ],
    [
      'the new image cannot be pulled',
      pods(pod('demo-0-0', NEW), pod('demo-1-0', OLD), {
        ...pod('demo-1-1', NEW),
        status: { containerStatuses: [{ state: { waiting: { reason: 'ErrImagePull', message: 'not found' } } }] },
      }),
      pods(),
      `demo-1-0 runs ${OLD}`,
      'demo-1-1: ErrImagePull: not found',
    ],
  ])('says why the rollout stands still: %s', async (_, stuck, events, state, reason) => {
    const running = { containerStatuses: [{ state: { running: {} } }], phase: 'Running' };
    const seen = stuck.body as { readonly items: readonly object[] };
    const all = pods(...seen.items.map((item) => ({ status: running, ...item })));
    const why = { namespace: 'shop', call: async (_: string, path: string) => (path.includes('/pods') ? all : events) };
    const { failure, lines } = await wait([stuck, stuck, stuck, stuck], 4, 0, why);
    expect(lines.filter((line) => line.startsWith('Kubernetes: '))).toEqual([`Kubernetes: ${reason}`]);
    expect(failure).toHaveProperty('details.cause', `${state}\nKubernetes: ${reason}`);
  });

  test('goes on with a warning where the pods may not be seen, and after three attempts without an answer', async () => {
    const forbidden = { status: 403, body: { message: 'pods is forbidden' } };
    expect(await wait([forbidden])).toMatchObject({
      failure: undefined,
      lines: [`WARNING: Whether all pods run ${NEW} is not known (pods is forbidden). Going on`],
    });
    const down = new Error('connect ECONNREFUSED');
    const { failure, asked } = await wait([down, down, down]);
    expect({ failure, asked }).toEqual({ failure: undefined, asked: 3 });
    expect(await wait([down, { status: 500, body: {} }, rolled])).toMatchObject({ failure: undefined, asked: 3 });
  });
});
