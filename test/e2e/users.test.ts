/**
 * Users: three databases and five users; a password is rotated and a user added by an upgrade; nobody reads a password.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createRelease, type Release, repository } from './support/release.ts';
import { step } from './support/step.ts';

const example = path.join(repository, 'chart', 'values.example-automated-setup.yaml');
const groups = [0, 1, 2];

/** A database with a distributed table of three rows, and its users. */
function database(name: string, users: readonly object[]) {
  const initSQL = [
    'CREATE TABLE items (id bigint PRIMARY KEY);',
    "SELECT create_distributed_table('items', 'id');",
    'INSERT INTO items SELECT generate_series(1, 3);',
  ].join('\n');
  return { name, users, initSQL };
}

const crm = database('crm', [
  { name: 'crm_app', access: 'readWrite', generate: true },
  { name: 'crm_ro', access: 'readOnly', generate: true },
]);
const databases = [
  database('shop', [
    { name: 'shop_app', access: 'owner', generate: true },
    { name: 'shop_ro', access: 'readOnly', existingSecret: { name: 'shop-ro', key: 'secret' } },
  ]),
  crm,
  database('wiki', [{ name: 'wiki_app', access: 'all', generate: true }]),
];
const addedUser = { name: 'crm_report', access: 'readOnly', generate: true };

