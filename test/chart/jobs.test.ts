import { describe, expect, test } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { parseSpec } from '../../src/spec/parse.ts';
import { at, chartFolder, decoded, helm, type Manifest, named, ofKind, refusal, render } from '../support/chart.ts';
import { prepared } from '../support/memoryKubernetes.ts';
import { notesOf, renderAgainst } from './fakeKubernetes.ts';

/** Which Jobs make the databases so: jobs.mode and jobs.unchanged. */

type Values = Readonly<Record<string, unknown>>;

const databases = [
  { name: 'orders', backoffLimit: 0, users: [{ name: 'clerk', access: 'readWrite', generate: true }] },
  { name: 'MyApp', maxAttempts: 100, users: [{ name: 'clerk', access: 'readOnly', generate: true }] },
  { name: 'audit', backoffLimit: 1 },
];

function creations(objects: readonly Manifest[]): readonly Manifest[] {
  return ofKind(objects, 'Job').filter(({ metadata }) => metadata.labels['job-type'] === 'database-creation');
}

function namesOf(objects: readonly Manifest[]): readonly string[] {
  return creations(objects).map(({ metadata }) => metadata.name);
}

describe('jobs.mode: single', () => {
  const values = { additionalDatabases: databases, jobs: { mode: 'single' } };
  const objects = render({ values });
  const job = named(objects, 'Job', 'citusdemo-create-databases');

  test('renders one Job for all entries, a hook as the others are', () => {
    expect(namesOf(objects)).toEqual(['citusdemo-create-databases']);
    expect(job.metadata.annotations).toMatchObject({
      'helm.sh/hook': 'post-install,post-upgrade,post-rollback',
      'helm.sh/hook-delete-policy': 'before-hook-creation',
      'helm.sh/hook-weight': '1',
      'citus-databases/database': 'orders, MyApp, audit',
    });
    expect(at(job, 'spec.podFailurePolicy.rules.0.onExitCodes.values')).toEqual([1, 2, 3]);
  });

  test('gives it a Secret with all entries, and none to each', () => {
    const secrets = ofKind(objects, 'Secret').map(({ metadata }) => metadata.name);
    expect(secrets.filter((name) => name.startsWith('citusdemo-create-'))).toEqual(['citusdemo-create-databases']);
    const spec = parseSpec(decoded(named(objects, 'Secret', 'citusdemo-create-databases'), 'spec.yaml'), 'spec');
    expect(spec.databases.map(({ name }) => name)).toEqual(['orders', 'MyApp', 'audit']);
    expect(spec.patroni).toBeUndefined();
    expect(at(job, 'spec.template.spec.volumes.0.secret.secretName')).toBe('citusdemo-create-databases');
  });

  test('mounts the password of a role once, however many entries declare it', () => {
    const volumes = at(job, 'spec.template.spec.volumes');
    const users = Array.isArray(volumes) ? volumes.find((volume) => at(volume, 'name') === 'users') : undefined;
    expect(at(users, 'projected.sources')).toHaveLength(1);
    expect(at(users, 'projected.sources.0.secret.name')).toBe('citusdemo-user-clerk');
  });

  test('says how many entries are worked on at the same time', () => {
    expect(at(job, 'spec.template.spec.containers.0.args')).toEqual([
      'apply',
      '--databases-at-once',
      '4',
      '--attempts',
      '4',
    ]);
    const more = render({
      values: { ...values, jobs: { mode: 'single', databasesAtOnce: 2, extraArgs: ['--log-format', 'json'] } },
    });
    expect(at(named(more, 'Job', 'citusdemo-create-databases'), 'spec.template.spec.containers.0.args')).toEqual([
      'apply',
      '--databases-at-once',
      '2',
      '--attempts',
      '4',
      '--log-format',
      'json',
    ]);
    expect(refusal({ ...values, jobs: { mode: 'single', databasesAtOnce: 0 } })).toContain('databasesAtOnce');
    expect(refusal({ ...values, jobs: { mode: 'one' } })).toContain('mode');
  });

  test.each([
    // 100 × 5 s of waiting and one turn of 600 s, twice (backoffLimit 1), 10 s between
    [{ databasesAtOnce: 3 }, databases.map((entry) => ({ backoffLimit: 1, ...entry })), 1, 2210],
    // two turns of 600 s
    [{ databasesAtOnce: 2 }, databases.map((entry) => ({ backoffLimit: 1, ...entry })), 1, 3410],
    // the entry without backoffLimit has 3: four attempts and 10 + 20 + 40 s
    [{ databasesAtOnce: 1 }, databases, 3, 9270],
    [{ activeDeadlineSeconds: 42 }, databases, 3, 42],
  ])('waits as long as the most patient entry, with %j', (jobs, additionalDatabases, backoffLimit, deadline) => {
    const rendered = named(
      render({ values: { additionalDatabases, jobs: { mode: 'single', ...jobs } } }),
      'Job',
      'citusdemo-create-databases',
    );
    expect(at(rendered, 'spec.backoffLimit')).toBe(backoffLimit);
    expect(at(rendered, 'spec.activeDeadlineSeconds')).toBe(deadline);
  });

  test('renders none where no database is declared', () => {
    expect(namesOf(render({ values: { jobs: { mode: 'single' } } }))).toEqual([]);
  });

  test('tells in the notes where the log is', async () => {
    const notes = await notesOf(values);
    expect(notes).toContain('  orders\n  MyApp\n  audit\n');
    expect(notes.match(/logs job\/\S*create\S*/g)).toEqual(['logs job/citusdemo-create-databases']);
  });
});

