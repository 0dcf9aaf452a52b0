/** Colours of a terminal, put on at the last moment: nothing but the eye depends on them. */

const CODES = { red: 31, green: 32, yellow: 33 } as const;

const PAINTED: readonly (readonly [marker: RegExp, colour: keyof typeof CODES])[] = [
  [/^(\s*)(ERROR:)/, 'red'],
  [/^(\s*)(WARNING:)/, 'yellow'],
  [/^(\s*)(✓)/, 'green'],
];

/** One line of this program's own; never what it quotes. */
export function paint(line: string): string {
  return PAINTED.reduce(
    (painted, [marker, colour]) => painted.replace(marker, `$1\u001b[${CODES[colour]}m$2\u001b[0m`),
    line,
  );
}

/** no-color.org: any value of NO_COLOR that is not empty switches colours off. */
export function wantsColor(terminal: boolean, environment: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR: none, TERM: kind } = environment;
  return terminal && (none === undefined || none === '') && kind !== 'dumb';
}
