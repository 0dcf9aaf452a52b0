import { describe, expect, test } from 'vitest';
import { parseSpec } from '../../src/spec/parse.ts';
import { at, chartFolder, decoded, helm, type Manifest, named, ofKind, refusal, render } from '../support/chart.ts';
import { prepared } from '../support/memoryKubernetes.ts';
import { notesOf } from './fakeKubernetes.ts';

const app = { name: 'orders_app', access: 'readWrite', generate: true };
const reports = {
  name: 'reports',
  access: 'readOnly',
  existingSecret: { name: 'vault', key: 'reports-password' },
  connectionLimit: 1000000,
  memberOf: ['pg_monitor'],
  parameters: { work_mem: 1048576, jit: false },
};

/** With the Secrets that the chart's Job makes. */
function preparedUsers(...users: readonly object[]): Promise<readonly Manifest[]> {
  return prepared(renderUsers(...users));
}

function preparedValues(values: Readonly<Record<string, unknown>>): Promise<readonly Manifest[]> {
  return prepared(render({ values }));
}

function renderUsers(...users: readonly object[]): readonly Manifest[] {
  return render({ values: { additionalDatabases: [{ name: 'orders', users }] } });
}

/** What the program reads, through the program's own reader. */
function usersOf(objects: readonly Manifest[], secret = 'citusdemo-create-db-orders') {
  const { databases } = parseSpec(decoded(named(objects, 'Secret', secret), 'spec.yaml'), secret);
  return databases.flatMap(({ users }) => users);
}

function connections(objects: readonly Manifest[]): readonly Manifest[] {
  return ofKind(objects, 'Secret').filter((secret) => secret['type'] === 'servicebinding.io/postgresql');
}

/** The keys of a Secret as an application finds them in files. */
function contents(secret: Manifest): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(secret.data ?? {}).map((key) => [key, decoded(secret, key)]));
}

describe('the users of an entry', () => {
  test('are what the program reads, with the files of their passwords', () => {
    const group = { name: 'auditors', access: 'readOnly', login: false, connectionLimit: null };
    expect(usersOf(renderUsers(app, reports, group))).toEqual([
      {
        name: 'orders_app',
        passwordFile: '/etc/citus-databases/users/orders_app/password',
        access: 'readWrite',
        login: true,
        connectionLimit: undefined,
        memberOf: [],
        parameters: {},
      },
      {
        name: 'reports',
        passwordFile: '/etc/citus-databases/users/reports/password',
        access: 'readOnly',
        login: true,
        connectionLimit: 1000000,
        memberOf: ['pg_monitor'],
        parameters: { work_mem: '1048576', jit: 'false' },
      },
      {
        name: 'auditors',
        passwordFile: undefined,
        access: 'readOnly',
        login: false,
        connectionLimit: undefined,
        memberOf: [],
        parameters: {},
      },
    ]);
  });

  test('have their passwords mounted where the spec says, in the Job and for verify', () => {
    const objects = renderUsers(app, { ...app, name: 'Üñí a"b' }, reports, { name: 'auditors', access: 'readOnly' });
    const files = usersOf(objects).flatMap(({ passwordFile }) => passwordFile ?? []);
    for (const job of ['citusdemo-create-db-orders', 'citusdemo-verify']) {
      const pod = at(named(objects, 'Job', job), 'spec.template.spec');
      expect(at(pod, 'containers.0.volumeMounts')).toContainEqual({
        name: 'users',
        mountPath: '/etc/citus-databases/users',
        readOnly: true,
      });
      expect(at(pod, 'volumes.2')).toEqual({
        name: 'users',
        projected: {
          defaultMode: 0o440,
          sources: [
            source('citusdemo-user-orders-app-708a9106', 'password', files[0]),
            source('citusdemo-user-a-b-68d4f32c', 'password', files[1]),
            source('vault', 'reports-password', files[2]),
          ],
        },
      });
    }
    // Kubernetes takes no path with .. in it, and two users must not share a file.
    for (const file of files) expect(file).toMatch(/^\/etc\/citus-databases\/users\/[-._A-Za-z0-9]+\/password$/);
    expect(new Set(files).size).toBe(3);
  });

  test('take part in their own entry only, and all in verify', () => {
    const additionalDatabases = { orders: { users: [app] }, stock: { users: [reports] }, plain: {} };
    const objects = render({ values: { additionalDatabases } });
    const sources = (job: string) => {
      const volumes = at(named(objects, 'Job', job), 'spec.template.spec.volumes');
      return Array.isArray(volumes) ? volumes.flatMap((volume) => at(volume, 'projected.sources') ?? []).length : 0;
    };
    const jobs = ['create-db-orders', 'create-db-stock', 'create-db-plain', 'verify'];
    expect(jobs.map((job) => sources(`citusdemo-${job}`))).toEqual([1, 1, 0, 2]);
    expect(usersOf(objects, 'citusdemo-databases').map(({ name }) => name)).toEqual(['orders_app', 'reports']);
  });
});

