import { expect } from 'vitest';
import { parse } from 'yaml';
import { decoded, named, render } from '../support/chart.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram } from '../support/program.ts';

/** What the chart renders for a cluster that something else runs (cluster.create: false), against such a cluster. */

const test = clusterTest({ workers: 2 })
  /** The spec that the chart's Job reads; its Secret with the password is a file here. */
  .extend('specFor', { scope: 'file' }, ({ cluster }) => (workers: readonly object[], name: string): Document => {
    const { host, port } = cluster.nodes[0] ?? { host: '', port: 0 };
    const objects = render({
      values: {
        cluster: {
          create: false,
          coordinator: { host, port },
          workers,
          superuser: { username: cluster.superuser, secretName: 'admin' },
        },
        ssl: { enabled: false },
        additionalDatabases: [{ name, schemas: ['app'], comment: 'from elsewhere' }],
      },
    });
    const spec = parse(decoded(named(objects, 'Secret', `citusdemo-create-db-${name}`), 'spec.yaml'));
    return { ...spec, cluster: { ...spec.cluster, passwordFile: cluster.passwordFile } };
  })
  .extend('ready', { scope: 'file' }, ({ cluster }) => async (spec: Document): Promise<void> => {
    const { code, log } = await runProgram(cluster, ['apply'], spec);
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
    expect(await runProgram(cluster, ['verify'], spec)).toMatchObject({ code: 0 });
  });

test('with workers that are listed', async ({ cluster, specFor, ready }) => {
  const workers = cluster.nodes.slice(1).map(({ group, host, port }) => ({ citusGroup: group, host, port }));
  await ready(specFor(workers, 'listed'));
  expect(await query(cluster, 2, 'listed', 'SELECT groupid FROM pg_dist_node ORDER BY 1')).toHaveLength(3);
});

test('with workers that are registered in the database that is there', async ({ cluster, specFor, ready }) => {
  // As its owner has made it.
  const workers = cluster.nodes.slice(1).map(({ group, host, port }) => ({ group, host, port }));
  const { host, port } = cluster.nodes[0] ?? { host: '', port: 0 };
  const owners = {
    cluster: { passwordFile: cluster.passwordFile, database: 'postgres', coordinator: { host, port }, workers },
    databases: [{ name: 'citus' }],
  };
  expect(await runProgram(cluster, ['apply'], owners)).toMatchObject({ code: 0 });
  await ready(specFor([], 'discovered'));
  expect(await query(cluster, 1, 'discovered', 'SELECT groupid FROM pg_dist_node ORDER BY 1')).toHaveLength(3);
});
