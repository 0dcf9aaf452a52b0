import { textAt } from '../kubernetes/client.ts';
import { Failure } from '../report/errors.ts';
import type { SecretData, WantedSecret } from './wantedSecrets.ts';

const INSTANCE = 'app.kubernetes.io/instance';

interface Found {
  readonly wanted: WantedSecret;
  readonly found: SecretData;
  /** Of the Secret that is there. */
  readonly labels: unknown;
  /** Those that this release gives its Secrets. */
  readonly own: Readonly<Record<string, string>>;
}

/**
 * A Secret of that name which is somebody else's: the passwords in it would become this cluster's. Names of two releases may
 * meet: cluster `shop` with the user `credentials`, and cluster `shop-user`. One without labels may have been made by hand, or
 * by a tool that brings Secrets from elsewhere; then it has at least one of the keys.
 */
export function refuseForeign({ wanted, found, labels, own }: Found): void {
  const { name, data } = wanted;
  const instance = textAt(labels, INSTANCE);
  const [user, role] = [found['username'], data['username']];
  if (instance !== undefined && instance !== own[INSTANCE]) {
    throw foreign(name, `Its label ${INSTANCE} says ${shown(instance)}`, own);
  }
  if (user !== undefined && role !== undefined && user !== role) {
    throw foreign(name, `Its key username says ${shown(user)}, not ${shown(role)}`, own);
  }
  const keys = Object.keys(found);
  if (instance === undefined && keys.length > 0 && !keys.some((key) => key in data)) {
    throw foreign(name, `It has none of the keys ${Object.keys(data).join(', ')}`, own);
  }
}

function foreign(name: string, cause: string, own: Found['own']): Failure {
  return new Failure({
    kind: 'refused',
    what: `The Secret ${name} is not this release's`,
    cause,
    next: `If it is to be: kubectl label --overwrite secret ${name} ${INSTANCE}=${own[INSTANCE] ?? ''}. Else delete it if nobody needs it, or give the cluster or the user another name`,
  });
}

function shown(text: string): string {
  return text.slice(0, 253);
}