function source(name: string, key: string, file: string | undefined) {
  return { secret: { name, items: [{ key, path: file?.replace('/etc/citus-databases/users/', '') }] } };
}

describe('the Secret to connect with', () => {
  test('has the layout of Service Binding and of libpq, and a password of 64 hex digits', async () => {
    const values = { ssl: { enabled: false }, additionalDatabases: [{ name: 'orders', users: [app] }] };
    const [secret, ...others] = connections(await preparedValues(values));
    expect(others).toEqual([]);
    if (secret === undefined) throw new Error('There is no Secret');
    const password = decoded(secret, 'password');
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    expect(secret.metadata.name).toBe('citusdemo-user-orders-app-708a9106');
    expect(secret.metadata.labels).toMatchObject({
      'app.kubernetes.io/instance': 'citusdemo',
      'app.kubernetes.io/managed-by': 'citus-databases',
      'cluster-name': 'citusdemo',
    });
    expect(contents(secret)).toEqual({
      type: 'postgresql',
      host: 'citusdemo-0.shop.svc',
      port: '5432',
      database: 'orders',
      username: 'orders_app',
      password,
      uri: `postgresql://orders_app:${password}@citusdemo-0.shop.svc:5432/orders`,
      sslmode: 'prefer',
      PGHOST: 'citusdemo-0.shop.svc',
      PGPORT: '5432',
      PGDATABASE: 'orders',
      PGUSER: 'orders_app',
      PGPASSWORD: password,
      PGSSLMODE: 'prefer',
    });
  });

  test('has the certificate of the authority, and the mode that files can be verified with', async () => {
    const ssl = { enabled: true, mode: 'verify-full', createSecret: true };
    const objects = await preparedValues({ ssl, additionalDatabases: [{ name: 'orders', users: [app] }] });
    const [secret] = connections(objects);
    if (secret === undefined) throw new Error('There is no Secret');
    const ca = decoded(named(objects, 'Secret', 'citusdemo-ssl-certs'), 'ca.crt');
    expect(contents(secret)).toMatchObject({ sslmode: 'verify-full', PGSSLMODE: 'require', 'ca.crt': ca });
  });

  test('holds a URI that means the same, whatever the names', async () => {
    for (const name of ['a b+c', 'Üñí', 'p@ss:/?#%', `a"b'c`]) {
      const users = [{ name, access: 'readOnly', generate: true }];
      const objects = await preparedValues({ additionalDatabases: [{ name, users }] });
      for (const secret of connections(objects)) {
        const uri = new URL(decoded(secret, 'uri'));
        expect(decodeURIComponent(uri.username)).toBe(name);
        expect(decodeURIComponent(uri.pathname)).toBe(`/${name}`);
        expect(uri.host).toBe('citusdemo-0.shop.svc:5432');
      }
      expect(connections(objects)).toHaveLength(1);
    }
  });

  test('leaves the password of an existing Secret where it is', async () => {
    const [secret] = connections(await preparedUsers(reports));
    if (secret === undefined) throw new Error('There is no Secret');
    expect(secret.metadata.name).toBe('citusdemo-user-reports');
    expect(contents(secret)).toMatchObject({ host: 'citusdemo-0.shop.svc', database: 'orders', username: 'reports' });
    for (const key of ['password', 'uri', 'PGPASSWORD']) expect(contents(secret)).not.toHaveProperty(key);
  });

  test('is not made for roles that do not log in, or whose password nobody declares', async () => {
    const objects = await preparedUsers({ ...reports, login: false }, { name: 'auditors', access: 'all' });
    expect(connections(objects)).toEqual([]);
  });

  test('is one more for each further database, with the same password', async () => {
    const values = {
      additionalDatabases: [
        { name: 'orders', users: [app] },
        { name: 'stock', users: [app] },
      ],
    };
    const secrets = connections(await preparedValues(values));
    expect(secrets.map((secret) => [secret.metadata.name, decoded(secret, 'database')])).toEqual([
      ['citusdemo-user-orders-app-708a9106', 'orders'],
      [expect.stringMatching(/^citusdemo-user-orders-app-stock-[0-9a-f]{8}$/), 'stock'],
    ]);
    expect(new Set(secrets.map((secret) => decoded(secret, 'password'))).size).toBe(1);
  });

  test('has a name of its own that Kubernetes takes, for every role', async () => {
    const names = ['my_app', 'my-app', 'my.app', 'MyApp', 'Üñí', 'a"b', '..', 'x'.repeat(63), `${'x'.repeat(62)}y`];
    const users = names.map((name) => ({ name, access: 'readOnly', generate: true }));
    for (const clusterName of ['citusdemo', 'c'.repeat(40)]) {
      const rendered = render({ values: { clusterName, additionalDatabases: [{ name: 'orders', users }] } });
      const secrets = connections(await prepared(rendered, [], clusterName)).map(({ metadata }) => metadata.name);
      expect(new Set(secrets).size).toBe(names.length);
      for (const name of secrets) expect(name).toMatch(/^(?=.{1,63}$)[a-z]([-a-z0-9]*[a-z0-9])?$/);
    }
  });

  test('is in no manifest, so that neither a rollback nor a template changes a password', () => {
    const objects = render({ values: { additionalDatabases: [{ name: 'orders', users: [app, reports] }] } });
    expect(connections(objects)).toEqual([]);
    const spec = named(objects, 'Secret', 'citusdemo-create-db-orders');
    const secrets = ofKind(objects, 'Secret');
    expect(secrets.map(({ metadata }) => metadata.name)).toEqual([
      spec.metadata.name,
      'citusdemo-databases',
      'citusdemo-guard-image',
    ]);
    for (const secret of secrets) expect(Object.keys(at(secret, 'data') ?? {})).toEqual(['spec.yaml']);
  });

  test('is one that the Job may read and change, and no other', () => {
    const objects = render({ values: { additionalDatabases: [{ name: 'orders', users: [app] }] } });
    const rules = at(named(objects, 'Role', 'citusdemo-prepare'), 'rules');
    const secrets = Array.isArray(rules) ? rules.filter((rule) => String(at(rule, 'resources')) === 'secrets') : [];
    expect(secrets).toMatchObject([
      { verbs: ['create'] },
      {
        verbs: ['get', 'patch'],
        resourceNames: [
          'citusdemo-credentials',
          'citusdemo-ssl-certs',
          'citusdemo-ssl-ca',
          'citusdemo-user-orders-app-708a9106',
          expect.stringMatching(/^citusdemo-user-orders-app-orders-/),
        ],
      },
    ]);
  });
});

