import { itemsOf, type Kubernetes, refusedByKubernetes, textAt, valueAt } from '../kubernetes/client.ts';
import { Failure } from '../report/errors.ts';
import type { StepLog } from '../report/stepLog.ts';
import type { Preparation, SecretsWanted } from './document.ts';
import { lostGroup, type PresentGroup, passwordsAreGone, signOfData, tlsTooSoon } from './guards.ts';
import { refuseForeign } from './ownership.ts';
import {
  certificateSecrets,
  connectionSecrets,
  credentialsSecret,
  type SecretData,
  type WantedSecret,
} from './wantedSecrets.ts';

export interface Preparing {
  readonly kubernetes: Kubernetes;
  readonly log: Pick<StepLog, 'line'>;
  /** What has to stay out of every message. */
  readonly hide: (secret: string) => void;
}

/** Checks that nothing would be lost, and makes the Secrets that are wanted. Throws a Failure where it may not go on. */
export async function makePreparations(preparing: Preparing, wanted: Preparation): Promise<void> {
  const present = await presentGroups(preparing.kubernetes, wanted);
  const refused = lostGroup(wanted, present) ?? tlsTooSoon(wanted, present);
  if (refused !== undefined) throw refused;
  if (wanted.secrets === undefined) preparing.log.line('Nothing that runs would be lost');
  else await makeSecrets({ ...preparing, wanted, present, secrets: wanted.secrets, labels: new Map() });
}

interface Making extends Preparing {
  readonly wanted: Preparation;
  readonly present: readonly PresentGroup[];
  readonly secrets: SecretsWanted;
  /** Labels of the Secrets that were read, by name. */
  readonly labels: Map<string, unknown>;
}

async function makeSecrets(making: Making): Promise<void> {
  const { secrets, wanted } = making;
  const { credentials, exporter, certificates, connection, users } = secrets;
  if (credentials !== undefined) {
    const found = await readSecret(making, credentials.secret);
    if (credentials.keys.some((key) => found?.[key] === undefined)) await refuseForData(making, credentials.secret);
    await put(making, credentialsSecret(credentials, found), found);
  }
  if (exporter !== undefined) {
    const found = await readSecret(making, exporter);
    // A lost one is no harm: the next run gives the servers the new password.
    await put(making, credentialsSecret({ secret: exporter, keys: ['password'] }, found), found);
  }
  if (certificates !== undefined) {
    const found = await readSecrets(making, [certificates.authoritySecret, certificates.secret]);
    const made = certificateSecrets(certificates, wanted.cluster, (name) => found.get(name), new Date());
    if (made.length === 0) {
      making.log.line(
        `Secret ${certificates.secret}: stays as it is; the authority's key is not in ${certificates.authoritySecret}`,
      );
    }
    for (const secret of made) await put(making, secret, found.get(secret.name));
  }
  const authority = connection.ca === undefined ? [] : [connection.ca.secret];
  const names = users.flatMap(({ secret, databases }) => [secret, ...databases.map((database) => database.secret)]);
  const found = await readSecrets(making, [...new Set([...authority, ...names])]);
  for (const user of users) {
    const made = connectionSecrets(user, connection, (name) => found.get(name));
    for (const secret of made) await put(making, secret, found.get(secret.name));
    for (const namespace of user.namespaces ?? []) await copyInto(making, namespace, made, connection.host);
  }
}

/** Copies what applications connect with into their own namespace: pods mount Secrets of no other. */
async function copyInto(
  making: Making,
  namespace: string,
  secrets: readonly WantedSecret[],
  host: string,
): Promise<void> {
  const { kubernetes } = making;
  if (namespace === kubernetes.namespace) return;
  // What others put under the name of a copy is no secret of ours, and hiding it would let them blot out the log.
  const there = {
    ...making,
    ...{ kubernetes: { namespace, call: kubernetes.call }, labels: new Map<string, unknown>(), hide: () => undefined },
  };
  making.log.line(`In namespace ${namespace}:`);
  for (const secret of secrets) {
    const found = await readSecret(there, secret.name);
    if (found !== undefined && found['host'] !== host) throw ofAnotherCluster(secret.name, namespace, found['host']);
    await put({ ...there, hide: making.hide }, secret, found);
  }
}

function ofAnotherCluster(secret: string, namespace: string, host: string | undefined): Failure {
  return new Failure({
    kind: 'refused',
    what: `The Secret ${secret} in namespace ${namespace} is not a copy of this cluster's`,
    cause: `Its key host says ${host?.slice(0, 253) ?? 'nothing'}`,
    next: `Delete it if nobody needs it, or take ${namespace} out of secretNamespaces`,
  });
}

/** New passwords for a cluster that has data would lock everybody out. */
async function refuseForData({ kubernetes, wanted, present }: Making, secret: string): Promise<void> {
  const { scope } = wanted;
  const records = await Promise.all(
    wanted.groups.map(async ({ group }) => {
      const name = `${scope}-${group}-config`;
      const reply = await kubernetes.call('GET', `/api/v1/namespaces/${kubernetes.namespace}/configmaps/${name}`);
      if (reply.status === 404) return [];
      if (reply.status !== 200) throw refusedByKubernetes(`read the ConfigMap ${name}`, reply);
      return textAt(reply.body, 'metadata', 'annotations', 'initialize') === undefined ? [] : [name];
    }),
  );
  const selector = encodeURIComponent(`cluster-name=${scope}`);
  const path = `/api/v1/namespaces/${kubernetes.namespace}/persistentvolumeclaims?labelSelector=${selector}`;
  const volumes = (await list(kubernetes, path, 'volumes')).map(described);
  const data = signOfData(records.flat(), present, volumes);
  if (data !== undefined) throw passwordsAreGone(secret, data, scope);
}

