import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

const test = clusterTest({ workers: 3, logStatements: true })
  .extend(
    'database',
    { scope: 'file' },
    ({ folder }) =>
      (name: string, more: Document = {}): Document => ({
        name,
        users: [{ name: 'shared', passwordFile: path.join(folder, 'shared'), access: 'readWrite' }],
        ...more,
      }),
  )
  .extend('verifiers', { scope: 'file' }, ({ cluster }) => async (role: string) => {
    const found = [];
    for (const { group } of cluster.nodes) {
      const text = 'SELECT rolpassword FROM pg_authid WHERE rolname = $1';
      found.push((await query(cluster, group, 'postgres', text, [role]))[0]?.['rolpassword']);
    }
    return found;
  });

const INIT_SQL = `CREATE ROLE office;
CREATE ROLE clerk LOGIN CONNECTION LIMIT 40;
GRANT office TO clerk;
CREATE TABLE public.letters (id int PRIMARY KEY);
SELECT create_distributed_table('public.letters', 'id');
INSERT INTO public.letters SELECT generate_series(1, 20);
GRANT SELECT ON public.letters TO office, clerk;
`;

test.beforeAll(async ({ folder }) => {
  await writeFile(path.join(folder, 'shared'), 'canary-shared', { mode: 0o600 });
});

test('a node that the database leaves out gets the roles; one that is added later gets those of initSQL too', async ({
  cluster,
  database,
  verifiers,
}) => {
  const spec = database('archive', { initSQL: INIT_SQL });
  const first = await runProgram(cluster, ['apply'], specOf(cluster, [{ ...spec, workerGroups: [1] }]));
  expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
  // The fourth node holds nothing of the database.
  expect(new Set(await verifiers('shared')).size).toBe(1);
  await query(
    cluster,
    0,
    'postgres',
    "SET citus.enable_ddl_propagation = off; ALTER ROLE clerk PASSWORD 'canary-clerk'",
  );

  const second = await runProgram(cluster, ['apply'], specOf(cluster, [{ ...spec, workerGroups: [1, 2] }]));
  expect({ code: second.code, stderr: second.stderr }).toEqual({ code: 0, stderr: '' });
  const [onCoordinator, , onSecond] = await verifiers('clerk');
  expect(onSecond).toBe(onCoordinator);
  expect(String(onSecond)).toMatch(/^SCRAM/);
  expect(
    await query(cluster, 2, 'archive', "SELECT has_table_privilege('clerk', 'public.letters', 'SELECT') AS reads"),
  ).toEqual([{ reads: true }]);
  const client = await connect(cluster, 2, 'archive', { name: 'shared', password: 'canary-shared' });
  try {
    expect((await client.query('SELECT count(*)::int AS n FROM public.letters')).rows).toEqual([{ n: 20 }]);
  } finally {
    await client.end();
  }
  // The stand-in gives a node roles, but not what they are members of.
  if (cluster.kind === 'real') {
    const member = await query(cluster, 2, 'postgres', "SELECT pg_has_role('clerk', 'office', 'MEMBER') AS member");
    expect(member).toEqual([{ member: true }]);
    const log = await readFile(nodeOf(cluster, 2).logFile, 'utf8');
    expect(log).toContain('citus_internal');
    expect(log).not.toContain('SCRAM-SHA-256$');
  }
  const third = await runProgram(cluster, ['apply'], specOf(cluster, [{ ...spec, workerGroups: [1, 2] }]));
  expect(third.log).toContain('\nNothing was changed\n');
});

test('three databases that make one role at the same moment agree on its verifier', async ({
  folder,
  cluster,
  database,
  verifiers,
}) => {
  await writeFile(path.join(folder, 'shared'), 'canary-shared-2');
  const names = ['north', 'east', 'south'];
  const runs = await Promise.all(
    names.map((name) => runProgram(cluster, ['apply'], specOf(cluster, [database(name)]))),
  );
  expect(runs.map(({ code, stderr }) => ({ code, stderr }))).toEqual(names.map(() => ({ code: 0, stderr: '' })));
  const stored = await verifiers('shared');
  expect(new Set(stored).size).toBe(1);
  const planned = await runProgram(
    cluster,
    ['plan'],
    specOf(
      cluster,
      names.map((name) => database(name)),
    ),
  );
  expect({ code: planned.code, log: planned.log }).toMatchObject({ code: 0 });
  for (const [index, name] of names.entries()) {
    await (await connect(cluster, index, name, { name: 'shared', password: 'canary-shared-2' })).end();
  }
});
