import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import type { DatabasePlan } from '../../src/reconcile/planDatabase.ts';
import type { ReportedStep } from '../../src/reconcile/workReport.ts';
import { type LocalCluster, query } from '../support/cluster.ts';
import { clusterFixture, clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** What `plan` lists is what `apply` then does, and what a failed `apply` says that it did not reach. */

const real = await findRealCitus();
const test = clusterTest({ workers: 2 })
  .extend('plain', { scope: 'file' }, clusterFixture({ workers: 0, citus: 'none' }))
  .extend('users', { scope: 'file' }, ({ folder }) => (file: string) => [
    { name: 'order_owner', passwordFile: path.join(folder, file), access: 'owner' },
    { name: 'order_reader', access: 'readOnly', login: false, parameters: { work_mem: '8MB' } },
  ]);

test.beforeAll(async ({ folder }) => {
  for (const [file, password] of [
    ['app', 'canary-app'],
    ['rotated', 'canary-rotated'],
  ] as const) {
    await writeFile(path.join(folder, file), password, { mode: 0o600 });
  }
});

interface Compared {
  readonly planned: readonly string[];
  readonly done: readonly string[];
  /** By the piece of work that did it. */
  readonly doneBy: ReadonlyMap<string, readonly string[]>;
}

interface Applied {
  readonly code: number;
  readonly ready: boolean;
  readonly steps: readonly ReportedStep[];
}

async function planned(on: LocalCluster, spec: Document): Promise<readonly string[]> {
  const { code, stdout } = await runProgram(on, ['plan', '--output', 'json'], spec);
  const { databases, changes } = JSON.parse(stdout) as { databases: readonly DatabasePlan[]; changes: boolean };
  expect(code).toBe(changes ? 10 : 0);
  return databases.flatMap(({ steps }) =>
    steps.flatMap(({ step, changes }) => changes.map(({ node, summary }) => `${step} ${node}: ${summary}`)),
  );
}

async function applied(on: LocalCluster, spec: Document): Promise<Applied> {
  const { code, stdout } = await runProgram(on, ['apply', '--output', 'json'], spec);
  const report = JSON.parse(stdout) as { ready: boolean; databases: readonly { steps: readonly ReportedStep[] }[] };
  return { code, ready: report.ready, steps: report.databases.flatMap(({ steps }) => steps) };
}

async function compared(on: LocalCluster, database: Document, groups?: readonly number[]): Promise<Compared> {
  const spec = specOf(on, [database], groups === undefined ? {} : { groups });
  const before = await planned(on, spec);
  const { code, ready, steps } = await applied(on, spec);
  expect({ code, ready }).toEqual({ code: 0, ready: true });
  const works = steps.flatMap(({ step, work }) =>
    work.map(({ name, nodes }) => ({
      name,
      done: nodes.flatMap(({ node, changes }) => changes.map((summary) => `${step} ${node}: ${summary}`)),
      statuses: nodes.map(({ status }) => status),
    })),
  );
  expect(works.flatMap(({ statuses }) => statuses)).not.toContain('notReached');
  expect(works.flatMap(({ statuses }) => statuses)).not.toContain('failed');
  expect(await planned(on, spec)).toEqual([]);
  return {
    planned: before.toSorted(),
    done: works.flatMap(({ done }) => done).toSorted(),
    doneBy: new Map(works.map(({ name, done }) => [name, done])),
  };
}

/** Something has to be done in each scenario, or it would prove nothing. */
function expectEqual({ planned, done }: Compared): void {
  expect(planned.length).toBeGreaterThan(0);
  expect(done).toEqual(planned);
}

const FULL = {
  name: 'full',
  extensions: ['hstore'],
  schemas: ['analytics'],
  parameters: { timezone: 'UTC' },
};

describe('on a cluster', () => {
  test('a first run', async ({ cluster }) => {
    expectEqual(await compared(cluster, FULL));
  });

  test('a first run with users', async ({ cluster, users }) => {
    expectEqual(await compared(cluster, { ...FULL, name: 'with_users', users: users('app') }));
  });

  test('users, with a password', async ({ cluster, users }) => {
    expectEqual(await compared(cluster, { ...FULL, users: users('app') }));
  });

  test('a rotated password', async ({ cluster, users }) => {
    expectEqual(await compared(cluster, { ...FULL, users: users('rotated') }));
  });

  test('an extension, a schema and parameters that are declared later', async ({ cluster, users }) => {
    const more = {
      extensions: ['hstore', 'pg_trgm'],
      schemas: ['analytics', 'archive'],
      parameters: { timezone: 'Europe/Zurich' },
      users: users('rotated'),
    };
    expectEqual(await compared(cluster, { ...FULL, ...more }));
  });

  test('a first run with initSQL: only the rights on what initSQL creates cannot be planned', async ({
    cluster,
    users,
  }) => {
    const database = {
      name: 'with_init_sql',
      users: users('rotated'),
      initSQL: "CREATE TABLE public.t (id int PRIMARY KEY);\nSELECT create_distributed_table('public.t', 'id');",
    };
    const { planned, done, doneBy } = await compared(cluster, database);
    const rights = doneBy.get('rights on objects') ?? [];
    expect(done.filter((change) => !rights.includes(change))).toEqual(
      planned.filter((change) => !rights.includes(change)),
    );
    expect(planned.filter((change) => change.includes('execute line'))).toHaveLength(2);
  });

  test('a worker that is added later gets the roles that Citus would copy', async ({ cluster }) => {
    const database = {
      name: 'grown',
      initSQL: 'CREATE ROLE order_of_initsql LOGIN;\nGRANT CREATE ON DATABASE grown TO order_of_initsql;',
    };
    await compared(cluster, database, [1]);
    await query(cluster, 2, 'postgres', 'DROP ROLE IF EXISTS order_of_initsql');
    const result = await compared(cluster, database);
    expectEqual(result);
    expect(result.doneBy.get('roles that Citus manages')?.join()).toContain('order_of_initsql');
  });

  test('a worker whose database was lost, as after a restore from an old backup', async ({ cluster }) => {
    await query(cluster, 2, 'postgres', 'DROP DATABASE grown WITH (FORCE)');
    expectEqual(await compared(cluster, { name: 'grown' }));
  });

  test('a lost row of pg_dist_authinfo', async ({ cluster }) => {
    await query(cluster, 1, 'grown', 'DELETE FROM pg_dist_authinfo');
    expectEqual(await compared(cluster, { name: 'grown' }));
  });

  test('a comment is set on every node, changed by hand on one it comes back, empty it goes', async ({ cluster }) => {
    const comments = () =>
      Promise.all(
        cluster.nodes.map(async ({ group }) => {
          const text =
            "SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = 'noted'";
          return (await query(cluster, group, 'postgres', text))[0]?.['comment'];
        }),
      );
    const comment = 'It\'s the "sky" \\ map';
    expectEqual(await compared(cluster, { name: 'noted', comment }));
    expect(await comments()).toEqual([comment, comment, comment]);
    await query(cluster, 1, 'postgres', "COMMENT ON DATABASE noted IS 'by hand'");
    const again = await compared(cluster, { name: 'noted', comment });
    expectEqual(again);
    expect(again.done).toHaveLength(1);
    expect(await comments()).toEqual([comment, comment, comment]);
    await compared(cluster, { name: 'noted', comment: '' });
    expect(await comments()).toEqual([null, null, null]);
  });

  test.skipIf(real === undefined)(
    'shards that move to a worker that joins, and tenant schemas',
    async ({ cluster }) => {
      const initSQL =
        "SET citus.shard_count TO 4;\nCREATE TABLE spread (id int PRIMARY KEY);\nSELECT create_distributed_table('spread', 'id');";
      const database = {
        ...{ name: 'spread', initSQL, schemas: [{ name: 'tenant', distributed: true }] },
        ...{ shouldHaveShards: { 0: false }, rebalance: { when: 'afterJoin', transferMode: 'block_writes' } },
      };
      expectEqual(await compared(cluster, database, [1]));
      const grown = await compared(cluster, { ...database, shouldHaveShards: { 0: true } });
      expectEqual(grown);
      expect(grown.doneBy.get('rebalance')).toHaveLength(1);
      expect(grown.doneBy.get('nodes that take shards')).toHaveLength(1);
    },
  );

  test('a half-made database: the coordinator has none yet', async ({ cluster }) => {
    await compared(cluster, { name: 'half' });
    await query(cluster, 0, 'postgres', 'DROP DATABASE half WITH (FORCE)');
    await query(
      cluster,
      0,
      'postgres',
      "UPDATE citus_databases.managed_database SET oid = NULL, state = 'creating' WHERE name = 'half'",
    );
    expectEqual(await compared(cluster, { name: 'half' }));
  });

  test('a database that leaves a worker out', async ({ cluster, users }) => {
    expectEqual(await compared(cluster, { name: 'part', workerGroups: [1], users: users('rotated') }));
  });
});

describe('on plain PostgreSQL', () => {
  test('a first run, and users later', async ({ plain, users }) => {
    expectEqual(await compared(plain, FULL));
    expectEqual(await compared(plain, { ...FULL, users: users('app') }));
    expectEqual(await compared(plain, { ...FULL, name: 'at_once', users: users('app') }));
  });
});

test('a failed run reports what is done, what failed and what was never reached', async ({ cluster }) => {
  const database = { name: 'broken', initSQL: 'CREATE TABLE a (i int);\nSELECT 1/0;', parameters: { timezone: 'UTC' } };
  const { code, ready, steps } = await applied(cluster, specOf(cluster, [database]));
  expect({ code, ready }).toEqual({ code: 2, ready: false });
  const found = steps.flatMap(({ step, work }) =>
    work.flatMap(({ name, nodes }) => nodes.map(({ status }) => ({ step, name, status }))),
  );
  const statusOf = (number: number) => [
    ...new Set(found.filter(({ step }) => step === number).map(({ name, status }) => `${name}: ${status}`)),
  ];
  for (const step of [1, 2, 3, 4, 5, 6]) {
    expect(statusOf(step).filter((line) => !line.endsWith(': done'))).toEqual([]);
  }
  const [opening, opened, failed, ...after] = [...statusOf(7), ...statusOf(8)];
  // Only with initSQLRole is there anything to do in front of initSQL.
  expect([opening, opened]).toEqual(['opening before initSQL: done', 'opened before initSQL: done']);
  expect(failed).toBe('initSQL: failed');
  expect(after).toEqual(expect.arrayContaining(['parameters: notReached', 'comment: notReached']));
  expect(after.filter((line) => !line.endsWith(': notReached'))).toEqual([]);
});
