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
