/**
 * One release runs the cluster; another one, in another namespace, declares databases on it (cluster.create: false) and knows
 * nothing of Patroni.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

describe('a cluster that another release runs', () => {
  let servers: Release;
  let tenant: Release;

  beforeAll(async () => {
    servers = await createRelease('servers');
    tenant = await createRelease('tenant');
  }, 60_000);
  afterAll(async () => {
    await tenant?.destroy();
    await servers?.destroy();
  }, 300_000);

  /** As `kubectl get secret | kubectl apply` into the other namespace would. */
  async function copySecret(from: string, to: string): Promise<void> {
    const { data } = JSON.parse(await servers.kubectl('get', 'secret', from, '-o', 'json')) as {
      data: Readonly<Record<string, string>>;
    };
    await tenant.kubectl('create', 'secret', 'generic', to);
    await tenant.kubectl('patch', 'secret', to, '-p', JSON.stringify({ data }));
  }

  function node(group: number) {
    // The nodes know each other by the short names of their Services, which mean nothing in another namespace.
    return { host: `citusdemo-${group}.${servers.namespace}.svc`, nodeName: `citusdemo-${group}` };
  }

  function values(additionalDatabases: readonly object[], groups: readonly number[] = [1]) {
    return {
      clusterName: 'tenant',
      cluster: {
        create: false,
        coordinator: node(0),
        workers: groups.map((group) => ({ citusGroup: String(group), ...node(group) })),
        superuser: { secretName: 'cluster-superuser', key: 'superuser-password' },
      },
      ssl: { secretName: 'cluster-tls' },
      additionalDatabases,
    };
  }

  const orders = {
    name: 'orders',
    users: [{ name: 'orders_app', access: 'readWrite', generate: true }],
    initSQLFrom: [{ configMap: 'orders-sql', key: 'tables.sql' }],
    rebalance: { when: 'afterJoin', transferMode: 'block_writes' },
  };
  const sql = `SET citus.shard_count TO 4;
CREATE TABLE public.events (id bigint PRIMARY KEY);
SELECT create_distributed_table('public.events', 'id');
`;
  const placements = `SELECT string_agg(g || ' ' || n, ',' ORDER BY g) FROM
    (SELECT groupid AS g, count(*) AS n FROM pg_dist_placement GROUP BY 1) p`;

  step('the servers are installed, without databases', 900, async () => {
    const clients = [{ namespaceSelector: {} }];
    const { code, stderr } = await servers.helm('install', ['--wait'], {
      ...smallCluster({ replicas: [1, 1, 1] }),
      networkPolicy: { clients },
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    await servers.ready({ 0: 1, 1: 1, 2: 1 });
  });

  step('the other release makes a database on them, and has no servers', 900, async () => {
    await copySecret('citusdemo-credentials', 'cluster-superuser');
    await copySecret('citusdemo-ssl-certs', 'cluster-tls');
    await tenant.kubectl('create', 'configmap', 'orders-sql', `--from-literal=tables.sql=${sql}`);
    const { code, stderr } = await tenant.helm('install', [], values([orders]));
    const log = await tenant.jobLog('orders');
    expect({ code, stderr, log }).toMatchObject({
      code: 0,
      log: expect.stringContaining("Database 'orders' is ready!"),
    });
    expect(log).toContain('Line 2 (/etc/citus-databases/sql/configmap/orders-sql/tables.sql): CREATE TABLE');
    const kinds = 'statefulsets,services,poddisruptionbudgets,persistentvolumeclaims';
    expect((await tenant.kubectl('get', kinds, '-o', 'name')).trim()).toBe('');
    for (const group of [0, 1]) {
      expect(await servers.sql(group, 'orders', 'SELECT count(*) FROM pg_dist_node')).toBe('2');
    }
    const host = await tenant
      .kubectl('get', 'secret', 'tenant-user-orders_app', '-o', 'jsonpath={.data.host}')
      .catch(
        async () =>
          await tenant.kubectl(
            ...['get', 'secrets', '-o'],
            'jsonpath={.items[?(@.metadata.annotations.citus-databases/user=="orders_app")].data.host}',
          ),
      );
    expect(Buffer.from(host, 'base64').toString()).toBe(node(0).host);
  });

  step('a worker that joins gets its share, and is drained again', 900, async () => {
    expect((await tenant.helm('upgrade', [], values([orders], [1, 2]))).code).toBe(0);
    expect(await tenant.jobLog('orders')).toMatch(/Moving shards \(job \d+\)/);
    expect(await servers.sql(0, 'orders', placements)).toBe('1 2,2 2');
    expect(await tenant.script('run-in-cluster', [tenant.name, 'rebalance', 'orders'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('No shard has to move'),
    });
    const drain = ['drain', '2', '--transfer-mode', 'block_writes'];
    const drained = await tenant.script('run-in-cluster', [tenant.name, ...drain]);
    expect(drained).toMatchObject({ code: 0, stdout: expect.stringContaining('No database has shards on group 2') });
    expect(await servers.sql(0, 'orders', placements)).toBe('1 4');
    expect(await servers.sql(1, 'orders', 'SELECT count(*) FROM pg_dist_node')).toBe('2');
  });

  step('it changes what it declares, proves it, and runs commands', 600, async () => {
    const { code } = await tenant.helm(
      'upgrade',
      [],
      values([{ ...orders, comment: 'of another release' }, { name: 'stock' }]),
    );
    expect(code).toBe(0);
    await tenant.helmCommand('test', tenant.name);
    const plan = await tenant.script('run-in-cluster', [tenant.name, 'plan']);
    expect(plan).toMatchObject({ code: 0 });
    expect(await servers.sql(1, 'stock', 'SELECT count(*) FROM pg_dist_node')).toBe('2');
  });

  step('it goes, and the servers keep the databases', 300, async () => {
    await tenant.helmCommand('uninstall', tenant.name, '--wait');
    expect(
      await servers.sql(0, 'postgres', "SELECT count(*) FROM pg_database WHERE datname IN ('orders', 'stock')"),
    ).toBe('2');
  });
});
