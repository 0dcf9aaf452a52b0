/** Items of a list parameter in a configuration file: separated by commas, in double quotes where they hold one. */
export function listItems(value: string): readonly string[] {
  const items = value.match(/"[^"]*(?:""[^"]*)*"|[^,"]+/g) ?? [];
  return items
    .map((item) => item.trim())
    .map((item) => (item.startsWith('"') ? item.slice(1, -1).replaceAll('""', '"') : item))
    .filter((item) => item !== '');
}
