import { Failure } from '../report/errors.ts';
import type { Preparation } from './document.ts';

/** A StatefulSet of this release that is not being deleted. */
export interface PresentGroup {
  readonly name: string;
  readonly group: string;
  readonly created: string;
  /** Whether its servers speak TLS; undefined where the StatefulSet does not say. */
  readonly tls?: boolean | undefined;
}

export interface PresentVolume {
  readonly name: string;
  readonly group: string;
  readonly created: string;
}

/**
 * What would be lost if this revision took the place of the one that runs: the same as templates/_guards.tpl finds when a
 * template is rendered, for tools that cannot look up anything then and for `helm rollback`, which renders nothing.
 */
export function lostGroup(wanted: Preparation, present: readonly PresentGroup[]): Failure | undefined {
  const kept = new Set([...wanted.groups.map(({ group }) => group), ...wanted.retired].map(String));
  for (const { name, group } of present) {
    const cluster = name.slice(0, -(group.length + 1));
    if (cluster !== wanted.cluster) {
      return new Failure({
        kind: 'refused',
        what: `Release ${wanted.release} runs the cluster '${cluster}' (StatefulSet ${name}), and this revision names it '${wanted.cluster}'`,
        cause: 'The cluster that runs would be deleted, and an empty one made',
        next: `Set clusterName: ${cluster}`,
      });
    }
    if (!kept.has(group)) {
      return new Failure({
        kind: 'refused',
        what: `This revision does not have worker group ${group}, whose StatefulSet ${name} runs`,
        cause: 'The group would be deleted with its shards, and queries would miss them',
        next:
          `Put the group back. To remove it: move its shards away and unregister it in every database ` +
          `(scripts/run-in-cluster ${wanted.release} drain ${group}), ` +
          `then upgrade with retiredWorkerGroups: [${group}]`,
      });
    }
  }
  return undefined;
}

/** A new standby that demands TLS of a leader without it never gets ready, and the rollout stops there. */
export function tlsTooSoon(wanted: Preparation, present: readonly PresentGroup[]): Failure | undefined {
  const plain = wanted.tlsRequired === true ? present.find(({ tls }) => tls === false) : undefined;
  if (plain === undefined) return undefined;
  return new Failure({
    kind: 'refused',
    what: `This revision demands TLS between servers, and those of the StatefulSet ${plain.name} run without`,
    cause: 'New servers could not reach them while pods are replaced',
    next: 'Upgrade with ssl.mode: prefer first, and to this revision when all pods are new; or set ssl.enabled: false',
  });
}

/** What shows that the cluster has data, whose roles have passwords of their own; undefined when nothing does. */
export function signOfData(
  records: readonly string[],
  present: readonly PresentGroup[],
  volumes: readonly PresentVolume[],
): string | undefined {
  const [record] = records;
  if (record !== undefined) return `ConfigMap ${record}`;
  // A volume that is older than the StatefulSet was left behind by an earlier one.
  const started = new Map(present.map(({ group, created }) => [group, Date.parse(created)]));
  const kept = volumes.find(
    ({ group, created }) => Date.parse(created) < (started.get(group) ?? Number.POSITIVE_INFINITY),
  );
  return kept === undefined ? undefined : `PersistentVolumeClaim ${kept.name}`;
}

export function passwordsAreGone(secret: string, data: string, scope: string): Failure {
  return new Failure({
    kind: 'refused',
    what: `The cluster has data (${data}), but its passwords in the Secret ${secret} are gone`,
    cause: 'New passwords would lock everybody out',
    next:
      'Restore the Secret from a backup, or make it with the passwords that the servers have. To start empty instead, ' +
      `delete the cluster's volumes and Patroni's record: kubectl delete pvc,configmap -l cluster-name=${scope}`,
  });
}
