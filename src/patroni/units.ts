/**
 * Numbers with units as PostgreSQL reads them (PostgreSQL documentation, "Parameter Names and Values"; parse_int() and
 * parse_real() in src/backend/utils/misc/guc.c).
 */

const MEMORY: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };
const TIME: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9, d: 8.64e10 };

export type ParsedNumber =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly problem: string };

/** The value in the parameter's own unit: 256MB of a parameter counted in 8kB is 32768. */
export function parseNumber(text: string, unit: string | null, type: 'integer' | 'real'): ParsedNumber {
  // Nothing in it can match in two ways: the text may be a server's, of any length.
  const match = /^([+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?))\s*(.*)$/s.exec(text.trim());
  const [, digits, suffix] = match ?? [];
  if (digits === undefined || suffix === undefined) return failed(`takes a number${unitHint(unit)}, not '${text}'`);
  const number = plainNumber(digits);
  const factor = suffix === '' ? 1 : unitFactor(suffix, unit);
  if (factor === undefined) return failed(unitProblem(text, suffix, unit));
  const value = number * factor;
  if (type === 'integer' && suffix === '' && !Number.isInteger(number) && unit === null && !/[.eE]/.test(digits)) {
    return failed(`takes a whole number, not '${text}'`);
  }
  return { ok: true, value: type === 'integer' ? roundHalfEven(value) : value };
}

function failed(problem: string): ParsedNumber {
  return { ok: false, problem };
}

/** As C's strtol with base 0: a leading zero makes it octal. */
function plainNumber(digits: string): number {
  const sign = digits.startsWith('-') ? -1 : 1;
  const body = digits.replace(/^[+-]/, '');
  return sign * (/^0[0-7]+$/.test(body) ? Number.parseInt(body, 8) : Number(body));
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** How many of the parameter's units one `suffix` is. */
function unitFactor(suffix: string, unit: string | null): number | undefined {
  if (unit === null) return undefined;
  const match = /^(\d*)(\w+)$/.exec(unit);
  const [, count = '', base = ''] = match ?? [];
  const table = tableOf(base);
  const given = table?.[suffix];
  const own = table?.[base];
  return given === undefined || own === undefined ? undefined : given / (own * (count === '' ? 1 : Number(count)));
}

function tableOf(base: string): Readonly<Record<string, number>> | undefined {
  return [MEMORY, TIME].find((table) => base in table);
}

function unitsOf(unit: string | null): readonly string[] {
  return Object.keys(tableOf((unit ?? '').replace(/^\d+/, '')) ?? {});
}

function unitHint(unit: string | null): string {
  const units = unitsOf(unit);
  return units.length === 0 ? '' : `, with a unit if any (${units.join(', ')})`;
}

function unitProblem(text: string, suffix: string, unit: string | null): string {
  const units = unitsOf(unit);
  if (units.length === 0) return `takes a number without a unit, not '${text}'`;
  const meant = units.find((candidate) => candidate.toLowerCase() === suffix.toLowerCase());
  const hint = meant === undefined ? '' : `; write ${meant}, units are case-sensitive`;
  return `takes one of the units ${units.join(', ')}, not '${suffix}' as in '${text}'${hint}`;
}
