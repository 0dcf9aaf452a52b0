import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { type LocalCluster, query } from '../support/cluster.ts';
import { placeViewsInShards } from './support/falseShards.ts';
import { laboratoryTest } from './support/fixtures.ts';
import type { Scene } from './support/laboratory.ts';

/** `drain` works in every database of the servers, also in those that nobody declares. */

const test = laboratoryTest;
let moved: Scene;

test.beforeAll(async ({ laboratory }) => {
  moved = await laboratory.scene('moved');
});

const takesShards = (cluster: LocalCluster, database: string, group: number) =>
  firstValue(
    cluster,
    0,
    database,
    `SELECT shouldhaveshards::text FROM pg_dist_node WHERE groupid = ${group} AND noderole = 'primary'`,
  );

test('a table of one shard that somebody called a reference table: its group may not leave', async ({
  skip,
  laboratory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no shards');
  // The first by its name: nothing else is drained before.
  const alone = await laboratory.scene('alone');
  await alone.asClient('CREATE TABLE public.single (a int)');
  await alone.asClient("SELECT create_distributed_table('public.single', NULL, colocate_with => 'none')");
  const ofSingle = "logicalrelid = 'public.single'::regclass";
  const group = await firstValue(
    cluster,
    0,
    'alone',
    `SELECT groupid FROM pg_dist_placement JOIN pg_dist_shard USING (shardid) WHERE ${ofSingle}`,
  );
  // Any role that may connect can do this where PUBLIC may execute citus_internal.update_none_dist_table_metadata().
  for (const node of [0, 1, 2]) {
    await query(cluster, node, 'alone', `UPDATE pg_dist_partition SET repmodel = 't' WHERE ${ofSingle}`);
  }
  const { code, stdout, stderr } = await alone.run(['drain', String(group), '--transfer-mode', 'block_writes']);
  expect({ code, text: stdout + stderr }).toEqual({ code: 3, text: expect.stringMatching(/public\.single \(1\)/) });
  expect((await alone.run(['drop', 'alone', '--confirm', 'alone'])).code).toBe(0);
});

test('a view in the place of a shard: the group goes on taking shards, and nothing is read', async ({
  skip,
  laboratory,
}) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  await placeViewsInShards(moved, 'drained');
  const { code, stdout, stderr } = await moved.run(['drain', '1', '--transfer-mode', 'block_writes']);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringMatching(/Shard public\.orders_\d+ is no table/),
  });
  expect(await moved.sprung()).toEqual([]);
  expect(await takesShards(laboratory.cluster, 'moved', 1)).toBe('true');
});

test("a database that nobody declares: its owner's functions are not called in Citus' place", async ({
  skip,
  laboratory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', "the stand-in calls Citus' functions by their schema");
  // As if it had been made by hand: nobody has pinned what a superuser starts with. Citus' daemon would call what she places
  // there (owner.test.ts), so she places nothing.
  const stray = await laboratory.scene('stray');
  for (const { group } of cluster.nodes) {
    await stray.provoke(group, 'ALTER ROLE postgres IN DATABASE stray RESET ALL');
  }
  const drained = await moved.run(['drain', '2']);
  expect({ code: drained.code, text: drained.stdout + drained.stderr }).toEqual({
    code: 3,
    text: expect.stringMatching(
      /Others may create functions in database 'stray'[\s\S]*ALTER ROLE postgres IN DATABASE stray SET search_path = pg_catalog;[\s\S]*Nothing was changed/,
    ),
  });
  for (const database of ['moved', 'stray']) expect(await takesShards(cluster, database, 2)).toBe('true');
  const rebalanced = await stray.run(['rebalance', 'stray']);
  expect({ code: rebalanced.code, text: rebalanced.stdout + rebalanced.stderr }).toEqual({
    code: 3,
    text: expect.stringContaining("Others may create functions in database 'stray'"),
  });
});

test('a database that its owner has made a template, or closed', async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', "the stand-in calls Citus' functions by their schema");
  const drained = async () => {
    const { code, stdout, stderr } = await moved.run(['drain', '2']);
    return { code, text: stdout + stderr };
  };
  // Its superuser is not pinned since the test before: which shows that it is looked at.
  await query(cluster, 0, 'postgres', 'ALTER DATABASE stray IS_TEMPLATE true');
  try {
    expect(await drained()).toEqual({
      code: 3,
      text: expect.stringContaining("Others may create functions in database 'stray'"),
    });
    await query(cluster, 0, 'postgres', 'ALTER DATABASE stray ALLOW_CONNECTIONS false');
    expect(await drained()).toEqual({
      code: 3,
      text: expect.stringMatching(/accept no connections may have shards on group 2[\s\S]*stray/),
    });
  } finally {
    await query(cluster, 0, 'postgres', 'ALTER DATABASE stray ALLOW_CONNECTIONS true');
    await query(cluster, 0, 'postgres', 'ALTER DATABASE stray IS_TEMPLATE false');
  }
});
