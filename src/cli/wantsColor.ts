/** no-color.org: any value of NO_COLOR that is not empty switches colours off. */
export function wantsColor(terminal: boolean, environment: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR: none, TERM: kind } = environment;
  return terminal && (none === undefined || none === '') && kind !== 'dumb';
}
