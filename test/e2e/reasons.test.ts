/** Why servers are not there: where Helm knows only that time is up, the Job's log and its Event say what Kubernetes knows. */
import { afterEach, describe, expect } from 'vitest';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const cases = [
  {
    what: 'an image that is not there',
    values: { image: { repository: 'no-such-registry.invalid/postgresql' } },
    reason: /Kubernetes: citusdemo-0-0: (ErrImagePull|ImagePullBackOff): .*no-such-registry\.invalid/,
  },
  {
    what: 'a storage class that is not there',
    values: { storage: { size: '1Gi', storageClassName: 'no-such-class' } },
    reason: /Kubernetes: citusdemo-0-0: not scheduled: .*PersistentVolumeClaim/,
  },
  {
    what: 'a quota that has no room for a volume',
    quota: 'persistentvolumeclaims=0',
    reason: /Kubernetes: citusdemo-0: there is no pod: .*exceeded quota: none-left/,
  },
] as const;

describe('servers that are not there', () => {
  let release: Release | undefined;

  afterEach(async () => {
    await release?.destroy();
    release = undefined;
  }, 180_000);

  for (const { what, reason, ...given } of cases) {
    step(what, 300, async (note) => {
      release = await createRelease('reasons');
      if ('quota' in given) await release.kubectl('create', 'quota', 'none-left', `--hard=${given.quota}`);
      const { code } = await release.helm('install', ['--timeout', '4m'], {
        ...smallCluster(),
        // With the chart's own parameters there is nothing to configure at an install, which would wait longer than the database.
        patroni: {},
        ...('values' in given ? given.values : {}),
        additionalDatabases: { shop: { maxAttempts: 12, retryDelaySeconds: 3, backoffLimit: 0 } },
      });
      expect(code).not.toBe(0);
      const log = await release.kubectl('logs', 'job/citusdemo-create-db-shop');
      expect(log).toMatch(reason);
      note(reason.exec(log)?.[0] ?? '');
      const events = await release.kubectl(
        ...['get', 'events', '--field-selector', 'reason=NotReady,involvedObject.name=citusdemo-create-db-shop'],
        ...['-o', 'jsonpath={.items[*].message}'],
      );
      expect(events).toMatch(reason);
    });
  }
});
