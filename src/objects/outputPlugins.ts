/**
 * Citus splits shards online (citus_split_shard_by_split_points, isolate_tenant_to_new_shard) with an output plugin of
 * its own. Servers that have output_plugin_libraries load none that is not listed there, and Citus' is not by default.
 */
export function outputPluginWarnings(
  nodes: readonly { readonly label: string; readonly outputPlugins: string | null }[],
): readonly string[] {
  const without = nodes.filter(
    ({ outputPlugins }) =>
      outputPlugins !== null &&
      !outputPlugins.split(',').some((library) => library.trim().replaceAll('"', '') === 'citus'),
  );
  if (without.length === 0) return [];
  const names = without.map(({ label }) => label).join(', ');
  return [
    `output_plugin_libraries has no citus on ${names}: shards cannot be split online there. Add citus to it (patroni.postgresql.parameters in the chart)`,
  ];
}
