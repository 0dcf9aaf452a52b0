import type { LocalCluster } from '../../support/cluster.ts';
import type { Scene } from './laboratory.ts';

/** As superuser, by Citus itself, from worker 1 to worker 2: that the trap works. */
export async function moveShard(scene: Scene, { nodes: [, from, to] }: LocalCluster, table: string): Promise<void> {
  await scene.provoke(
    0,
    `SELECT citus_move_shard_placement((SELECT min(s.shardid) FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid)
        WHERE s.logicalrelid = '${table}'::regclass AND p.groupid = 1),
      '${from?.host}', ${from?.port}, '${to?.host}', ${to?.port}, shard_transfer_mode => 'block_writes')`,
  );
}
