import { databaseNodes } from '../cluster/topology.ts';
import type { Problem } from '../objects/change.ts';
import { collationWarnings, unequalCollationWarnings } from '../objects/collationVersion.ts';
import { outputPluginWarnings } from '../objects/outputPlugins.ts';
import { untriedVersionWarnings, versionProblems } from '../objects/versions.ts';
import { label, type Situation, server } from './situation.ts';

/** Nodes of a rolling update, for a while. */
export function mixedVersions(situation: Situation): readonly Problem[] {
  const nodes = databaseNodes(situation.topology).map((node) => ({
    label: label(situation, node),
    settings: server(situation, node).settings,
  }));
  return versionProblems(nodes, situation.spec.cluster.citus);
}

/** What the servers are not fit for, though the database works: `verify` says it too. */
export function serverWarnings(situation: Situation): readonly string[] {
  const { database, topology, spec } = situation;
  const nodes = databaseNodes(topology).map((node) => ({ label: label(situation, node), ...server(situation, node) }));
  const versions = nodes.map((node) => ({
    label: node.label,
    found: node.collationVersions ?? [],
  }));
  const { settings } = server(situation, topology.coordinator);
  return [
    ...untriedVersionWarnings(settings, spec.cluster.citus),
    ...versions.flatMap(({ label, found }) => collationWarnings(database.name, found, label, spec.cluster.citus)),
    ...unequalCollationWarnings(
      versions.map(({ label, found }) => ({
        label,
        actual: (found.find((entry) => entry.database === database.name) ?? found[0])?.actual,
      })),
    ),
    ...(spec.cluster.citus
      ? outputPluginWarnings(nodes.map(({ label, settings }) => ({ label, outputPlugins: settings.outputPlugins })))
      : []),
  ];
}
