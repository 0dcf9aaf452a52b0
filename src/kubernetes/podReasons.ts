import { itemsOf, type Kubernetes, type Reply, textAt, valueAt } from './client.ts';

const LONGEST = 300;
const NOTHING: Reply = { status: 0, body: undefined };

/** Where the API has the pods that Patroni runs in. */
export function podsPath({ namespace }: Kubernetes): string {
  return `/api/v1/namespaces/${namespace}/pods?labelSelector=application%3Dpatroni`;
}

/**
 * Why the servers of these groups are not there, as far as Kubernetes knows: one line for each pod that does not run and
 * each group whose pods cannot be made. Empty where it knows nothing, or may not be asked. `hosts` are the groups' Services;
 * their pods are called the same, with a number behind.
 */
export async function podReasons(kubernetes: Kubernetes, hosts: readonly string[]): Promise<readonly string[]> {
  const { namespace } = kubernetes;
  const [pods, events] = await Promise.all([
    kubernetes.call('GET', podsPath(kubernetes)),
    // Events are an extra, and there may be any number of them.
    kubernetes.call('GET', `/api/v1/namespaces/${namespace}/events?fieldSelector=type%3DWarning`).catch(() => NOTHING),
  ]);
  if (pods.status !== 200) return [];
  const warnings = newestWarnings(events.status === 200 ? itemsOf(events.body) : []);
  return hosts.flatMap((host) => reasonsOf(host, itemsOf(pods.body), warnings));
}

/** The pods of one group: named as its Service, with a number behind. */
export function podsOf(host: string, pods: readonly unknown[]): readonly unknown[] {
  return pods.filter((pod) => {
    const name = textAt(pod, 'metadata', 'name') ?? '';
    return name.startsWith(`${host}-`) && /^\d+$/.test(name.slice(host.length + 1));
  });
}

function reasonsOf(host: string, pods: readonly unknown[], warnings: ReadonlyMap<string, string>): readonly string[] {
  const own = podsOf(host, pods);
  const group = warnings.get(host);
  if (own.length === 0) return [`${host}: there is no pod${group === undefined ? '' : `: ${group}`}`];
  return own.flatMap((pod) => {
    const name = textAt(pod, 'metadata', 'name') ?? '';
    const reason = reasonOf(pod, warnings.get(name));
    return reason === undefined ? [] : [`${name}: ${short(reason)}`];
  });
}

/** Undefined for a pod that runs. */
function reasonOf(pod: unknown, warning: string | undefined): string | undefined {
  const statuses = valueAt(pod, 'status', 'containerStatuses');
  for (const status of Array.isArray(statuses) ? statuses : []) {
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    if (waiting === undefined) continue;
    const ended = textAt(status, 'lastState', 'terminated', 'message');
    const details = ended ?? textAt(status, 'state', 'waiting', 'message') ?? warning;
    return details === undefined ? waiting : `${waiting}: ${details}`;
  }
  const conditions = valueAt(pod, 'status', 'conditions');
  const unscheduled = (Array.isArray(conditions) ? conditions : []).find(
    (condition) => textAt(condition, 'type') === 'PodScheduled' && textAt(condition, 'status') === 'False',
  );
  if (unscheduled !== undefined) return `not scheduled: ${textAt(unscheduled, 'message') ?? 'no reason given'}`;
  const phase = textAt(pod, 'status', 'phase');
  return phase === 'Running' ? undefined : `${phase ?? 'unknown'}${warning === undefined ? '' : `: ${warning}`}`;
}

/** The text of the newest warning about each object, by the object's name. */
function newestWarnings(events: readonly unknown[]): ReadonlyMap<string, string> {
  const time = (event: unknown) => textAt(event, 'lastTimestamp') ?? textAt(event, 'eventTime') ?? '';
  const sorted = events.toSorted((left, right) => time(left).localeCompare(time(right)));
  return new Map(
    sorted.map((event) => [textAt(event, 'involvedObject', 'name') ?? '', textAt(event, 'message') ?? '']),
  );
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 3)}...` : line;
}
