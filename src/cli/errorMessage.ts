import { Failure, Interrupted } from '../report/errors.ts';
import type { LogEntry } from '../report/log.ts';

/** The last message of a failed run. `latest`: how far it had got. */
export function errorMessage(error: unknown, latest: LogEntry | undefined): string {
  if (error instanceof Failure) return `ERROR: ${error.message}`;
  if (error instanceof Interrupted) {
    return `${error.message}${placeOf(latest)}. It is not ready; what is done stays done: run again to go on`;
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `ERROR: citus-databases has a defect, please report it:\n${trace}`;
}

/** A termination message stands alone, so it says how far the run had got. */
function placeOf(latest: LogEntry | undefined): string {
  if (latest === undefined) return '';
  const { database, step } = latest.context;
  const where = [
    ...(database === undefined ? [] : [`database '${database}'`]),
    ...(step === undefined ? [] : [`step ${step}`]),
  ];
  return `${where.length === 0 ? '' : ` in ${where.join(', ')}`}, the last line being: ${latest.text.trim()}`;
}