async function presentGroups(
  kubernetes: Kubernetes,
  { release, chart }: Preparation,
): Promise<readonly PresentGroup[]> {
  const selector = encodeURIComponent(`app.kubernetes.io/instance=${release},app.kubernetes.io/name=${chart}`);
  const path = `/apis/apps/v1/namespaces/${kubernetes.namespace}/statefulsets?labelSelector=${selector}`;
  const sets = await list(kubernetes, path, 'StatefulSets');
  return sets
    .filter((set) => valueAt(set, 'metadata', 'deletionTimestamp') === undefined)
    .map((set) => ({ ...described(set), tls: speaksTls(set) }))
    .filter(({ group }) => group !== '');
}

/** What the chart tells the servers' container (templates/_pod.tpl). */
function speaksTls(set: unknown): boolean | undefined {
  const containers = valueAt(set, 'spec', 'template', 'spec', 'containers');
  for (const container of Array.isArray(containers) ? containers : []) {
    const variables = valueAt(container, 'env');
    const setting = (Array.isArray(variables) ? variables : []).find(
      (variable) => textAt(variable, 'name') === 'SSL_ENABLED',
    );
    if (setting !== undefined) return textAt(setting, 'value') === 'true';
  }
  return undefined;
}

function described(object: unknown): PresentGroup {
  return {
    name: textAt(object, 'metadata', 'name') ?? '',
    group: textAt(object, 'metadata', 'labels', 'citus-group') ?? '',
    created: textAt(object, 'metadata', 'creationTimestamp') ?? '',
  };
}

async function list(kubernetes: Kubernetes, path: string, what: string): Promise<readonly unknown[]> {
  const reply = await kubernetes.call('GET', path);
  if (reply.status !== 200) throw refusedByKubernetes(`list ${what}`, reply);
  return itemsOf(reply.body);
}

async function readSecrets(
  making: Making,
  names: readonly string[],
): Promise<ReadonlyMap<string, SecretData | undefined>> {
  return new Map(await Promise.all(names.map(async (name) => [name, await readSecret(making, name)] as const)));
}

async function readSecret({ kubernetes, labels, hide }: Making, name: string): Promise<SecretData | undefined> {
  const reply = await kubernetes.call('GET', secretPath(kubernetes, name));
  if (reply.status === 404) return undefined;
  if (reply.status !== 200) throw refusedByKubernetes(`read the Secret ${name}`, reply);
  labels.set(name, valueAt(reply.body, 'metadata', 'labels'));
  const data = valueAt(reply.body, 'data');
  const entries = typeof data === 'object' && data !== null ? Object.entries(data) : [];
  const decoded = Object.fromEntries(
    entries.map(([key, value]) => [key, Buffer.from(String(value), 'base64').toString()]),
  );
  for (const key of Object.keys(decoded).filter((each) => HIDDEN.test(each))) hide(decoded[key] ?? '');
  return decoded;
}

/** Keys of what has to stay out of messages. */
const HIDDEN = /password|\.key$/i;

async function put(making: Making, secret: WantedSecret, found: SecretData | undefined): Promise<void> {
  const { kubernetes, log, secrets, hide } = making;
  const { name, type, annotations } = secret;
  if (found !== undefined)
    refuseForeign({ wanted: secret, found, labels: making.labels.get(name), own: secrets.labels });
  for (const [key, value] of Object.entries(secret.data)) {
    // An answer may repeat what it was sent, in which they are so (Kubernetes documentation, "Secrets").
    if (HIDDEN.test(key)) for (const form of [value, base64(value)]) hide(form);
    else if (key === 'uri') hide(base64(value));
  }
  const differing = Object.entries(secret.data).filter(([key, value]) => found?.[key] !== value);
  if (found !== undefined && differing.length === 0) {
    log.line(`Secret ${name}: stays as it is`);
    return;
  }
  const data = Object.fromEntries(differing.map(([key, value]) => [key, base64(value)]));
  const keys = differing.map(([key]) => key).join(', ');
  if (found === undefined) {
    const metadata = { name, labels: secrets.labels, annotations };
    const path = `/api/v1/namespaces/${kubernetes.namespace}/secrets`;
    const reply = await kubernetes.call('POST', path, { apiVersion: 'v1', kind: 'Secret', metadata, type, data });
    if (reply.status === 409) throw raced(name);
    if (reply.status !== 201) throw refusedByKubernetes(`make the Secret ${name}`, reply);
    log.line(`Secret ${name}: made, with ${keys}`);
    return;
  }
  const reply = await kubernetes.call('PATCH', secretPath(kubernetes, name), { metadata: { annotations }, data });
  if (reply.status !== 200) throw refusedByKubernetes(`change the Secret ${name}`, reply);
  log.line(`Secret ${name}: changed ${keys}`);
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function secretPath(kubernetes: Kubernetes, name: string): string {
  return `/api/v1/namespaces/${kubernetes.namespace}/secrets/${name}`;
}

function raced(name: string): Failure {
  return new Failure({
    kind: 'failed',
    what: `The Secret ${name} was made by somebody else at the same time`,
    next: 'Run again: what is there is kept',
  });
}
