import { entrySchema, userSchema } from './schema.mjs';
import { isSection } from './values.mjs';

/** The chart's README: the hand-written head, then every value and every field of an entry with default and meaning. */
export function renderReadme(head, entries, specSchema) {
  const sections = [];
  for (const entry of entries) {
    if (entry.path.length === 1) sections.push([]);
    sections.at(-1).push(entry);
  }
  const single = sections.filter(([first, ...rest]) => rest.length === 0 && first.example === undefined).flat();
  const lines = [head.trimEnd(), '', '## Values', '', ...table(single, entries)];
  for (const [first, ...rest] of sections) {
    if (first.example !== undefined) lines.push(...additionalDatabases(first, specSchema));
    if (rest.length === 0) continue;
    lines.push('', `### ${first.path[0]}`, '', first.description, '', ...table(rest, entries));
  }
  return `${lines.join('\n')}\n`;
}

function table(rows, entries) {
  const cells = rows
    .filter((entry) => !isSection(entry, entries))
    .map(({ path, value, description }) => `| \`${path.join('.')}\` | ${shown(value)} | ${escaped(description)} |`);
  return ['| key | default | meaning |', '|---|---|---|', ...cells];
}

function additionalDatabases({ path, description, example }, specSchema) {
  const fields = fieldTable(entrySchema(specSchema, 'listedDatabase'), 'required in a list');
  const users = fieldTable(userSchema(specSchema), 'required');
  const entry = [
    '',
    `### ${path[0]}`,
    '',
    description,
    '',
    '<!-- test: values -->',
    '```yaml',
    example,
    '```',
    '',
    ...fields,
  ];
  return [...entry, '', 'Each of `users`:', '', ...users];
}

function fieldTable({ properties, required }, requiredHere) {
  const rows = Object.entries(properties).map(([name, field]) => {
    const value = required.includes(name) ? requiredHere : field.default === undefined ? '' : shown(field.default);
    return `| \`${name}\` | ${value} | ${escaped(field.description)} |`;
  });
  return ['| field | default | meaning |', '|---|---|---|', ...rows];
}

function shown(value) {
  return `\`${escaped(JSON.stringify(value))}\``;
}

function escaped(text) {
  return text.replaceAll('|', '\\|');
}