describe('copies of the Secret to connect with', () => {
  const values = {
    additionalDatabases: [{ name: 'orders', users: [{ ...app, secretNamespaces: ['web', 'shop', 'web'] }] }],
  };
  const inWeb = (objects: readonly Manifest[]) =>
    objects.filter(({ kind, metadata }) => kind === 'Secret' && metadata['namespace'] === 'web');
  const own = (objects: readonly Manifest[]) =>
    objects.filter(({ kind, metadata }) => kind === 'Secret' && metadata['namespace'] === undefined);

  test('are in each namespace that is named, the same as the Secret itself, and follow it', async () => {
    const rendered = render({ values });
    const before = await prepared(rendered);
    const [secret] = connections(own(before));
    expect(inWeb(before).map(contents)).toEqual([secret === undefined ? undefined : contents(secret)]);
    const copies = inWeb(before);
    const rotated = await prepared(rendered, copies);
    const [next] = connections(own(rotated));
    expect(next?.data?.['password']).not.toBe(secret?.data?.['password']);
    expect(inWeb(rotated).map(contents)).toEqual([next === undefined ? undefined : contents(next)]);
  });

  test('are all that the Job may read and change there', () => {
    const objects = render({ values });
    const roles = ofKind(objects, 'Role').filter(({ metadata }) => metadata['namespace'] === 'web');
    expect(roles.map((role) => at(role, 'rules'))).toEqual([
      [
        { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
        {
          apiGroups: [''],
          resources: ['secrets'],
          resourceNames: [
            'citusdemo-user-orders-app-708a9106',
            expect.stringMatching(/^citusdemo-user-orders-app-orders-/),
          ],
          verbs: ['get', 'patch'],
        },
      ],
    ]);
    const bindings = ofKind(objects, 'RoleBinding').filter(({ metadata }) => metadata['namespace'] === 'web');
    expect(bindings.map((binding) => at(binding, 'subjects'))).toEqual([
      [{ kind: 'ServiceAccount', name: 'citusdemo-prepare', namespace: 'shop' }],
    ]);
  });

  test('never take the place of a Secret of another cluster', async () => {
    const before = await prepared(render({ values }));
    const foreign = inWeb(before).map((secret) => ({
      ...secret,
      data: { ...secret.data, host: Buffer.from('citusdemo-0.other.svc').toString('base64') },
    }));
    await expect(prepared(render({ values }), foreign)).rejects.toThrow(
      /in namespace web is not a copy of this cluster's.*\n.*citusdemo-0\.other\.svc/,
    );
  });

  test('need a Secret', () => {
    const users = [{ name: 'x', access: 'all', secretNamespaces: ['web'] }];
    expect(refusal({ additionalDatabases: { orders: { users } } })).toContain(
      'users[0].secretNamespaces: without generate and existingSecret there is no Secret to copy',
    );
  });
});

describe('a Secret that is somebody else’s', () => {
  const secret = (
    name: string,
    data: Readonly<Record<string, string>>,
    labels: Readonly<Record<string, string>> = {},
  ) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels, annotations: {} },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  });
  const users = [{ name: 'credentials', access: 'all', generate: true }];
  const rendered = render({ values: { additionalDatabases: [{ name: 'orders', users }] } });
  const CONNECTION = 'citusdemo-user-credentials';

  test('of a cluster whose names meet those of this one: neither takes the other’s', async () => {
    const other = render({ values: { clusterName: 'citusdemo-user' } });
    const theirs = ofKind(await prepared(other, [], 'citusdemo-user'), 'Secret')
      .filter(({ metadata }) => metadata.name === CONNECTION)
      .map((made) => ({
        ...made,
        metadata: { ...made.metadata, annotations: {}, labels: { 'app.kubernetes.io/instance': 'second' } },
      }));
    expect(theirs).toHaveLength(1);
    await expect(prepared(rendered, theirs)).rejects.toThrow(
      /The Secret citusdemo-user-credentials is not this release's[\s\S]*app\.kubernetes\.io\/instance says second/,
    );
    // The other way round.
    const ours = ofKind(await prepared(rendered), 'Secret').filter(({ metadata }) => metadata.name === CONNECTION);
    const second = ours.map((made) => ({
      ...made,
      metadata: { ...made.metadata, annotations: {}, labels: { 'app.kubernetes.io/instance': 'first' } },
    }));
    await expect(prepared(other, second, 'citusdemo-user')).rejects.toThrow(/is not this release's/);
  });

  test.each([
    [
      'of another release',
      CONNECTION,
      { password: 'x' },
      { 'app.kubernetes.io/instance': 'blog' },
      /instance says blog/,
    ],
    [
      'of another user',
      CONNECTION,
      { password: 'x', username: 'mallory' },
      {},
      /key username says mallory, not credentials/,
    ],
    ['of another thing', CONNECTION, { 'tls.crt': 'x' }, {}, /It has none of the keys type, host/],
    ['of another thing', 'citusdemo-credentials', { token: 'x' }, {}, /It has none of the keys/],
    ['of another release', 'citusdemo-ssl-ca', {}, { 'app.kubernetes.io/instance': 'blog' }, /instance says blog/],
  ])('%s is refused by name: %s', async (_, name, data, labels, reason) => {
    const attempt = prepared(rendered, [secret(name, data, labels)]);
    await expect(attempt).rejects.toThrow(`The Secret ${name} is not this release's`);
    await expect(attempt).rejects.toThrow(reason);
  });

  test('one that was made by hand is taken over', async () => {
    const [key] = Object.keys(named(await prepared(rendered), 'Secret', 'citusdemo-credentials').data ?? {});
    const byHand = [
      secret('citusdemo-credentials', { [key ?? '']: 'by hand' }),
      secret(CONNECTION, { password: 'given' }),
    ];
    const after = await prepared(rendered, byHand);
    expect(decoded(named(after, 'Secret', CONNECTION), 'password')).toBe('given');
  });
});

