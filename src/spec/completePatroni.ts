import { parseQuantity } from './memory.ts';
import type { PatroniDocument } from './schema.ts';
import type { PatroniGroupSpec, PatroniSpec, SslSpec } from './types.ts';

export function completePatroni(document: PatroniDocument, clusterName: string, ssl: SslSpec): PatroniSpec {
  const { scope, tls, parameters, managedBefore, groups, ...fields } = document;
  return {
    ...fields,
    scope: scope ?? clusterName,
    tls: completeTls(tls, ssl),
    parameters: completeParameters(parameters),
    managedBefore: managedBefore.map((name) => name.toLowerCase()),
    groups: groups.map(completeGroup).toSorted((left, right) => left.group - right.group),
  };
}

/** The files of the cluster's certificates serve the REST API too, unless it has its own. */
function completeTls(tls: PatroniDocument['tls'], ssl: SslSpec): SslSpec {
  // HTTP has no way between TLS and none: nothing is negotiated.
  if (tls === undefined || !tls.enabled) return { ...ssl, enabled: false, mode: 'disable' };
  return {
    ...ssl,
    enabled: true,
    mode: tls.mode,
    directory: tls.directory ?? ssl.directory,
    ca: tls.ca ?? ssl.ca,
    certificate: tls.certificate ?? ssl.certificate,
    key: tls.key ?? ssl.key,
  };
}

function completeGroup(group: PatroniDocument['groups'][number]): PatroniGroupSpec {
  return {
    group: Number(group.group),
    members: group.members,
    parameters: completeParameters(group.parameters),
    memoryLimit: group.memoryLimit === undefined ? undefined : parseQuantity(group.memoryLimit),
  };
}

function completeParameters(given: PatroniDocument['parameters']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [[name.toLowerCase(), String(value)]])),
  );
}