describe('jobs.parallel', () => {
  /** The hooks that make databases, in Helm's order: the names of their Jobs, and what the List says. */
  function hooks(values: Values) {
    const input = stringify({ additionalDatabases: databases, ...values });
    const { stdout } = helm(['template', 'citusdemo', chartFolder, '--values', '-', '--is-upgrade'], input);
    return parseAllDocuments(stdout)
      .map((document): unknown => document.toJS())
      .filter((object) => String(annotation(object, 'helm.sh/hook')).startsWith('post-install'))
      .map((object) => {
        const items = at(object, 'items');
        const jobs: readonly unknown[] = Array.isArray(items) ? items : [object];
        return { object, jobs, names: jobs.map((job) => String(at(job, 'metadata.name')).replace('citusdemo-', '')) };
      })
      .toSorted((left, right) => weight(left.object) - weight(right.object));
  }
  const weight = (object: unknown) => Number(annotation(object, 'helm.sh/hook-weight'));
  const annotation = (object: unknown, name: string) => {
    const annotations = at(object, 'metadata.annotations');
    return typeof annotations === 'object' && annotations !== null
      ? Object.entries(annotations).find(([key]) => key === name)?.[1]
      : undefined;
  };

  test('puts the Jobs of several entries into a List, which is one hook, after the parameters', () => {
    const lists = hooks({});
    expect(lists.map(({ names }) => names)).toEqual([
      ['configure'],
      ['create-db-orders', 'create-db-myapp-4de339ce', 'create-db-audit'],
    ]);
    const [, list] = lists;
    for (const object of [list?.object, ...(list?.jobs ?? [])]) {
      expect(annotation(object, 'helm.sh/hook')).toBe('post-install,post-upgrade,post-rollback');
      expect(annotation(object, 'helm.sh/hook-weight')).toBe('1');
      expect(annotation(object, 'helm.sh/hook-delete-policy')).toBe('before-hook-creation');
    }
  });

  test('bounds how many there are in one', () => {
    const lists = hooks({ jobs: { parallel: 2 } });
    expect(lists.map(({ names }) => names.length)).toEqual([1, 2, 1]);
    expect(lists.map(({ object }) => annotation(object, 'helm.sh/hook-weight'))).toEqual(['0', '1', '2']);
    expect(refusal({ jobs: { parallel: 0 } })).toContain('parallel');
  });

  test('1: a hook for each', () => {
    const each = hooks({ jobs: { parallel: 1 } });
    expect(each.map(({ names }) => names.length)).toEqual([1, 1, 1, 1]);
  });

  test('configure runs beside the databases where nothing changed since the last release, else before them', async () => {
    const values = { additionalDatabases: databases };
    const weights = async (present: readonly Manifest[], now: Values) => {
      const objects = await renderAgainst(present, now);
      return ['citusdemo-configure', 'citusdemo-create-db-audit'].map((name) =>
        annotation(named(objects, 'Job', name), 'helm.sh/hook-weight'),
      );
    };
    const before = ofKind(await renderAgainst([], values), 'ConfigMap').map((object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        labels: { 'app.kubernetes.io/managed-by': 'Helm' },
        annotations: {
          ...object.metadata.annotations,
          'meta.helm.sh/release-name': 'citusdemo',
          'meta.helm.sh/release-namespace': 'shop',
        },
      },
    }));
    expect(await weights(before, values)).toEqual(['1', '1']);
    const parameters = { patroni: { postgresql: { parameters: { work_mem: '9MB' } } } };
    expect(await weights(before, { ...values, ...parameters })).toEqual(['0', '1']);
    expect(await weights([], values)).toEqual(['0', '1']);
    // As many entries as a List takes are one hook with configure, too, and one more entry is another hook.
    const last = async (parallel: number) => (await weights(before, { ...values, jobs: { parallel } })).at(-1);
    expect(await Promise.all([3, 2, 1].map(last))).toEqual(['1', '2', '4']);
  });
});

