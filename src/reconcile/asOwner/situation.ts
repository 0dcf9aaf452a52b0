import { nodeLabels } from '../../cluster/topology.ts';
import type { ObservedMetadata } from '../../objects/citusMetadata.ts';
import type { AvailableExtension } from '../../objects/extension.ts';
import type { ExtensionNeeds, ObservedRights, RemoteAnswer } from '../../objects/ownRights.ts';
import type { NodeSpec, Spec } from '../../spec/types.ts';
import type { Situation } from '../situation.ts';

/**
 * A database as the role without superuser sees it. To the pieces of work it is a database of one server: everything is
 * done on the coordinator, and Citus carries it to the workers.
 */
export interface OwnerSituation extends Situation {
  /** As the spec has it; the situation's own `spec` says that there is no Citus. */
  readonly declared: Spec;
  readonly rights: ObservedRights;
  readonly workers: readonly AskedNode[];
  /** Digest of the coordinator's pg_dist_node. */
  readonly nodes: string | undefined;
}

/** What the coordinator's server knows of the extensions that are due. */
export interface ExtensionFacts {
  readonly extensionNeeds: readonly ExtensionNeeds[];
  readonly availableExtensions: readonly AvailableExtension[];
}

export const NO_EXTENSION_FACTS: ExtensionFacts = { extensionNeeds: [], availableExtensions: [] };

/** A worker that the database has registered. */
export interface AskedNode {
  readonly node: NodeSpec;
  readonly isActive: boolean;
  /** undefined: the coordinator did not reach it as this role. */
  readonly answer: RemoteAnswer | undefined;
  /** Why not. */
  readonly problem: string | undefined;
}

export function askedNodes(metadata: ObservedMetadata | undefined, rights: ObservedRights): readonly AskedNode[] {
  const primaries = (metadata?.nodes ?? []).filter((row) => row.groupid !== 0 && row.noderole === 'primary');
  return primaries.map((row) => {
    const { nodename, nodeport, groupid } = row;
    const asked = rights.workers?.find((worker) => worker.nodename === nodename && worker.nodeport === nodeport);
    return {
      node: { group: groupid, host: nodename, port: nodeport, nodeName: nodename, nodePort: nodeport },
      isActive: row.isactive,
      answer: asked?.success === true ? (JSON.parse(asked.result) as RemoteAnswer) : undefined,
      problem: asked?.success === false ? asked.result.trim() : undefined,
    };
  });
}

export function labelsOf(coordinator: NodeSpec, workers: readonly AskedNode[]): ReadonlyMap<number, string> {
  return nodeLabels([coordinator, ...workers.map(({ node }) => node)]);
}
