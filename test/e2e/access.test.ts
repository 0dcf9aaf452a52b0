/** Who gets in with the chart's own values: to PostgreSQL, to Kubernetes with the servers' service account, and to standbys. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { attempt, eventually, type Outcome } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const shop = {
  users: [{ name: 'shop_app', access: 'readWrite', generate: true }],
  initSQL: [
    'CREATE TABLE items (id bigint PRIMARY KEY, name text);',
    "SELECT create_distributed_table('items', 'id');",
    'CREATE TABLE kinds (id int PRIMARY KEY);',
    "SELECT create_reference_table('kinds');",
    'INSERT INTO kinds SELECT generate_series(1, 3);',
    "INSERT INTO items SELECT id, 'item' FROM generate_series(1, 100) id;",
  ].join('\n'),
};
const authority = '/etc/ssl/certs/postgresql/ca.crt';

describe('who gets in', () => {
  let release: Release;

  beforeAll(async () => {
    release = await createRelease('access');
  }, 60_000);
  afterAll(async () => {
    // What belongs to no namespace.
    await release.helmCommand('uninstall', release.name, '--ignore-not-found', '--timeout', '3m');
    await release.destroy();
  }, 300_000);

  async function secret(name: string, key: string): Promise<string> {
    const data = await release.kubectl('get', 'secret', name, '-o', `go-template={{index .data "${key}"}}`);
    return Buffer.from(data, 'base64').toString();
  }

  async function passwordOfUser(): Promise<string> {
    const names = await release.kubectl('get', 'secrets', '-o', 'name');
    const [, name = ''] = /^secret\/(citusdemo-user-shop-app-\S+)$/m.exec(names) ?? [];
    return await secret(name, 'password');
  }

  /** psql in a pod that has the files of a client alone: the authority's certificate. */
  async function psql(conninfo: string, password: string, statement: string): Promise<Outcome> {
    const command = `PGPASSWORD='${password}' PGSSLCERT=/none PGSSLKEY=/none psql -X -A -t -q -v ON_ERROR_STOP=1 "${conninfo}" -c "${statement}"`;
    const pod = await release.leader(1);
    const exec = ['--namespace', release.namespace, 'exec', pod, '-c', 'postgresql', '--', 'sh', '-c', command];
    return await attempt('kubectl', exec);
  }

  async function asUser(host: string, statement: string): Promise<Outcome> {
    const password = await passwordOfUser();
    const conninfo = `host=${host} user=shop_app dbname=shop sslmode=verify-full sslrootcert=${authority}`;
    return await psql(conninfo, password, statement);
  }

  /** kubectl with the rights of the servers' service account, as from a superuser's shell. */
  async function asServer(...args: readonly string[]): Promise<Outcome> {
    const account = `system:serviceaccount:${release.namespace}:citusdemo`;
    return await attempt('kubectl', ['--namespace', release.namespace, `--as=${account}`, ...args]);
  }

  step('install with the defaults of ssl and networkPolicy', 420, async () => {
    const { code, stdout, stderr } = await release.helm('install', [], {
      ...smallCluster({ replicas: [2, 1] }),
      additionalDatabases: { shop },
      rbac: { admissionPolicy: true },
      service: { readOnly: true },
    });
    expect({ code, stderr }, stdout).toMatchObject({ code: 0 });
    expect(await release.kubectl('get', 'networkpolicies', '-o', 'name')).toContain('/citusdemo');
    await release.ready({ 0: 2, 1: 1 });
  });

  step('a user with its password: with TLS, and only so', 60, async () => {
    expect(await asUser('citusdemo-0', 'SELECT count(*) FROM items')).toMatchObject({ code: 0, stdout: '100\n' });
    const password = await passwordOfUser();
    const plain = await psql('host=citusdemo-0 user=shop_app dbname=shop sslmode=disable', password, 'SELECT 1');
    expect(plain.code).not.toBe(0);
    expect(plain.stderr).toContain('no encryption');
  });

  step('the superuser with its password, and no certificate: refused', 60, async () => {
    const password = await secret('citusdemo-credentials', 'superuser-password');
    const { code, stderr } = await psql(
      `host=citusdemo-0 user=postgres dbname=shop sslmode=verify-full sslrootcert=${authority}`,
      password,
      'SELECT 1',
    );
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/connection requires a valid client certificate/);
  });

  step('the service account of the servers: its own pods, no images, no other objects', 60, async () => {
    const image = JSON.stringify({ spec: { containers: [{ name: 'postgresql', image: 'evil:1' }] } });
    const own = await asServer('patch', 'pod', 'citusdemo-1-0', '-p', image);
    expect(own.stderr).toContain('Patroni changes labels and annotations of its pods only');
    const label = await asServer('label', 'pod', 'citusdemo-1-0', '--overwrite', 'citus-group=0');
    expect(label.stderr).toContain('Patroni changes the label role of its pods only');
    const job = (await release.kubectl('get', 'pods', '-l', 'job-type=database-creation', '-o', 'name')).trim();
    expect((await asServer('patch', job, '-p', image)).stderr).toMatch(/forbidden/i);
    const made = await asServer('create', 'configmap', 'evil', '--from-literal=a=b');
    expect(made.stderr).toContain('ConfigMaps and Secrets of its own release only');
    expect((await asServer('get', 'secrets')).stderr).toMatch(/forbidden/i);
    for (const { code } of [own, label, made]) expect(code).not.toBe(0);
    expect((await asServer('annotate', 'pod', 'citusdemo-1-0', 'test=it')).code).toBe(0);
  });

  step("the Service of the coordinator's standbys: distributed queries, and no writes", 90, async (note) => {
    await eventually('the standby has what was written', 60_000, async () => {
      const { stdout } = await asUser('citusdemo-0-read', 'SELECT pg_is_in_recovery(), count(*) FROM items');
      return stdout === 't|100\n' ? true : undefined;
    });
    const join = 'SELECT count(*) FROM items JOIN kinds ON items.id % 3 + 1 = kinds.id WHERE items.id <= 10';
    expect(await asUser('citusdemo-0-read', join)).toMatchObject({ code: 0, stdout: '10\n' });
    expect(await asUser('citusdemo-0-read', 'SELECT name FROM items WHERE id = 7')).toMatchObject({ stdout: 'item\n' });
    const write = await asUser('citusdemo-0-read', "INSERT INTO items VALUES (101, 'new')");
    expect(write.code).not.toBe(0);
    note(write.stderr);
  });

  step('a failover goes through with these rights', 180, async () => {
    const before = await release.leader(0);
    await release.kubectl('delete', 'pod', before, '--wait=false');
    await eventually('another pod leads', 120_000, async () => {
      const leader = await release.leader(0);
      return leader !== '' && leader !== before && !leader.includes(' ') ? true : undefined;
    });
    await eventually('the leader Service leads to it', 60_000, async () =>
      (await asUser('citusdemo-0', "INSERT INTO items VALUES (102, 'new')")).code === 0 ? true : undefined,
    );
    await release.ready({ 0: 2, 1: 1 });
    expect(await release.helmCommand('test', release.name)).toMatch(/Phase:\s+Succeeded/);
  });
});
