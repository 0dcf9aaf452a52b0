import { allNodes } from '../../cluster/topology.ts';
import type { Change } from '../../objects/change.ts';
import { diffExporter } from '../../objects/exporter.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { type Situation, server } from '../situation.ts';
import { mayBeMembers } from '../undeclaredMembers.ts';
import type { DatabaseWork } from './databaseWork.ts';

/** Of the servers, whatever the database: every run sees to it, since no other one would. */
export const exporter: DatabaseWork = {
  name: 'exporter',
  nodes: ({ topology, spec }) =>
    spec.cluster.exporter === undefined ? [] : [[topology.coordinator], allNodes(topology).slice(1)],
  items: exporterItems,
  log: 'once',
  // As for users: two runs at once would each make a verifier of their own.
  lock: 'registration',
  observe: (_, { list }) => (list === 0 ? 'servers' : undefined),
  nothing: ({ spec: { cluster } }) =>
    cluster.exporter === undefined ? undefined : `Role already exists: ${cluster.exporter.name}`,
};

function exporterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  if (situation.exporter === undefined) return [];
  const { roles, memberships, exporter, settings } = server(situation, node);
  const members = mayBeMembers(situation, situation.exporter.role.name, node);
  return diffExporter(situation.exporter, roles, memberships, exporter, node, settings.version, members);
}
