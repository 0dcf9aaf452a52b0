import type { Kubernetes } from '../kubernetes/client.ts';
import type { Problem } from '../objects/change.ts';

/** The ConfigMap that remembers which cluster a release runs, as the chart hands it in (templates/_job.tpl). */
const VARIABLE = 'CITUS_DATABASES_IDENTITY';

/**
 * Which cluster a Helm release runs: Patroni's scope, and the system identifiers of its groups. It stands outside of the
 * cluster, because an empty one that has taken the place of another (a forgotten clusterName, volumes that are gone)
 * remembers nothing.
 */
export interface ReleaseIdentity {
  readonly scope: string;
  /** By group. */
  readonly systemIdentifiers: ReadonlyMap<number, string>;
}

export interface ReleaseRecord {
  readonly name: string;
  readonly namespace: string;
  /** undefined: nothing is remembered yet. */
  readonly identity: ReleaseIdentity | undefined;
  /** Why it could not be read; then nothing is compared. */
  readonly unreadable?: string;
  /** Remembers another identity; returns why that failed. */
  readonly write: (identity: ReleaseIdentity) => Promise<string | undefined>;
}

/** undefined where no chart asks for it. Never fails. */
export async function readRelease(signal: AbortSignal): Promise<ReleaseRecord | undefined> {
  const { [VARIABLE]: name } = process.env;
  if (name === undefined || name === '') return undefined;
  // Only here: Node's HTTPS client takes 20 ms to load.
  const { inCluster } = await import('../kubernetes/client.ts');
  const kubernetes = await inCluster(signal);
  return kubernetes === undefined ? undefined : await readRecord(kubernetes, name);
}

export async function readRecord(kubernetes: Kubernetes, name: string): Promise<ReleaseRecord> {
  const { namespace } = kubernetes;
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const base = { name, namespace, write: (identity: ReleaseIdentity) => write(kubernetes, path, name, identity) };
  const { textAt, valueAt } = await import('../kubernetes/client.ts');
  try {
    const reply = await kubernetes.call('GET', `${path}/${name}`);
    if (reply.status === 404) return { ...base, identity: undefined };
    if (reply.status !== 200) {
      return { ...base, identity: undefined, unreadable: textAt(reply.body, 'message') ?? `HTTP ${reply.status}` };
    }
    return { ...base, identity: identityOf(valueAt(reply.body, 'data')) };
  } catch (error) {
    return { ...base, identity: undefined, unreadable: error instanceof Error ? error.message : String(error) };
  }
}

const GROUP = 'group-';

function identityOf(data: unknown): ReleaseIdentity | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const entries = Object.entries(data).map(([key, value]) => [key, String(value)] as const);
  const scope = entries.find(([key]) => key === 'scope')?.[1];
  if (scope === undefined) return undefined;
  const groups = entries.filter(([key]) => key.startsWith(GROUP));
  return {
    scope,
    systemIdentifiers: new Map(groups.map(([key, value]) => [Number(key.slice(GROUP.length)), value])),
  };
}

/**
 * Another cluster under the release's name: an empty one, most likely, that would be filled and called ready. Of the workers
 * the coordinator itself remembers more (objects/identity.ts).
 */
export function changedRelease(
  release: ReleaseRecord | undefined,
  seen: ReleaseIdentity | undefined,
  coordinator: string,
): readonly Problem[] {
  if (release?.identity === undefined || seen === undefined) return [];
  const before = release.identity;
  const [old, now] = [before, seen].map(({ systemIdentifiers }) => systemIdentifiers.get(0));
  if (before.scope === seen.scope && (old === undefined || old === now)) return [];
  return [
    {
      kind: 'refused',
      what: `This is another cluster than the one that the release has had: scope '${seen.scope}', system identifier ${now}; before, scope '${before.scope}', system identifier ${old ?? 'unknown'} (ConfigMap ${release.name})`,
      node: coordinator,
      next:
        `Put back what was changed: clusterName, patroni.scope, or the volumes with the data. To go on with this cluster ` +
        `instead: kubectl -n ${release.namespace} delete configmap ${release.name}, and run again`,
    },
  ];
}

/** Groups that are gone stay in the record, for whoever reads it. */
export function remembers(before: ReleaseIdentity, seen: ReleaseIdentity): boolean {
  const same = [...seen.systemIdentifiers].every(([group, value]) => before.systemIdentifiers.get(group) === value);
  return same && before.scope === seen.scope;
}

function dataOf({ scope, systemIdentifiers }: ReleaseIdentity): Readonly<Record<string, string>> {
  const groups = [...systemIdentifiers].map(([group, value]) => [`${GROUP}${group}`, value] as const);
  return Object.fromEntries([['scope', scope], ...groups]);
}

async function write(
  kubernetes: Kubernetes,
  path: string,
  name: string,
  identity: ReleaseIdentity,
): Promise<string | undefined> {
  const { textAt } = await import('../kubernetes/client.ts');
  const data = dataOf(identity);
  // With the scope's label, so that whoever deletes the cluster's volumes and records takes this along.
  const metadata = {
    name,
    labels: { 'cluster-name': identity.scope, 'app.kubernetes.io/managed-by': 'citus-databases' },
  };
  try {
    const made = await kubernetes.call('POST', path, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
    const reply = made.status === 409 ? await kubernetes.call('PATCH', `${path}/${name}`, { metadata, data }) : made;
    if (reply.status === 200 || reply.status === 201) return undefined;
    return textAt(reply.body, 'message') ?? `HTTP ${reply.status}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
