import type { PatroniSpec } from '../spec/types.ts';
import type { RestAccess } from './rest.ts';
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
