import { expect } from 'vitest';
import { laboratoryTest } from './support/fixtures.ts';
import type { Scene } from './support/laboratory.ts';
import { moveShard } from './support/moveShard.ts';

/** A partitioned table in the place of a shard: whoever plans a query on it evaluates what is constant in its key. */

const test = laboratoryTest;

/** In the place of each shard of `table` on this node, with its rows. */
async function partition(scene: Scene, group: number, table: string, trap: string): Promise<void> {
  await scene.asMallory(
    group,
    `SET citus.enable_manual_changes_to_shards = on;
    SET citus.override_table_visibility = off;
    DO $make$ DECLARE shard text; BEGIN
      FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^${table}_\\d+$' LOOP
        EXECUTE format('ALTER TABLE public.%I RENAME TO %I', shard, shard || '_rows');
        EXECUTE format('CREATE TABLE public.%I (id int, v text) PARTITION BY LIST ((id > 0 AND %s))', shard, $t$${scene.trap(trap)}$t$);
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I DEFAULT', shard || '_all', shard);
        EXECUTE format('INSERT INTO public.%I SELECT * FROM public.%I', shard, shard || '_rows');
      END LOOP;
    END $make$`,
  );
}

test('of a distributed table: it is not moved', async ({ laboratory, skip }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no shards');
  const moved = await laboratory.scene('moved');
  await moved.asClient(
    "CREATE TABLE orders (id int, v text); SELECT create_distributed_table('orders', 'id', shard_count => 4)",
  );
  await moved.asClient("INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 20) i");
  await partition(moved, 1, 'orders', 'moved');
  for (const args of [
    ['drain', '1'],
    ['rebalance', 'moved'],
  ]) {
    const { code, stdout, stderr } = await moved.run([...args, '--transfer-mode', 'block_writes']);
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringMatching(/Shard public\.orders_\d+ is no table like the one it belongs to/),
    });
  }
  expect(await moved.sprung()).toEqual([]);
  const planned = await moved.run(['plan']);
  expect({ code: planned.code, text: planned.stdout + planned.stderr }).toEqual({
    code: 3,
    text: expect.stringMatching(/shards of public\.orders are gone/),
  });
  expect(await moved.sprung()).toEqual([]);
  // Citus itself reads it.
  await moveShard(moved, cluster, 'public.orders');
  expect(await moved.sprung()).toEqual(['moved']);
});

test('of a reference table, on the coordinator: it is not copied to a worker that joins', async ({
  laboratory,
  skip,
}) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const copied = await laboratory.scene('copied', { groups: [0, 1], more: { workerGroups: [1] } });
  await copied.asClient("CREATE TABLE places (id int, v text); SELECT create_reference_table('places')");
  await copied.asClient("INSERT INTO places VALUES (1, 'x')");
  for (const group of [0, 1]) await partition(copied, group, 'places', 'copied');
  for (const command of ['plan', 'apply']) {
    const { code, stdout, stderr } = await copied.run([command], { workerGroups: [1, 2] });
    expect({ code, text: stdout + stderr }).toEqual({
      code: 3,
      text: expect.stringMatching(
        /Registering \S+ would run what is in its place of 'mallory' as superuser, for shard public\.places_\d+/,
      ),
    });
  }
  expect(await copied.sprung()).toEqual([]);
});

test('a partition of a shard whose own key calls her function', async ({ laboratory, skip }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const nested = await laboratory.scene('nested');
  await nested.asClient('CREATE TABLE days (id int, d int) PARTITION BY RANGE (d)');
  await nested.asClient("SELECT create_distributed_table('days', 'id', shard_count => 4)");
  await nested.asMallory(
    1,
    `SET citus.enable_manual_changes_to_shards = on;
    SET citus.override_table_visibility = off;
    DO $make$ DECLARE shard text; BEGIN
      FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^days_\\d+$' LOOP
        EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I DEFAULT PARTITION BY LIST ((id > 0 AND %s))', shard || '_all', shard,
          $t$${nested.trap('nested')}$t$);
      END LOOP;
    END $make$`,
  );
  const { code, stdout, stderr } = await nested.run(['rebalance', 'nested', '--transfer-mode', 'block_writes']);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 3,
    text: expect.stringMatching(/as superuser, for the partition key of table public\.days_\d+_all/),
  });
  expect(await nested.sprung()).toEqual([]);
});
