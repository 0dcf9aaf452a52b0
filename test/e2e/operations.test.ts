/**
 * What people do to a release: each operation ends in one of two ways. Either it is refused before anything happened, or all
 * rows that were written before are there, every declared user logs in with the password of its Secret, and `verify` ends
 * with 0.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { stringify } from 'yaml';
import { chartFolder } from '../support/chart.ts';
import { attempt, eventually, run } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

type Values = Readonly<Record<string, unknown>>;

const initSQL = "CREATE TABLE items (id bigint PRIMARY KEY);\nSELECT create_distributed_table('items', 'id');";
const user = (name: string) => ({ name, access: 'readWrite', generate: true });
const shop = { users: [user('shop_app')], initSQL };
const crm = { users: [user('crm_app')], initSQL };
const secretOf: Readonly<Record<string, string>> = { shop: 'shop_app', crm: 'crm_app' };

function values(databases: Values, more: Values = {}): Values {
  return {
    ...smallCluster(),
    clusterName: 'ops',
    ssl: { enabled: true, mode: 'verify-full', createSecret: true },
    additionalDatabases: databases,
    ...more,
  };
}

const resources = { requests: { cpu: '50m', memory: '128Mi' } };
const twoGroups = {
  workers: [
    { citusGroup: '1', replicas: 1, resources },
    { citusGroup: '2', replicas: 1, resources },
  ],
};

describe('operations on a release', () => {
  let release: Release;
  /** Rows written so far, by database. */
  const rows = new Map<string, number>();
  let revision = 0;
  /** What Helm 4 needs from the moment on when another tool owns fields of the release. */
  let takeBack: readonly string[] = [];

  beforeAll(async () => {
    release = await createRelease('operations');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  async function apply(verb: 'install' | 'upgrade', of: Values, ...options: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await release.helm(
      verb,
      verb === 'upgrade' ? [...takeBack, ...options] : options,
      of,
    );
    expect({ code, stderr }, stdout).toMatchObject({ code: 0 });
    revision = await currentRevision();
  }

  async function currentRevision(): Promise<number> {
    return JSON.parse(await release.helmCommand('status', release.name, '-o', 'json')).version;
  }

  /** Helm's message; the release has to be what it was. */
  async function refused(of: Values, ...options: readonly string[]): Promise<string> {
    const before = await objects();
    const { code, stderr } = await release.helm('upgrade', options, of);
    expect(code).not.toBe(0);
    expect(await objects()).toBe(before);
    return stderr.replaceAll(/\s+/g, ' ');
  }

  /** Servers, Secrets and volumes with their identities: what a refused operation leaves alone. */
  async function objects(): Promise<string> {
    const fields = 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid}{"\\n"}{end}';
    const servers = await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', fields);
    const others = await release.kubectl('get', 'statefulsets,pvc,secrets', '-l', 'cluster-name=ops', '-o', fields);
    // Of the hook that refuses, which is made anew before the next one.
    return servers + others.replace(/^Secret ops-guard-image .*\n/m, '');
  }

  async function write(database: string): Promise<void> {
    const count = (rows.get(database) ?? 0) + 100;
    const from = count - 99;
    await release.sql(0, database, `INSERT INTO items SELECT generate_series(${from}, ${count})`);
    rows.set(database, count);
  }

  async function passwordOf(role: string): Promise<string> {
    const name = `ops-user-${role.replace('_', '-')}`;
    const list = JSON.parse(await release.kubectl('get', 'secrets', '-o', 'json'));
    const found = list.items.find((item: { metadata: { name: string } }) => item.metadata.name.startsWith(name));
    return Buffer.from(found.data.password, 'base64').toString();
  }

  /** As an application does, through the coordinator's Service, with the user's own password. */
  async function asUser(role: string, database: string, statement: string): Promise<string> {
    const pod = await release.leader(0);
    const target = `host=ops-0 user=${role} dbname=${database} sslmode=verify-full sslrootcert=/etc/ssl/certs/postgresql/ca.crt`;
    const psql = `PGPASSWORD=${await passwordOf(role)} psql -X -A -t -q -v ON_ERROR_STOP=1 "${target}" -c "${statement}"`;
    return (await release.kubectl('exec', pod, '-c', 'postgresql', '--', 'sh', '-c', psql)).trimEnd();
  }

  async function allIsWell(): Promise<void> {
    for (const [database, count] of rows) {
      expect(await asUser(secretOf[database] ?? '', database, 'SELECT count(*) FROM items')).toBe(String(count));
    }
    const { code, stdout, stderr } = await release.script('run-in-cluster', [release.name, 'verify']);
    expect(code, stdout + stderr).toBe(0);
  }

  async function isHelm3(): Promise<boolean> {
    return (await release.helmCommand('version', '--template', '{{.Version}}')).startsWith('v3');
  }

  async function uninstalled(): Promise<void> {
    await release.helmCommand('uninstall', release.name, '--timeout', '5m');
    await eventually('no pod of the servers is left', 150_000, async () =>
      (await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', 'name')) === '' ? true : undefined,
    );
  }

  async function rollback(to: number): Promise<{ readonly code: number; readonly output: string }> {
    const args = ['--namespace', release.namespace, 'rollback', release.name, String(to), '--timeout', '10m'];
    const { code, stdout, stderr } = await attempt(release.helmPath, args, { timeoutMs: 620_000 });
    if (code === 0) revision = await currentRevision();
    return { code, output: stdout + stderr };
  }

  step('install', 900, async () => {
    await apply('install', values({ shop }));
    await write('shop');
    await allIsWell();
  });

  step('upgrade: a database and a user more', 900, async (note) => {
    const start = performance.now();
    await apply('upgrade', values({ shop, crm }));
    note(`${((performance.now() - start) / 1000).toFixed(1)} s`);
    await write('crm');
    await write('shop');
    await allIsWell();
  });

  step('rollback: the database leaves the values and stays; back again', 900, async () => {
    const to = revision;
    const back = await rollback(to - 1);
    expect(back, back.output).toMatchObject({ code: 0 });
    rows.delete('crm');
    await allIsWell();
    const again = await rollback(to);
    expect(again, again.output).toMatchObject({ code: 0 });
    rows.set('crm', 100);
    await allIsWell();
  });

  step('a generated user is taken out, and comes back with a rollback', 900, async () => {
    const before = revision;
    await apply('upgrade', values({ shop, crm: { initSQL } }));
    const back = await rollback(before);
    expect(back, back.output).toMatchObject({ code: 0 });
    await allIsWell();
  });

  step('a password is rotated; a rollback does not bring the old one back', 900, async () => {
    const before = revision;
    const old = await passwordOf('shop_app');
    const name = (await release.kubectl('get', 'secrets', '-o', 'name'))
      .split('\n')
      .find((secret) => secret.startsWith('secret/ops-user-shop-app'));
    await release.kubectl('delete', name ?? '');
    await apply('upgrade', values({ shop, crm }));
    const rotated = await passwordOf('shop_app');
    expect(rotated).not.toBe(old);
    await allIsWell();
    const back = await rollback(before);
    expect(back, back.output).toMatchObject({ code: 0 });
    expect(await passwordOf('shop_app')).toBe(rotated);
    await allIsWell();
  });

  step('a certificate is renewed; a rollback does not bring the old one back', 900, async () => {
    const before = revision;
    const certificate = () =>
      release.kubectl('get', 'secret', 'ops-ssl-certs', '-o', 'go-template={{index .data "server.crt"}}');
    const old = await certificate();
    await release.kubectl('delete', 'secret', 'ops-ssl-certs');
    await apply('upgrade', values({ shop, crm }));
    const renewed = await certificate();
    expect(renewed).not.toBe(old);
    await allIsWell();
    const back = await rollback(before);
    expect(back, back.output).toMatchObject({ code: 0 });
    expect(await certificate()).toBe(renewed);
    await allIsWell();
  });

  step('a worker group is added, and a rollback that would delete it is refused', 900, async () => {
    const before = revision;
    await apply('upgrade', values({ shop, crm }, twoGroups));
    await write('shop');
    await allIsWell();
    const objectsBefore = await objects();
    const back = await rollback(before);
    expect(back.code).not.toBe(0);
    expect(await objects()).toBe(objectsBefore);
    expect(await release.kubectl('logs', 'job/ops-guard')).toContain(
      'This revision does not have worker group 2, whose StatefulSet ops-2 runs',
    );
    // Helm calls the release pending until another rollback ends, well or not (docs/DATABASE_MANAGEMENT.md).
    await rollback(revision);
    expect(await objects()).toBe(objectsBefore);
    await apply('upgrade', values({ shop, crm }, twoGroups));
    await allIsWell();
  });

  step('values that would swap, lose or lock out are refused, and nothing happens', 900, async () => {
    const { clusterName: _, ...forgotten } = values({ shop, crm }, twoGroups);
    expect(await refused(forgotten)).toContain('runs the cluster "ops"');
    expect(await refused(values({ shop, crm }))).toContain('workers: group 2 is not in the list');
    expect(await refused(values({ shop, crm }, { ...twoGroups, patroni: { scope: 'other' } }))).toContain(
      'patroni.scope',
    );
    for (const role of ['superuser', 'replication']) {
      expect(
        await refused(values({ shop, crm }, { ...twoGroups, patroni: { [role]: { username: 'someone' } } })),
      ).toContain(`patroni.${role}.username`);
    }
    expect(await refused(values({ shop, crm }, { ...twoGroups, storage: { size: '2Gi' } }))).toContain('size is 2Gi');
    const secret = await release.kubectl('get', 'secret', 'ops-credentials', '-o', 'json');
    await release.kubectl('delete', 'secret', 'ops-credentials');
    expect(await refused(values({ shop, crm }, twoGroups))).toContain(
      'the Secret ops-credentials with its passwords is gone',
    );
    const restored = JSON.parse(secret);
    for (const field of ['uid', 'resourceVersion', 'creationTimestamp', 'managedFields'])
      delete restored.metadata[field];
    await run('kubectl', ['-n', release.namespace, 'create', '-f', '-'], { input: JSON.stringify(restored) });
    await apply('upgrade', values({ shop, crm }, twoGroups));
    await allIsWell();
  });

  step('a parameter is changed, and a rollback changes it back', 900, async () => {
    const before = revision;
    const workMem = () => release.sql(1, 'postgres', 'SHOW work_mem');
    const old = await workMem();
    const patroni = { postgresql: { parameters: { work_mem: '11MB' } } };
    await apply('upgrade', values({ shop, crm }, { ...twoGroups, patroni }));
    expect(await workMem()).toBe('11MB');
    const back = await rollback(before);
    expect(back, back.output).toMatchObject({ code: 0 });
    expect(await workMem()).toBe(old);
    await allIsWell();
  });

  step(
    'SQL that fails: once, quickly, with the reason in the documented log; the corrected values go on',
    900,
    async (note) => {
      const start = performance.now();
      const wrong = { ...crm, initSQL: `${initSQL}\nSELECT * FROM no_such_table;` };
      const { code } = await release.helm('upgrade', [], values({ shop, crm: wrong }, twoGroups));
      expect(code).not.toBe(0);
      note(`from helm upgrade to its end: ${((performance.now() - start) / 1000).toFixed(1)} s`);
      const pods = await release.kubectl('get', 'pods', '-l', 'job-name=ops-create-db-crm', '-o', 'name');
      expect(pods.trim().split('\n')).toHaveLength(1);
      expect(await release.kubectl('logs', 'job/ops-create-db-crm')).toMatch(/no_such_table.*\(SQLSTATE 42P01\)/);
      await apply('upgrade', values({ shop, crm }, twoGroups));
      await allIsWell();
    },
  );

  step('a failed upgrade that rolls back by itself', 900, async () => {
    const flag = (await isHelm3()) ? '--atomic' : '--rollback-on-failure';
    const wrong = { ...crm, initSQL: `${initSQL}\nSELECT * FROM no_such_table;` };
    const { code } = await release.helm('upgrade', [flag], values({ shop, crm: wrong }, twoGroups));
    expect(code).not.toBe(0);
    revision = await currentRevision();
    // The failed Job is gone with its log; its Event has the reason.
    expect(await release.kubectl('get', 'events', '--field-selector', 'involvedObject.name=ops-create-db-crm')).toMatch(
      /initSQL failed at line 3: SELECT \* FROM no_such_table/,
    );
    await allIsWell();
  });

  step('rendered and applied twice: no password changes, and the second time nothing does', 900, async () => {
    const before = [await passwordOf('shop_app'), await passwordOf('crm_app')];
    const args = ['template', release.name, chartFolder, '--namespace', release.namespace, '--no-hooks', '-f', '-'];
    const { E2E_VALUES } = process.env;
    if (E2E_VALUES !== undefined) args.push('-f', E2E_VALUES);
    const rendered = await run(release.helmPath, args, { input: stringify(values({ shop, crm }, twoGroups)) });
    const manifests = () =>
      run('kubectl', ['-n', release.namespace, 'apply', '--server-side', '--force-conflicts', '-f', '-'], {
        input: rendered,
      });
    await manifests();
    const versions = () =>
      release.kubectl(
        'get',
        'secrets,statefulsets,configmaps',
        '-l',
        'cluster-name=ops',
        '-o',
        'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{"\\n"}{end}',
      );
    const after = await versions();
    await manifests();
    expect(await versions()).toBe(after);
    expect([await passwordOf('shop_app'), await passwordOf('crm_app')]).toEqual(before);
    // Helm 4 applies on the server's side, where the fields are kubectl's by now (docs/DATABASE_MANAGEMENT.md).
    if (!(await isHelm3())) {
      expect(await refused(values({ shop, crm }, twoGroups))).toContain('conflict');
      takeBack = ['--force-conflicts'];
    }
    await apply('upgrade', values({ shop, crm }, twoGroups));
    await allIsWell();
  });

  step('a change by hand in between is mended by the next upgrade', 900, async () => {
    await release.sql(0, 'postgres', "ALTER ROLE crm_app PASSWORD 'something else'");
    await release.sql(1, 'postgres', 'REVOKE CONNECT ON DATABASE shop FROM shop_app');
    await apply('upgrade', values({ shop, crm }, twoGroups));
    await allIsWell();
  });

  step('a worker group is drained and retired', 900, async () => {
    const drained = await release.script('run-in-cluster', ['ops', 'drain', '2', '--transfer-mode', 'block_writes']);
    expect(drained).toMatchObject({ code: 0 });
    expect(drained.stdout).toContain('No database has shards on group 2 any more');
    await apply('upgrade', values({ shop, crm }, { retiredWorkerGroups: ['2'] }));
    expect(await release.kubectl('get', 'statefulsets', '-o', 'name')).not.toContain('ops-2');
    await allIsWell();
  });

  step('replicas: one more, and one less', 900, async () => {
    await apply('upgrade', values({ shop, crm }, { coordinator: { replicas: 2, resources } }));
    await release.ready({ 0: 2, 1: 1 });
    await write('shop');
    await allIsWell();
    await apply('upgrade', values({ shop, crm }));
    await eventually('one pod of the coordinator is left', 120_000, async () =>
      (await release.kubectl('get', 'pods', '-l', 'application=patroni,citus-group=0', '-o', 'name')).trim() ===
      'pod/ops-0-0'
        ? true
        : undefined,
    );
    await release.ready({ 0: 1, 1: 1 });
    await allIsWell();
  });

  step('fewer replicas than the volumes that are kept need: refused, and said how many', 900, async () => {
    const both = values({ shop, crm }, { coordinator: { replicas: 2, resources } });
    await apply('upgrade', both);
    await release.ready({ 0: 2, 1: 1 });
    await release.kubectl(
      ...['exec', 'ops-0-0', '-c', 'postgresql', '--', 'patronictl', 'switchover', '--group', '0', '--force'],
    );
    await eventually('the other one leads', 90_000, async () =>
      (await release.leader(0)) === 'ops-0-1' ? true : undefined,
    );
    await uninstalled();
    const { code, stderr } = await release.helm('install', [], values({ shop, crm }));
    expect(code).not.toBe(0);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain('Start with replicas: 2');
    await apply('install', both);
    await release.ready({ 0: 2, 1: 1 });
    await allIsWell();
    await release.kubectl(
      ...['exec', 'ops-0-0', '-c', 'postgresql', '--', 'patronictl', 'switchover', '--group', '0', '--force'],
    );
    await eventually('the first one leads again', 90_000, async () =>
      (await release.leader(0)) === 'ops-0-0' ? true : undefined,
    );
    await apply('upgrade', values({ shop, crm }));
    await release.ready({ 0: 1, 1: 1 });
  });

  step('uninstall and install: the volumes, passwords and users are those of before', 900, async () => {
    await uninstalled();
    await apply('install', values({ shop, crm }));
    await allIsWell();
  });

  step(
    'a forgotten clusterName where no object is left to look up: no database is made, and the data is there',
    900,
    async () => {
      await uninstalled();
      const { clusterName: _, ...forgotten } = values({ shop, crm });
      const { code } = await release.helm('install', [], forgotten);
      expect(code).not.toBe(0);
      const log = await release.kubectl('logs', 'job/citusdemo-create-db-shop');
      expect(log).toMatch(
        /another cluster than the one that the release has had: scope 'citusdemo'.*before, scope 'ops'/,
      );
      expect(
        await release.sql(0, 'postgres', "SELECT count(*) FROM pg_database WHERE datname IN ('shop', 'crm')"),
      ).toBe('0');
      await uninstalled();
      await apply('install', values({ shop, crm }));
      await allIsWell();
    },
  );

  step('an empty server in the place of a worker is refused before anything is made', 900, async () => {
    await uninstalled();
    await release.kubectl('delete', 'pvc', 'data-ops-1-0');
    await release.kubectl('delete', 'configmap', '-l', 'cluster-name=ops,citus-group=1');
    const { code } = await release.helm('install', [], values({ shop, crm }));
    expect(code).not.toBe(0);
    expect(await release.kubectl('logs', 'job/ops-create-db-shop')).toContain('This is another server than before');
    expect(await release.sql(1, 'postgres', "SELECT count(*) FROM pg_database WHERE datname IN ('shop', 'crm')")).toBe(
      '0',
    );
  });
});
