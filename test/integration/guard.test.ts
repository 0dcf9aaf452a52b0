import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

/** `guard`: an image that could not work with the data is refused while the servers still run. */

const test = clusterTest({ workers: 1 })
  /** `guard` with what a container of the image would have written. */
  .extend(
    'guard',
    { scope: 'file' },
    ({ folder, cluster }) =>
      async (image: { readonly postgres: number; readonly citus: string }): Promise<Outcome> => {
        await writeFile(path.join(folder, 'citus.control'), `default_version = '${image.citus}'\n`);
        await writeFile(path.join(folder, 'postgres-version'), `postgres (PostgreSQL) ${image.postgres}.1\n`);
        return await runProgram(
          cluster,
          ['guard', '--image', folder],
          specOf(cluster, [], { cluster: { image: 'citus:new' } }),
        );
      },
  );

let major: number;
let citus: string;

test.beforeAll(async ({ cluster }) => {
  console.log(`Citus: ${cluster.description}`);
  await query(cluster, 0, 'postgres', 'CREATE DATABASE "of somebody"');
  await query(cluster, 0, 'of somebody', 'CREATE EXTENSION citus');
  citus = String(
    await firstValue(cluster, 0, 'of somebody', "SELECT extversion FROM pg_extension WHERE extname = 'citus'"),
  );
  major = Math.floor(Number(await firstValue(cluster, 0, 'postgres', 'SHOW server_version_num')) / 10_000);
});

test('the same versions, and a newer Citus', async ({ guard }) => {
  const fits = { code: 0, log: expect.stringContaining('The servers of citus:new can work with the data') };
  expect(await guard({ postgres: major, citus })).toMatchObject(fits);
  expect(await guard({ postgres: major, citus: '99.0-1' })).toMatchObject(fits);
});

test('a Citus that is older than the extension of a database, declared or not', async ({ guard }) => {
  const { code, log } = await guard({ postgres: major, citus: '12.1-1' });
  expect({ code, log }).toEqual({
    code: 3,
    log: expect.stringContaining('The databases have a newer citus than citus:new, which has 12.1-1'),
  });
  expect(log).toContain(`Cause: 'of somebody' has citus ${citus}`);
});

test('a database whose owner made it a template counts, and of one that accepts no connections it says that nobody knows', async ({
  cluster,
  guard,
}) => {
  await query(cluster, 0, 'postgres', 'ALTER DATABASE "of somebody" WITH IS_TEMPLATE true');
  const refused = await guard({ postgres: major, citus: '12.1-1' });
  expect(refused).toMatchObject({ code: 3, log: expect.stringContaining(`Cause: 'of somebody' has citus ${citus}`) });
  await query(cluster, 0, 'postgres', 'ALTER DATABASE "of somebody" WITH IS_TEMPLATE false ALLOW_CONNECTIONS false');
  try {
    expect(await guard({ postgres: major, citus: '12.1-1' })).toMatchObject({
      code: 0,
      log: expect.stringContaining(
        "WARNING: Whether the image fits 'of somebody' is not known (ALLOW_CONNECTIONS is false)",
      ),
    });
  } finally {
    await query(cluster, 0, 'postgres', 'ALTER DATABASE "of somebody" WITH ALLOW_CONNECTIONS true');
  }
});

test('another major version of PostgreSQL', async ({ guard }) => {
  const { code, log } = await guard({ postgres: major + 1, citus });
  expect({ code, log }).toEqual({
    code: 3,
    log: expect.stringContaining(`The data belongs to PostgreSQL ${major}, and citus:new has PostgreSQL ${major + 1}`),
  });
});

test('what is not known is no reason to refuse: no files, and a server that is down', async ({ cluster, guard }) => {
  const empty = await mkdtemp(path.join(tmpdir(), 'citus-databases-guard-'));
  const spec = specOf(cluster, [], { cluster: { image: 'citus:new' } });
  expect(await runProgram(cluster, ['guard', '--image', empty], spec)).toMatchObject({ code: 0 });
  await rm(empty, { recursive: true });
  await nodeOf(cluster, 0).stop();
  expect(await guard({ postgres: major + 1, citus })).toMatchObject({
    code: 0,
    log: expect.stringContaining(
      'WARNING: Whether the image fits the data is not known (the coordinator does not answer',
    ),
  });
});