describe('jobs.unchanged', () => {
  const values = { additionalDatabases: databases, jobs: { unchanged: 'skip' } };

  /** The cluster after an upgrade whose Jobs all ended in this way, Secrets with the versions that Kubernetes counts. */
  async function clusterAfter(
    before: Values,
    status: object = { succeeded: 1 },
    others: readonly Manifest[] = [],
  ): Promise<readonly Manifest[]> {
    const stored = [...secretsOf(await prepared(await renderAgainst(others, before))), ...others];
    return [...stored, ...creations(await renderAgainst(stored, before)).map((job) => ({ ...job, status }))];
  }

  function secretsOf(objects: readonly Manifest[]): readonly Manifest[] {
    return ofKind(objects, 'Secret').map((secret) => ({
      ...secret,
      metadata: {
        ...secret.metadata,
        uid: secret.metadata.name,
        resourceVersion: '7',
        // What Helm looks at before it takes over what an earlier release left behind.
        annotations: {
          ...secret.metadata.annotations,
          'meta.helm.sh/release-name': 'citusdemo',
          'meta.helm.sh/release-namespace': 'shop',
        },
      },
    }));
  }

  async function rendered(present: readonly Manifest[], now: Values): Promise<readonly string[]> {
    return (await creationNames(present, now)).map((name) => name.replace(/-[0-9a-f]{8}$/, '').replace(/.*-/, ''));
  }

  /** The Jobs that the upgrade itself runs. */
  async function creationNames(present: readonly Manifest[], now: Values): Promise<readonly string[]> {
    return namesOf((await renderAgainst(present, now)).filter((job) => eventsOf(job).includes('post-upgrade')));
  }

  function eventsOf({ metadata }: Manifest): readonly string[] {
    return (metadata.annotations?.['helm.sh/hook'] ?? '').split(',');
  }

  test('skip: no Job for an entry that is declared as it was when its Job succeeded', async () => {
    const present = await clusterAfter(values);
    expect(await rendered(present, values)).toEqual([]);
    const [orders, ...others] = databases;
    const changed = { ...values, additionalDatabases: [{ ...orders, parameters: { timezone: 'UTC' } }, ...others] };
    expect(await rendered(present, changed)).toEqual(['orders']);
    const more = { ...values, additionalDatabases: [...databases, { name: 'stock' }] };
    expect(await rendered(present, more)).toEqual(['stock']);
  });

  test('skip: a rollback to that revision runs the Jobs that its upgrade left out', async () => {
    const present = await clusterAfter(values);
    const [orders, ...others] = databases;
    const changed = { ...values, additionalDatabases: [{ ...orders, parameters: { timezone: 'UTC' } }, ...others] };
    const jobs = creations(await renderAgainst(present, changed));
    expect(
      Object.fromEntries(jobs.map((job) => [job.metadata.name.replace(/-[0-9a-f]{8}$/, ''), eventsOf(job)])),
    ).toEqual({
      'citusdemo-create-db-orders': ['post-install', 'post-upgrade', 'post-rollback'],
      'citusdemo-create-db-myapp': ['post-rollback'],
      'citusdemo-create-db-audit': ['post-rollback'],
    });
  });

  describe('the Job of the server parameters', () => {
    /** After an upgrade with these values: the record of its parameters, and its Job with this status. */
    async function configuredWith(before: Values, status: object): Promise<readonly Manifest[]> {
      const first = await clusterAfter(before);
      const objects = await renderAgainst(first, before);
      const seeded = named(objects, 'ConfigMap', 'citusdemo-parameters');
      return [...first, seeded, { ...named(objects, 'Job', 'citusdemo-configure'), status }];
    }

    async function configureEvents(present: readonly Manifest[], now: Values): Promise<readonly string[]> {
      return eventsOf(named(await renderAgainst(present, now), 'Job', 'citusdemo-configure'));
    }

    const always = ['post-install', 'post-upgrade', 'post-rollback'];
    const succeeded = { succeeded: 1 };

    test('skip: is left to rollbacks after it has succeeded with the same', async () => {
      expect(await configureEvents(await configuredWith(values, succeeded), values)).toEqual(['post-rollback']);
      const run = { additionalDatabases: databases };
      expect(await configureEvents(await configuredWith(values, succeeded), run)).toEqual(always);
    });

    test.each([
      ['it failed', values, { failed: 4 }],
      ['it is still running', values, { active: 1 }],
      [
        'a parameter is another',
        { ...values, patroni: { postgresql: { parameters: { work_mem: '9MB' } } } },
        succeeded,
      ],
      [
        'another group joined',
        { ...values, workers: [{ citusGroup: '1' }, { citusGroup: '2' }, { citusGroup: '3' }] },
        succeeded,
      ],
      ["the nodes' image is another", { ...values, image: { tag: '9.9.9' } }, succeeded],
    ])('skip: runs where %s', async (_, now, status) => {
      expect(await configureEvents(await configuredWith(values, status), now)).toEqual(always);
    });

    test('skip: runs where its Job is gone', async () => {
      const present = (await configuredWith(values, succeeded)).filter(
        ({ kind, metadata }) => kind !== 'Job' || metadata.name !== 'citusdemo-configure',
      );
      expect(await configureEvents(present, values)).toEqual(always);
    });
  });

  test('skip: the Secrets stay, those that the old Jobs mount included', async () => {
    const present = await clusterAfter(values);
    const secrets = ofKind(await renderAgainst(present, values), 'Secret').map(({ metadata }) => metadata.name);
    const mounted = creations(present).map(({ metadata }) => metadata.name);
    expect(mounted).toHaveLength(3);
    expect(secrets).toEqual(expect.arrayContaining([...mounted, 'citusdemo-databases']));
  });

  test.each([
    ['workers', { workers: [{ citusGroup: '1' }, { citusGroup: '2' }, { citusGroup: '3' }] }],
    ["the program's image", { jobs: { unchanged: 'skip', image: { tag: '9.9.9' } } }],
    ["the nodes' image", { image: { tag: '9.9.9' } }],
    ['arguments', { jobs: { unchanged: 'skip', extraArgs: ['--log-level', 'debug'] } }],
    ['TLS', { ssl: { mode: 'verify-full' } }],
  ])('skip: another topology or image runs all Jobs again: %s', async (_, more) => {
    expect(await rendered(await clusterAfter(values), { ...values, ...more })).toHaveLength(3);
  });

  test('skip: a password that was replaced in its Secret runs the Jobs of its databases again', async () => {
    const present = (await clusterAfter(values)).map((object) =>
      object.metadata.name === 'citusdemo-user-clerk'
        ? { ...object, metadata: { ...object.metadata, resourceVersion: '8' } }
        : object,
    );
    expect(await rendered(present, values)).toEqual(['orders', 'myapp']);
  });

  test('skip: SQL that changed in its ConfigMap or Secret runs the Job again', async () => {
    const holding = (kind: string, name: string, resourceVersion: string, text: string): Manifest => ({
      apiVersion: 'v1',
      kind,
      metadata: { name, namespace: 'shop', uid: name, resourceVersion, labels: {}, annotations: {} },
      data: { 'a.sql': text, other: resourceVersion },
    });
    const sql = (version: string, text: string) => holding('ConfigMap', 'orders-sql', version, text);
    const keys = (version: string) => holding('Secret', 'orders-keys', version, '');
    const initSQLFrom = [
      { configMap: 'orders-sql', key: 'a.sql' },
      { secret: 'orders-keys', key: 'a.sql' },
    ];
    const from = { ...values, additionalDatabases: [{ name: 'orders', initSQLFrom }, { name: 'stock' }] };
    const present = await clusterAfter(from, { succeeded: 1 }, [sql('1', 'SELECT 1'), keys('1')]);
    const now = async (...objects: readonly Manifest[]) =>
      await rendered(
        [...present.filter(({ metadata }) => !['orders-sql', 'orders-keys'].includes(metadata.name)), ...objects],
        from,
      );
    expect(await now(sql('1', 'SELECT 1'), keys('1'))).toEqual([]);
    expect(await now(sql('2', 'SELECT 1'), keys('1'))).toEqual([]);
    expect(await now(sql('2', 'SELECT 2'), keys('1'))).toEqual(['orders']);
    expect(await now(sql('1', 'SELECT 1'), keys('2'))).toEqual(['orders']);
    expect(await now(keys('1'))).toEqual(['orders']);
  });

  test.each([
    ['failed', { failed: 4, conditions: [{ type: 'Failed', status: 'True' }] }],
    ['is still running', { active: 1 }],
    ['has no status yet', {}],
  ])('skip: a Job that %s runs again', async (_, status) => {
    expect(await rendered(await clusterAfter(values, status), values)).toHaveLength(3);
  });

  test('skip: a Job that is gone, or whose Secret is (jobs.mode was another meanwhile), runs again', async () => {
    const present = await clusterAfter(values);
    const without = (kind: string) =>
      present.filter(({ kind: of, metadata }) => of !== kind || metadata.name !== 'citusdemo-create-db-audit');
    expect(await rendered(without('Job'), values)).toEqual(['audit']);
    expect(await rendered(without('Secret'), values)).toEqual(['audit']);
  });

  test('skip: an install runs them all, whatever an earlier release left behind', async () => {
    const present = await clusterAfter(values);
    expect(namesOf(await renderAgainst(present, values, 'install'))).toHaveLength(3);
  });

  test('skip: without a cluster to look at, all run', () => {
    expect(namesOf(render({ values, args: ['--is-upgrade'] }))).toHaveLength(3);
  });

  test('run, the default: all run again', async () => {
    const present = await clusterAfter({ additionalDatabases: databases });
    expect(await rendered(present, { additionalDatabases: databases })).toHaveLength(3);
    // What ran by then counts once it is switched over.
    expect(await rendered(present, values)).toEqual([]);
  });

  test('skip with jobs.mode: single: none as long as every entry is as it was', async () => {
    const single = { additionalDatabases: databases, jobs: { mode: 'single', unchanged: 'skip' } };
    const present = await clusterAfter(single);
    expect(await creationNames(present, single)).toEqual([]);
    const fewer = { ...single, additionalDatabases: databases.slice(1) };
    expect(await creationNames(present, fewer)).toEqual(['citusdemo-create-databases']);
    expect(await rendered(present, values)).toHaveLength(3);
  });

  test('skip: a password in initSQL is in no hash that somebody could try it against', async () => {
    const declared = (password: string, unchanged = 'skip') => ({
      additionalDatabases: [{ name: 'orders', initSQL: `CREATE ROLE clerk PASSWORD '${password}'` }],
      jobs: { unchanged },
    });
    const inputs = async (present: readonly Manifest[], now: Values) =>
      creations(await renderAgainst(present, now))[0]?.metadata.annotations['citus-databases/inputs'];
    // Before there is a Secret with the superuser's password nothing can be hashed along.
    expect(await inputs([], declared('one'))).toBe('');
    const clusters = [await clusterAfter(declared('one')), await clusterAfter(declared('one'))];
    const [first, second] = await Promise.all(clusters.map((present) => inputs(present, declared('one'))));
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(second).toMatch(/^[0-9a-f]{64}$/);
    expect(second).not.toBe(first);
    expect(await rendered(clusters[0] ?? [], declared('one'))).toEqual([]);
    expect(await rendered(clusters[0] ?? [], declared('two'))).toEqual(['orders']);
    const unhashed = (clusters[0] ?? [])
      .map((object) =>
        object.kind === 'Job'
          ? { ...object, metadata: { ...object.metadata, annotations: { 'citus-databases/inputs': '' } } }
          : object,
      )
      .filter(({ metadata }) => metadata.name !== 'citusdemo-credentials');
    expect(await rendered(unhashed, declared('one'))).toEqual(['orders']);
  });

  test('is one of two words', () => {
    expect(refusal({ jobs: { unchanged: 'never' } })).toContain('unchanged');
  });
});

test('the hash in an annotation holds no password', async () => {
  const hash = async (password: string) => {
    const secret = {
      kind: 'Secret',
      metadata: { name: 'citusdemo-user-clerk', labels: {}, annotations: {}, uid: 'u', resourceVersion: '7' },
      data: { password: Buffer.from(password).toString('base64') },
    };
    const objects = await renderAgainst([secret], { additionalDatabases: databases });
    return named(objects, 'Job', 'citusdemo-create-db-orders').metadata.annotations['citus-databases/inputs'];
  };
  const [one, other] = [await hash('one'), await hash('other')];
  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect(other).toBe(one);
});