describe('users and their passwords', () => {
  let release: Release;
  const passwords = new Map<string, string>();
  let before: ReadonlyMap<string, string>;

  beforeAll(async () => {
    release = await createRelease('users');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  async function putSecret(password: string): Promise<void> {
    passwords.set('shop_ro', password);
    await release.kubectl('delete', 'secret', 'shop-ro', '--ignore-not-found');
    await release.kubectl('create', 'secret', 'generic', 'shop-ro', `--from-literal=secret=${password}`);
  }

  async function connectionSecret(user: string): Promise<ReadonlyMap<string, string>> {
    const list = JSON.parse(await release.kubectl('get', 'secrets', '-o', 'json'));
    const secret = list.items.find(
      (item: { metadata: { annotations?: Record<string, string> } }) =>
        item.metadata.annotations?.['citus-databases/user'] === user,
    );
    const data: Record<string, string> = secret.data;
    return new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
  }

  /** As an application does: over TCP, with the user's own password. */
  async function asUser(user: string, on: string, group: number, statement: string): Promise<string> {
    const pod = await release.leader(0);
    const psql = `psql -X -A -t -q -v ON_ERROR_STOP=1 "host=citusdemo-${group} user=${user} dbname=${on} sslmode=require" -c "${statement}"`;
    const password = passwords.get(user) ?? '';
    const shell = ['sh', '-c', `PGPASSWORD=${password} ${psql}`];
    return (await release.kubectl('exec', pod, '-c', 'postgresql', '--', ...shell)).trimEnd();
  }

  /** Verifiers of the users, the same on every node. */
  async function verifiers(): Promise<ReadonlyMap<string, string>> {
    const statement = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname ~ '^(shop|crm|wiki)_' ORDER BY rolname";
    const [first = '', ...others] = await Promise.all(groups.map((group) => release.sql(group, 'postgres', statement)));
    for (const other of others) expect(other).toBe(first);
    return new Map(first.split('\n').map((line): [string, string] => [line.split('|')[0] ?? '', line]));
  }

  step('helm install: three databases, five users', 420, async (note) => {
    await putSecret(randomBytes(16).toString('hex'));
    const start = performance.now();
    const outcome = await release.helm('install', ['-f', example], {
      patroni: { postgresql: { parameters: { log_statement: 'all', log_min_duration_statement: 0 } } },
      additionalDatabases: databases,
    });
    expect(outcome.stderr + outcome.stdout).toContain('STATUS: deployed');
    expect(outcome.code).toBe(0);
    note(`${((performance.now() - start) / 1000).toFixed(1)} s`);
    for (const { name } of databases) {
      expect((await release.jobLog(name)).trimEnd().split('\n').at(-2)).toBe(`Database '${name}' is ready!`);
    }
  });

  step('generated passwords: 64 hexadecimal digits, in a Secret that an application mounts', 30, async () => {
    for (const user of ['shop_app', 'crm_app', 'crm_ro', 'wiki_app']) {
      const secret = await connectionSecret(user);
      const password = secret.get('password') ?? '';
      expect(password).toMatch(/^[0-9a-f]{64}$/);
      passwords.set(user, password);
      const libpq = ['PGDATABASE', 'PGHOST', 'PGPASSWORD', 'PGPORT', 'PGSSLMODE', 'PGUSER', 'ca.crt', 'sslmode'];
      expect([...secret.keys()].toSorted()).toEqual(
        [...libpq, 'database', 'host', 'password', 'port', 'type', 'uri', 'username'].toSorted(),
      );
      expect(secret.get('username')).toBe(user);
    }
  });

  step(
    'each user logs in on every node and reads the distributed table; who only reads cannot write',
    120,
    async () => {
      for (const { name, users } of databases) {
        for (const { name: user, access } of users as readonly { name: string; access: string }[]) {
          for (const group of groups) expect(await asUser(user, name, group, 'SELECT count(*) FROM items')).toBe('3');
          const write = asUser(user, name, 1, 'UPDATE items SET id = id WHERE false');
          if (access === 'readOnly') await expect(write).rejects.toThrow('permission denied for table items');
          else await write;
        }
      }
    },
  );

  step('an upgrade rotates one password and adds one user, and changes no other verifier', 300, async () => {
    before = await verifiers();
    expect(before.size).toBe(5);
    const old = passwords.get('shop_ro') ?? '';
    await putSecret(randomBytes(16).toString('hex'));
    const more = databases.map((entry) => (entry === crm ? { ...crm, users: [...crm.users, addedUser] } : entry));
    const outcome = await release.helm('upgrade', ['--reuse-values'], { additionalDatabases: more });
    expect(outcome.stderr).not.toMatch(/error/i);
    expect(outcome.code).toBe(0);

    const after = await verifiers();
    expect([...after.keys()].toSorted()).toEqual([...before.keys(), 'crm_report'].toSorted());
    for (const [user, line] of before) {
      if (user === 'shop_ro') expect(after.get(user)).not.toBe(line);
      else expect(after.get(user)).toBe(line);
    }
    for (const user of ['shop_app', 'crm_app', 'crm_ro', 'wiki_app']) {
      expect((await connectionSecret(user)).get('password')).toBe(passwords.get(user));
    }
    expect(await asUser('shop_ro', 'shop', 2, 'SELECT count(*) FROM items')).toBe('3');
    const current = passwords.get('shop_ro') ?? '';
    passwords.set('shop_ro', old);
    await expect(asUser('shop_ro', 'shop', 2, 'SELECT 1')).rejects.toThrow('password authentication failed');
    passwords.set('shop_ro', current);
    passwords.set('crm_report', (await connectionSecret('crm_report')).get('password') ?? '');
    expect(await asUser('crm_report', 'crm', 2, 'SELECT count(*) FROM items')).toBe('3');
    expect((await release.jobLog('wiki')).includes('Nothing was changed')).toBe(true);
  });

  step(
    'no password and no verifier where others read: logs, events, termination messages, servers, manifest',
    120,
    async () => {
      const secrets = [...passwords.values(), ...[...before.values()].map((line) => line.split('|')[1] ?? '')];
      expect(secrets).toHaveLength(11);
      const manifest = parseAllDocuments(await release.helmCommand('get', 'manifest', release.name))
        .map((document) => document.toJS())
        .filter((object) => object !== null && object.kind !== 'Secret');
      const places = new Map<string, string>([
        ['manifest', JSON.stringify(manifest)],
        ['objects', await release.kubectl('get', 'pods,jobs,configmaps,events,statefulsets', '-o', 'yaml')],
      ]);
      const pods = (await release.kubectl('get', 'pods', '-o', 'name')).trim().split('\n');
      for (const pod of pods) places.set(pod, await release.kubectl('logs', pod, '--tail=-1'));
      const server = places.get(`pod/${await release.leader(0)}`) ?? '';
      // The servers do log: statements of the Jobs and of initSQL are there.
      expect(server).toContain('CREATE TABLE items');
      for (const [place, text] of places) {
        const found = secrets.filter((secret) => text.includes(secret)).map((secret) => `${secret.slice(0, 20)}...`);
        expect(found, place).toEqual([]);
      }
    },
  );
});
