import { pause } from '../concurrency/interrupt.ts';
import type { Context } from '../context.ts';
import { loadTls } from '../postgres/tls.ts';
import { Failure } from '../report/errors.ts';
import { readPasswordFile } from '../secrets/credentials.ts';
import type { PatroniSpec } from '../spec/types.ts';
import { basicCredentials, type RestAccess } from './rest.ts';
import type { SqlAccess } from './serverSettings.ts';

/** What everything that asks or changes a group needs. */
export interface Tools {
  readonly patroni: PatroniSpec;
  readonly rest: RestAccess;
  readonly sql: SqlAccess;
  readonly signal: AbortSignal;
  /** Waits, or throws the Interrupted of the signal. */
  readonly pause: (milliseconds: number) => Promise<void>;
}

export async function openTools({ spec, access, signal }: Context): Promise<Tools> {
  const { patroni } = spec;
  if (patroni === undefined) {
    throw new Failure({
      kind: 'invalid',
      what: 'The spec has no section patroni, which says where the groups are and what they shall have',
      next: 'Add patroni.groups and patroni.parameters',
    });
  }
  const credentials =
    patroni.credentials === undefined
      ? undefined
      : {
          username: patroni.credentials.username,
          password: await readPasswordFile(patroni.credentials.passwordFile, access.redactor),
        };
  if (credentials !== undefined) access.redactor.add(basicCredentials(credentials));
  return {
    patroni,
    rest: {
      scope: patroni.scope,
      credentials,
      redact: access.redactor.redact,
      tls: await loadTls(patroni.tls),
      signal,
    },
    sql: { access, signal },
    signal,
    pause: (milliseconds) => pause(milliseconds, signal),
  };
}
