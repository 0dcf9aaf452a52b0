import type { Scene } from './laboratory.ts';

/** On a worker, in the place of each shard of the scene's `orders`: a view that springs the trap when it is read. */
export async function placeViewsInShards(scene: Scene, trap: string): Promise<void> {
  await scene.asClient(
    "CREATE TABLE orders (id int); SELECT create_distributed_table('orders', 'id', shard_count => 4)",
  );
  await scene.asMallory(
    1,
    `SET citus.enable_manual_changes_to_shards = on;
    SET citus.override_table_visibility = off;
    DO $make$ DECLARE shard text; BEGIN
      FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^orders_\\d+$' LOOP
        EXECUTE pg_catalog.format('DROP TABLE public.%I', shard);
        EXECUTE pg_catalog.format('CREATE VIEW public.%I AS SELECT 1 AS id WHERE %s', shard, $t$${scene.trap(trap)}$t$);
      END LOOP;
    END $make$`,
  );
}
