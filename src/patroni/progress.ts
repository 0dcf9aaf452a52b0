import type { PendingParameter } from './restart.ts';
import { isInForce, type KnownSettings } from './values.ts';

/** How far one parameter is on one member. */
export type Progress =
  | 'inForce'
  /** The server knows the value and takes it when it starts. */
  | 'needsRestart'
  /** The member has not taken the configuration yet, or something else outweighs it. */
  | 'waiting';

export interface MemberReading {
  /** What Patroni says waits for a restart; undefined: nothing. */
  readonly pending: readonly PendingParameter[] | undefined;
  /** undefined: the server could not be asked. */
  readonly settings: KnownSettings | undefined;
  /** Patroni's own loop has run since the configuration was changed. */
  readonly loopPassed: boolean;
}

/**
 * What the server runs with decides. Patroni's own word on restarts comes up to a loop later than its reload, and for
 * parameters that it hands over on the command line pg_settings.pending_restart says nothing.
 */
export function progressOf(name: string, wanted: string | undefined, reading: MemberReading): Progress {
  const { pending, settings, loopPassed } = reading;
  const named = pending?.some((parameter) => parameter.name.toLowerCase() === name) === true;
  const known = settings?.get(name);
  // nobody to ask, or a parameter that the server shows to nobody: Patroni's word
  if (known === undefined) {
    if (named) return 'needsRestart';
    return loopPassed ? 'inForce' : 'waiting';
  }
  if (wanted === undefined) {
    if (named) return 'needsRestart';
    return loopPassed ? 'inForce' : 'waiting';
  }
  if (named) return 'needsRestart';
  if (isInForce(known, wanted)) return 'inForce';
  if (known.context !== 'postmaster') return 'waiting';
  return pending !== undefined && pending.length === 0 ? 'needsRestart' : 'waiting';
}
