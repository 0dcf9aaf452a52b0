import { readFileSync } from 'node:fs';
import { eventually } from './command.ts';
import type { Release } from './release.ts';

/** What a client saw that wrote all the time. */
export interface Written {
  /** Numbers of the acknowledged rows. */
  readonly acknowledged: readonly number[];
  readonly failures: readonly string[];
  /** Seconds between two acknowledgements. */
  readonly longestGap: number;
  /** Likewise, the median: how fast this machine is at this moment. */
  readonly usualGap: number;
}

export interface Writer {
  /** Lets it write some more rows, ends it, and tells. */
  finish(): Promise<Written>;
}

/**
 * A pod that writes rows (number, name) into the table `writes` of a database, through the leader Service of a group. It
 * has the image of the servers, in which Patroni's Python has a driver of PostgreSQL.
 */
export async function startWriter(release: Release, group: number, database: string): Promise<Writer> {
  const name = `writer-${group}`;
  const image = await release.kubectl(
    ...['get', 'statefulset', 'citusdemo-0', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'],
  );
  const security = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const script = readFileSync(new URL('writer.py', import.meta.url), 'utf8');
  const password = { secretKeyRef: { name: 'citusdemo-credentials', key: 'superuser-password' } };
  const container = {
    name: 'writer',
    image,
    command: ['python3', '-c', script, `citusdemo-${group}`, database, name],
    env: [{ name: 'PGPASSWORD', valueFrom: password }],
    securityContext: security,
  };
  const spec = { restartPolicy: 'Never', terminationGracePeriodSeconds: 0, containers: [container] };
  await release.kubectl(
    ...['run', name, '--image', image, '--restart=Never', '--overrides', JSON.stringify({ apiVersion: 'v1', spec })],
  );
  const written = async () => readWritten(await release.kubectl('logs', name));
  await eventually(`${name} writes`, 90_000, async () =>
    (await written()).acknowledged.length > 20 ? true : undefined,
  );
  return {
    async finish() {
      const before = (await written()).acknowledged.length;
      await eventually(`${name} goes on writing`, 90_000, async () =>
        (await written()).acknowledged.length > before + 20 ? true : undefined,
      );
      const result = await written();
      await release.kubectl('delete', 'pod', name, '--wait');
      return result;
    },
  };
}

function readWritten(log: string): Written {
  const acknowledged: number[] = [];
  const failures: string[] = [];
  const gaps: number[] = [];
  let last: number | undefined;
  for (const line of log.split('\n')) {
    const [, number, at] = /^ok (\d+) ([\d.]+)$/.exec(line) ?? [];
    if (number === undefined || at === undefined) {
      if (line.startsWith('failed ')) failures.push(line.replace(/^failed [\d.]+ /, ''));
      continue;
    }
    acknowledged.push(Number(number));
    if (last !== undefined) gaps.push(Number(at) - last);
    last = Number(at);
  }
  gaps.sort((left, right) => left - right);
  return {
    acknowledged,
    failures,
    longestGap: gaps.at(-1) ?? 0,
    usualGap: gaps[Math.floor(gaps.length / 2)] ?? 0,
  };
}