describe('generated passwords over upgrades', () => {
  const database = (name: string, ...users: readonly object[]) => ({ name, users });
  const passwords = (objects: readonly Manifest[]) =>
    Object.fromEntries(connections(objects).map((secret) => [secret.metadata.name, decoded(secret, 'password')]));

  test('differ between users and installations', async () => {
    const values = { additionalDatabases: [database('orders', app, { ...app, name: 'second' })] };
    const both = [await preparedValues(values), await preparedValues(values)];
    expect(new Set(both.flatMap((objects) => Object.values(passwords(objects)))).size).toBe(4);
  });

  test('stay when users and databases come and go, and when a template is rendered again', async () => {
    const before = await preparedValues({ additionalDatabases: [database('orders', app)] });
    const more = { additionalDatabases: [database('audit', app), database('orders', { ...app, name: 'second' }, app)] };
    const after = await prepared(render({ values: more }), connections(before));
    const [[name, password] = ['', '']] = Object.entries(passwords(before));
    expect(passwords(after)).toMatchObject({ [name]: password });
    expect(new Set(Object.values(passwords(after))).size).toBe(2);
    // An application that mounts the Secret keeps its database.
    expect(decoded(named(after, 'Secret', name), 'database')).toBe('orders');
    expect(passwords(await prepared(render({ values: more }), connections(after)))).toEqual(passwords(after));
    expect(passwords(await prepared(render(), connections(after)))).toEqual(passwords(after));
  });

  test('a password that somebody puts into the Secret is everywhere in it after the next upgrade', async () => {
    const values = { additionalDatabases: [database('orders', app)] };
    const [secret] = connections(await preparedValues(values));
    if (secret === undefined) throw new Error('There is no Secret');
    const changed = { ...secret, data: { ...secret.data, password: Buffer.from('p@ss word').toString('base64') } };
    const [now] = connections(await prepared(render({ values }), [changed]));
    if (now === undefined) throw new Error('There is no Secret');
    expect(contents(now)).toMatchObject({
      password: 'p@ss word',
      PGPASSWORD: 'p@ss word',
      uri: 'postgresql://orders_app:p%40ss%20word@citusdemo-0.shop.svc:5432/orders',
    });
  });
});

