import { nearest } from '../spec/suggest.ts';
import { listItems } from './lists.ts';
import { parseNumber } from './units.ts';

/** A row of pg_settings (PostgreSQL documentation, "pg_settings"). */
export interface KnownSetting {
  readonly name: string;
  /** In `unit`. */
  readonly setting: string;
  readonly unit: string | null;
  readonly vartype: 'bool' | 'enum' | 'integer' | 'real' | 'string';
  readonly min_val: string | null;
  readonly max_val: string | null;
  readonly enumvals: readonly string[] | null;
  readonly context: string;
  readonly source: string;
  readonly sourcefile: string | null;
}

/** By name in lower case. */
export type KnownSettings = ReadonlyMap<string, KnownSetting>;

/** Comma-separated, and read with or without blanks between the items. */
const LISTS: ReadonlySet<string> = new Set([
  'local_preload_libraries',
  'oauth_validator_libraries',
  'output_plugin_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
]);

/** A value that means "work it out": pg_settings then shows the outcome. Citus works out max_prepared_transactions. */
const AUTOMATIC: ReadonlyMap<string, number> = new Map([
  ['wal_buffers', -1],
  ['io_max_concurrency', -1],
  ['max_prepared_transactions', 0],
  ['commit_timestamp_buffers', 0],
  ['subtransaction_buffers', 0],
  ['transaction_buffers', 0],
]);

/** What is wrong with a value, as a sentence that goes on after the parameter's name; undefined when it is fine. */
export function valueProblem(known: KnownSetting, value: string): string | undefined {
  if (known.context === 'internal') return 'cannot be set: PostgreSQL fixes it itself';
  switch (known.vartype) {
    case 'bool':
      return parseBoolean(value) === undefined ? `takes on or off, not '${value}'` : undefined;
    case 'enum':
      return enumProblem(known, value);
    case 'integer':
    case 'real': {
      const parsed = parseNumber(value, known.unit, known.vartype);
      return parsed.ok ? rangeProblem(known, parsed.value, value) : parsed.problem;
    }
    case 'string':
      return undefined;
  }
}

/**
 * An unknown name is a mistake, unless it begins with the name of a library of which nothing is known here: PostgreSQL
 * keeps such a setting for the library to find when it is loaded ("Customized Options").
 */
export function nameProblem(name: string, known: KnownSettings): string | undefined {
  if (known.has(name)) return undefined;
  const dot = name.indexOf('.');
  const prefix = name.slice(0, dot + 1);
  const loaded = dot === -1 || [...known.keys()].some((candidate) => candidate.startsWith(prefix));
  return loaded ? unknown(name, known) : undefined;
}

function unknown(name: string, known: KnownSettings): string {
  const near = nearest(name, known.keys());
  return `is no parameter of this server${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function enumProblem(known: KnownSetting, value: string): string | undefined {
  const allowed = known.enumvals ?? [];
  const wanted = value.toLowerCase();
  if (allowed.includes(wanted)) return undefined;
  // on and off have their usual other spellings, which enumvals leaves out
  if (allowed.includes('on') && parseBoolean(value) !== undefined) return undefined;
  const near = nearest(value, allowed);
  return `takes one of ${allowed.join(', ')}, not '${value}'${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function rangeProblem(known: KnownSetting, number: number, value: string): string | undefined {
  const { min_val: least, max_val: most, unit } = known;
  if ((least === null || number >= Number(least)) && (most === null || number <= Number(most))) return undefined;
  const suffix = unit === null ? '' : /^\d/.test(unit) ? ` (in units of ${unit})` : ` ${unit}`;
  const shown = String(number) === value.trim() ? value.trim() : `${value.trim()} (${number})`;
  return `takes ${least} to ${most}${suffix}, not ${shown}`;
}

/** bool: unique prefixes count too (parse_bool_with_len(), src/backend/utils/adt/bool.c). */
function parseBoolean(text: string): boolean | undefined {
  const value = text.trim().toLowerCase();
  if (value === '') return undefined;
  if (value === '1' || value === 'on' || 'true'.startsWith(value) || 'yes'.startsWith(value)) return true;
  if (value === '0' || (value.length > 1 && 'off'.startsWith(value))) return false;
  return 'false'.startsWith(value) || 'no'.startsWith(value) ? false : undefined;
}

/** Whether the server runs with the value: 262144kB and 256MB are the same, and so are on and true. */
export function isInForce(known: KnownSetting, value: string): boolean {
  switch (known.vartype) {
    case 'bool':
      return parseBoolean(known.setting) === parseBoolean(value);
    case 'enum': {
      const setting = known.setting.toLowerCase();
      if (setting === value.toLowerCase()) return true;
      const [left, right] = [parseBoolean(setting), parseBoolean(value)];
      return left !== undefined && left === right;
    }
    case 'integer':
    case 'real': {
      const parsed = parseNumber(value, known.unit, known.vartype);
      if (!parsed.ok) return false;
      const setting = Number(known.setting);
      if (AUTOMATIC.get(known.name) === parsed.value) return true;
      return Math.abs(setting - parsed.value) <= Math.abs(parsed.value) * 1e-9;
    }
    case 'string':
      return LISTS.has(known.name)
        ? listItems(known.setting).join() === listItems(value).join()
        : known.setting === value;
  }
}
