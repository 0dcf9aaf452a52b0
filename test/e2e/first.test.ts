/**
 * The first part: what a user does on the first day, on a cluster started from nothing. Continuous integration runs this one.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { parse } from 'yaml';
import { eventually } from './support/command.ts';
import { comparable, firstRun, unchangedRun } from './support/expectedLog.ts';
import { fingerprint } from './support/fingerprint.ts';
import { createRelease, type Release, repository } from './support/release.ts';
import { step } from './support/step.ts';

const example = path.join(repository, 'chart', 'values.example-automated-setup.yaml');
const exampleDatabases: readonly unknown[] = parse(readFileSync(example, 'utf8')).additionalDatabases;
const orders = {
  name: 'orders',
  extensions: ['hstore'],
  initSQL:
    "CREATE TABLE events (id bigint PRIMARY KEY, note text);\nSELECT create_distributed_table('events', 'id');\n",
};

describe('install, upgrade, verify, uninstall', () => {
  let release: Release;
  let before: readonly string[];

  beforeAll(async () => {
    release = await createRelease('first');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  step('values that cannot be right: helm fails before there is any pod', 60, async () => {
    const outcome = await release.helm('install', ['-f', example], {
      additionalDatabases: [{ name: 'skymap', workerGroups: ['7'] }],
    });
    expect(outcome.code).not.toBe(0);
    expect(outcome.stderr).toContain('additionalDatabases[0].workerGroups[0]: there is no worker group 7');
    expect(await release.kubectl('get', 'pods,jobs,statefulsets', '-o', 'name')).toBe('');
  });

  step('the API server accepts every manifest, at pod security level restricted', 60, async () => {
    const outcome = await release.helm('install', ['-f', example, '--dry-run=server', '--hide-secret']);
    expect(outcome.stderr).not.toMatch(/warning|violate/i);
    expect(outcome.code).toBe(0);
  });

  step('helm install with the example: skymap is ready', 420, async (note) => {
    const start = performance.now();
    const outcome = await release.helm('install', ['-f', example]);
    note(`from helm install to its end, and the last "is ready!": ${seconds(start)}`);
    expect(outcome.stderr).not.toMatch(/warning|violate/i);
    expect(outcome.stdout).toContain('STATUS: deployed');
    expect(outcome.code).toBe(0);
  });

  step("the Job's log, line by line", 30, async () => {
    expect(comparable(await release.jobLog('skymap'))).toEqual(firstRun);
  });

  step('each node has the database, its extensions and its settings', 60, async () => {
    for (const group of [0, 1, 2]) {
      const extensions = await release.sql(
        group,
        'skymap',
        "SELECT string_agg(extname, ',' ORDER BY extname) FROM pg_extension",
      );
      expect(extensions.split(',')).toEqual(
        expect.arrayContaining(['citus', 'pg_partman', 'postgis', 'postgis_topology']),
      );
      expect(await release.sql(group, 'skymap', 'SHOW timezone')).toBe('UTC');
      const nodes = 'SELECT groupid, nodename, nodeport, metadatasynced FROM pg_dist_node ORDER BY groupid';
      expect(await release.sql(group, 'skymap', nodes)).toBe(
        '0|citusdemo-0|5432|t\n1|citusdemo-1|5432|t\n2|citusdemo-2|5432|t',
      );
    }
  });

  step('the password of the manifest stays out of what everybody may read', 30, async () => {
    const password = Buffer.from(
      await release.kubectl('get', 'secret', 'citusdemo-credentials', '-o', 'jsonpath={.data.superuser-password}'),
      'base64',
    ).toString();
    expect(password).toHaveLength(32);
    const readable = await release.kubectl('get', 'pods,jobs,configmaps,events,statefulsets', '-o', 'yaml');
    expect(readable).not.toContain(password);
    expect(readable).not.toContain('changeme');
    const logs = await release.jobLog('skymap');
    expect(logs).not.toContain(password);
    expect(logs).not.toContain('changeme');
  });

  step('a restart of the whole Job changes nothing: plan is empty', 120, async () => {
    const { code, stdout, stderr } = await release.script('run-in-cluster', ['citusdemo', 'plan']);
    expect(stdout, stderr).toContain('Nothing to do');
    expect(code).toBe(0);
  });

  step('helm upgrade --reuse-values adds a database', 300, async (note) => {
    before = await Promise.all([0, 1, 2].map((group) => fingerprint(release, group, 'skymap')));
    const start = performance.now();
    const outcome = await release.helm('upgrade', ['--reuse-values'], {
      additionalDatabases: [...exampleDatabases, orders],
    });
    note(`from helm upgrade to its end, and the last "is ready!": ${seconds(start)}`);
    expect(outcome.stderr).not.toMatch(/warning|violate/i);
    expect(outcome.code).toBe(0);
    expect((await release.jobLog('orders')).trimEnd().split('\n').at(-2)).toBe("Database 'orders' is ready!");
  });

  step('the first database was not touched, and its log says so on one screen', 60, async () => {
    const after = await Promise.all([0, 1, 2].map((group) => fingerprint(release, group, 'skymap')));
    expect(after).toEqual(before);
    const log = comparable(await release.jobLog('skymap'));
    expect(log).toEqual(unchangedRun);
    expect(log.length).toBeLessThanOrEqual(40);
  });

  step('rows written through any node are read through every other', 60, async () => {
    await release.sql(0, 'orders', "INSERT INTO events SELECT id, 'from 0' FROM generate_series(1, 100) id");
    await release.sql(1, 'orders', "INSERT INTO events SELECT id, 'from 1' FROM generate_series(101, 150) id");
    for (const group of [0, 1, 2]) {
      expect(await release.sql(group, 'orders', 'SELECT count(*), count(DISTINCT note) FROM events')).toBe('150|2');
    }
  });

  step('helm test proves both databases', 120, async () => {
    expect(await release.helmCommand('test', release.name)).toMatch(/Phase:\s+Succeeded/);
    const log = await release.kubectl('logs', 'job/citusdemo-verify');
    expect(log).toContain("Database 'skymap' is ready!");
    expect(log).toContain("Database 'orders' is ready!");
  });

  step('the pods were not restarted by any of this', 30, async () => {
    const restarts = 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount} {end}';
    expect(await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', restarts)).toBe('0 0 0 ');
  });

  step('helm uninstall leaves volumes and what they need, and nothing else', 180, async () => {
    await release.helmCommand('uninstall', release.name);
    await eventually('no pod is left', 150_000, async () =>
      (await release.kubectl('get', 'pods', '-o', 'name')) === '' ? true : undefined,
    );
    const left = await release.kubectl(
      ...['get', '-o', 'name'],
      'jobs,pods,statefulsets,services,configmaps,secrets,roles,rolebindings,serviceaccounts,pvc,poddisruptionbudgets',
    );
    const unexpected = left
      .trim()
      .split('\n')
      .filter((object) => !object.startsWith('persistentvolumeclaim/data-citusdemo-'))
      // Kubernetes' own, and what makes the volumes usable again: their roles' passwords, Patroni's record of each group, and
      // the record by which the next install knows that the volumes hold this cluster.
      .filter((object) => !['configmap/kube-root-ca.crt', 'serviceaccount/default'].includes(object))
      .filter((object) => !/^secret\/citusdemo-(credentials|ssl-ca|ssl-certs)$/.test(object))
      .filter((object) => !/^configmap\/citusdemo-(\d-(config|leader|sync|failover)|citus-identity)$/.test(object));
    expect(unexpected).toEqual([]);
  });
});

function seconds(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
