/** Terminal colours, applied last: nothing but the display depends on them. */

const CODES = { red: 31, green: 32, yellow: 33 } as const;

const PAINTED: readonly (readonly [marker: RegExp, colour: keyof typeof CODES])[] = [
  [/^(\s*)(ERROR:)/, 'red'],
  [/^(\s*)(WARNING:)/, 'yellow'],
  [/^(\s*)(✓)/, 'green'],
];

/** Of `plan`: what is new, what changes, what a person should know of. */
const MARKS: typeof PAINTED = [
  [/^( {2})(\+)(?= )/, 'green'],
  [/^( {2})(~)(?= )/, 'yellow'],
  [/^()(!)(?= )/, 'red'],
];

/** A report, line by line. */
export function paintReport(text: string): string {
  return text
    .split('\n')
    .map((line) => paint(line, [...PAINTED, ...MARKS]))
    .join('\n');
}

/** One line of this program's own; never what it quotes. */
export function paint(line: string, painted: typeof PAINTED = PAINTED): string {
  return painted.reduce(
    (result, [marker, colour]) => result.replace(marker, `$1\u001b[${CODES[colour]}m$2\u001b[0m`),
    line,
  );
}