describe('users that cannot be right', () => {
  const entries = (first: object, second: object) => ({
    additionalDatabases: [
      { name: 'orders', users: [first] },
      { name: 'stock', users: [second] },
    ],
  });
  const entry = (...users: readonly object[]) => ({ additionalDatabases: { orders: { users } } });
  test.each([
    [
      entries(app, { ...app, generate: false, existingSecret: { name: 'vault' } }),
      'additionalDatabases[1].users[0]: the role "orders_app" is declared with another source of its password than in additionalDatabases[0].users[0].',
    ],
    [entries(app, { ...app, generate: null }), 'another source of its password than in'],
    [entries(reports, { ...reports, existingSecret: { name: 'vault' } }), 'another source of its password than in'],
    [entries(app, { ...app, login: false }), 'another login than in additionalDatabases[0].users[0].'],
    [entries(app, { ...app, connectionLimit: 5 }), 'another connectionLimit than in'],
    [entries(app, { ...app, memberOf: ['pg_monitor'] }), 'another memberOf than in'],
    [
      entry({ ...reports, generate: true }),
      'additionalDatabases.orders.users[0]: generate and existingSecret exclude each other.',
    ],
    [entry(app, app), 'additionalDatabases.orders.users[1].name: "orders_app" is listed twice.'],
    [entry({ ...app, name: 'pg_app' }), 'users[0].name: "pg_app" is a reserved role name.'],
    [entry({ ...app, name: 'public' }), 'users[0].name: "public" is a reserved role name.'],
    [entry({ ...app, name: 'ü'.repeat(32) }), 'has 64 bytes; PostgreSQL keeps 63.'],
    [entry({ ...app, name: 'postgres' }), 'users[0].name: "postgres" is patroni.superuser.username'],
    [entry({ ...app, name: 'replicator' }), 'users[0].name: "replicator" is patroni.replication.username'],
    [
      { additionalDatabases: { orders: { owner: 'postgres', users: [{ ...app, access: 'owner' }] } } },
      'users[0].access: is owner, but the database\'s owner is "postgres", the superuser.',
    ],
    [
      entry({ ...reports, existingSecret: { name: 'citusdemo-user-reports' } }),
      'users[0].existingSecret.name: the chart makes a Secret of the name citusdemo-user-reports itself',
    ],
    [
      { ...entry({ ...app, name: 'app' }), secret: { name: 'citusdemo-user-app' } },
      'users[0].name: the Secret of role "app" would be citusdemo-user-app',
    ],
  ])('%j', (values, message) => {
    expect(refusal(values)).toContain(message);
  });

  test.each([
    [{ name: 'x' }, 'access'],
    [{ name: 'x', access: 'some' }, 'access'],
    [{ name: 'x', access: 'all', passwordFile: '/x' }, 'passwordFile'],
    [{ name: 'x', access: 'all', password: 'x' }, 'password'],
    [{ name: 'x', access: 'all', generate: 'sometimes' }, 'generate'],
    [{ name: 'x', access: 'all', existingSecret: 'vault' }, 'existingSecret'],
    [{ name: 'x', access: 'all', existingSecret: { key: 'x' } }, 'existingSecret'],
    [{ name: 'x', access: 'all', existingSecret: { name: 'x', namespace: 'y' } }, 'namespace'],
  ])('%j has the wrong shape', (user, key) => {
    const message = refusal(entry(user));
    expect(message).toContain("values don't meet the specifications of the schema");
    expect(message).toContain(key);
  });

  test('may be declared alike, in any order, in several entries', async () => {
    const one = { ...reports, memberOf: ['a', 'b'] };
    const other = { ...reports, memberOf: ['b', 'a'], access: 'all', parameters: {}, login: true, generate: false };
    expect(connections(await preparedValues(entries(one, other)))).toHaveLength(2);
  });
});

test('the notes say where the Secrets are', async () => {
  const users = [{ ...app, name: 'app' }, reports, { name: 'auditors', access: 'all' }];
  expect(await notesOf({ additionalDatabases: { orders: { users } } })).toContain(`
  app: citusdemo-user-app
  reports: citusdemo-user-reports, with the password in vault under reports-password
  auditors: none, its password is not declared
`);
});

test('helm lint --strict accepts users', () => {
  const user = ['name=app', 'access=all', 'generate=true'].map((field) => `additionalDatabases.o.users[0].${field}`);
  const { status, stdout } = helm(['lint', '--strict', chartFolder, '--set', user.join(',')]);
  expect(stdout).toContain('0 chart(s) failed');
  expect(status).toBe(0);
});
