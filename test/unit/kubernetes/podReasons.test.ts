import { describe, expect, test } from 'vitest';
import type { Kubernetes, Reply } from '../../../src/kubernetes/client.ts';
import { podReasons } from '../../../src/kubernetes/podReasons.ts';

function kubernetes(pods: Reply | readonly object[], events: Reply | readonly object[] = []): Kubernetes {
  const reply = (of: Reply | readonly object[]): Reply =>
    'status' in of ? of : { status: 200, body: { items: [...of] } };
  return { namespace: 'shop', call: async (_, path) => reply(path.includes('/pods') ? pods : events) };
}

const pod = (name: string, status: object) => ({ metadata: { name }, status });
const waiting = (reason: string, message?: string, lastState?: object) => ({
  phase: 'Pending',
  containerStatuses: [{ name: 'postgresql', state: { waiting: { reason, message } }, lastState }],
});
const warning = (name: string, message: string, lastTimestamp: string) => ({
  involvedObject: { name },
  message,
  lastTimestamp,
});

describe('why pods are not there', () => {
  test.each<[string, object, string]>([
    [
      'an image that cannot be pulled',
      waiting('ImagePullBackOff', 'Back-off pulling image "nowhere/citus:1"'),
      'citusdemo-0-0: ImagePullBackOff: Back-off pulling image "nowhere/citus:1"',
    ],
    [
      'a program that ends again and again',
      waiting('CrashLoopBackOff', 'back-off 10s', {
        terminated: { message: 'entrypoint: the volume holds\ndata of 17' },
      }),
      'citusdemo-0-0: CrashLoopBackOff: entrypoint: the volume holds data of 17',
    ],
    [
      'a storage class that does not exist',
      {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', message: 'pod has unbound PersistentVolumeClaims' }],
      },
      'citusdemo-0-0: not scheduled: pod has unbound PersistentVolumeClaims',
    ],
    [
      'a Secret that is missing',
      waiting('ContainerCreating'),
      'citusdemo-0-0: ContainerCreating: secret "citusdemo-ssl-certs" not found',
    ],
  ])('%s', async (_, status, expected) => {
    const events = [
      warning('citusdemo-0-0', 'secret "citusdemo-ssl-certs" not found', '2026-01-01T00:00:02Z'),
      warning('citusdemo-0-0', 'an older one', '2026-01-01T00:00:01Z'),
    ];
    expect(await podReasons(kubernetes([pod('citusdemo-0-0', status)], events), ['citusdemo-0'])).toEqual([expected]);
  });

  test('pods that cannot be made', async () => {
    const quota = 'create Pod citusdemo-1-0 in StatefulSet citusdemo-1 failed error: exceeded quota: small';
    const events = [warning('citusdemo-1', quota, '2026-01-01T00:00:01Z')];
    expect(await podReasons(kubernetes([], events), ['citusdemo-1'])).toEqual([
      `citusdemo-1: there is no pod: ${quota}`,
    ]);
  });

  test('says nothing of pods that run, nor of those of other groups and clusters', async () => {
    const pods = [
      pod('citusdemo-1-0', { phase: 'Running', containerStatuses: [{ state: { running: {} } }] }),
      pod('citusdemo-10-0', waiting('ImagePullBackOff')),
      pod('citusdemo-1-0-0', waiting('ImagePullBackOff')),
    ];
    expect(await podReasons(kubernetes(pods), ['citusdemo-1'])).toEqual([]);
  });

  test('keeps silent where it may not look, and goes without Events where it may not see them', async () => {
    const forbidden = { status: 403, body: {} };
    expect(await podReasons(kubernetes(forbidden), ['citusdemo-0'])).toEqual([]);
    const pods = [pod('citusdemo-0-0', waiting('ContainerCreating'))];
    expect(await podReasons(kubernetes(pods, forbidden), ['citusdemo-0'])).toEqual([
      'citusdemo-0-0: ContainerCreating',
    ]);
  });
});
