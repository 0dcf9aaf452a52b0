import type { PendingParameter } from './restart.ts';
import { parseNumber } from './units.ts';
import { isInForce, type KnownSetting, type KnownSettings } from './values.ts';

/** How far one parameter is on one member. */
export type Progress =
  | 'inForce'
  /** The server knows the value and takes it when it starts. */
  | 'needsRestart'
  /** The member has not taken the configuration yet, or something else outweighs it. */
  | 'waiting';

export interface WatchedParameter {
  readonly name: string;
  /** undefined: it returns to its default, whatever that is. */
  readonly wanted: string | undefined;
  /** What the configuration said before. */
  readonly former: string | undefined;
}

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
export function progressOf(parameter: WatchedParameter, reading: MemberReading): Progress {
  const { pending, settings, loopPassed } = reading;
  const { name, wanted, former } = parameter;
  const known = settings?.get(name);
  const named = pending?.find((candidate) => candidate.name.toLowerCase() === name);
  // until the loop has passed, the reason may be that of an earlier change
  if (named !== undefined) return loopPassed || announces(named, wanted, known) ? 'needsRestart' : 'waiting';
  // nobody to ask, or a parameter that no loaded library defines: Patroni's word
  if (known === undefined) return loopPassed ? 'inForce' : 'waiting';
  if (wanted === undefined) {
    if (loopPassed) return 'inForce';
    return former === undefined || isInForce(known, former) ? 'waiting' : 'inForce';
  }
  if (isInForce(known, wanted)) return 'inForce';
  // Patroni before 4.0 says that a restart is needed, not what for
  return known.context === 'postmaster' && pending?.length === 0 ? 'needsRestart' : 'waiting';
}

function announces(pending: PendingParameter, wanted: string | undefined, known: KnownSetting | undefined): boolean {
  if (wanted === undefined) return false;
  if (known === undefined) return pending.newValue === wanted;
  const { unit, vartype } = known;
  if (vartype !== 'integer' && vartype !== 'real') return isInForce({ ...known, setting: pending.newValue }, wanted);
  const announced = parseNumber(pending.newValue, unit, vartype);
  return announced.ok && isInForce({ ...known, setting: String(announced.value) }, wanted);
}
