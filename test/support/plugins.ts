import { type LocalCluster, query } from './cluster.ts';

/**
 * Citus splits shards with its own output plugin, which newer servers take only when it is listed (PostgreSQL
 * documentation, output_plugin_libraries: 15.19, 17.11, 18.6 and later). Older ones do not know the setting.
 */
export async function onlinePlugins(cluster: LocalCluster): Promise<void> {
  for (const node of cluster.nodes) {
    const known = "SELECT FROM pg_settings WHERE name = 'output_plugin_libraries'";
    if ((await query(cluster, node.group, 'postgres', known)).length === 0) continue;
    await query(
      cluster,
      node.group,
      'postgres',
      "ALTER SYSTEM SET output_plugin_libraries = 'pgoutput', 'test_decoding', 'citus'",
    );
    await query(cluster, node.group, 'postgres', 'SELECT pg_reload_conf()');
  }
}
