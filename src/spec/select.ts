import { Failure } from '../report/errors.ts';
import { nearest } from './suggest.ts';
import type { Spec } from './types.ts';

/** What options of the command line change about a spec. */

/** The spec with these of its databases; with all of them where none is named. */
export function selectDatabases(spec: Spec, names: readonly string[]): Spec {
  if (names.length === 0) return spec;
  const declared = spec.databases.map(({ name }) => name);
  const unknown = names.find((name) => !declared.includes(name));
  if (unknown !== undefined) throw undeclared(unknown, declared);
  return { ...spec, databases: spec.databases.filter(({ name }) => names.includes(name)) };
}

function undeclared(name: string, declared: readonly string[]): Failure {
  const meant = nearest(name, declared);
  return new Failure({
    kind: 'invalid',
    what: `The spec declares no database '${name}'`,
    next: meant === undefined ? `It declares: ${declared.join(', ')}` : `Is '${meant}' meant?`,
  });
}

/** How long to wait for nodes and for other runs. */
export interface Patience {
  /** So many seconds, whatever the databases declare. */
  readonly seconds?: number | undefined;
  /** Not longer than this, where `seconds` says nothing. */
  readonly mostSeconds?: number | undefined;
}

export function withPatience(spec: Spec, { seconds, mostSeconds }: Patience): Spec {
  const limit = seconds ?? mostSeconds;
  if (limit === undefined) return spec;
  return {
    ...spec,
    databases: spec.databases.map((database) => {
      const retryDelaySeconds = Math.min(database.retryDelaySeconds, limit);
      const within = attempts(limit, retryDelaySeconds);
      const maxAttempts = seconds === undefined ? Math.min(database.maxAttempts, within) : within;
      return { ...database, retryDelaySeconds, maxAttempts };
    }),
    patroni:
      spec.patroni === undefined || seconds === undefined ? spec.patroni : { ...spec.patroni, timeoutSeconds: seconds },
  };
}

function attempts(seconds: number, delay: number): number {
  return delay === 0 ? Math.ceil(seconds) : Math.max(1, Math.ceil(seconds / delay));
}
