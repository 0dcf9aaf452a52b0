import { parse } from 'yaml';

/** Keys whose value is the user's own business: they are documented as one, and not looked into. */
const opaque = new Set(['resources', 'parameters', 'workers', 'clients']);

/**
 * The keys of values.yaml in their order, each with its path, default and the comment above it. Throws where a key has no
 * comment. A key that is written as a comment only (`# additionalDatabases:` after an empty comment line) has no default.
 */
export function readValues(text) {
  const document = parse(text);
  const entries = [];
  let comment = [];
  const parents = [];
  for (const line of text.split('\n')) {
    const remark = /^ *# ?(.*)$/.exec(line);
    if (remark !== null) {
      comment.push(remark[1]);
      continue;
    }
    const key = /^( *)([A-Za-z_][\w.]*):/.exec(line);
    if (key === null) {
      entries.push(...commentedKey(comment));
      comment = [];
      continue;
    }
    const depth = key[1].length / 2;
    parents.length = depth;
    parents[depth] = key[2];
    if (!parents.slice(0, depth).some((parent) => opaque.has(parent))) {
      if (comment.length === 0) throw new Error(`values.yaml: ${parents.join('.')} has no comment`);
      entries.push({ path: [...parents], value: valueAt(document, parents), description: comment.join(' ') });
    }
    comment = [];
  }
  return entries;
}

function commentedKey(comment) {
  const gap = comment.indexOf('');
  const key = /^(\w+):$/.exec(comment[gap + 1] ?? '');
  if (gap < 0 || key === null) return [];
  const example = comment.slice(gap + 1).join('\n');
  return [{ path: [key[1]], value: undefined, description: comment.slice(0, gap).join(' '), example }];
}

function valueAt(document, path) {
  return path.reduce((value, key) => value[key], document);
}

/** Whether the entry is a mapping whose keys are entries of their own. */
export function isSection(entry, entries) {
  return entries.some(
    ({ path }) => path.length > entry.path.length && entry.path.every((key, index) => path[index] === key),
  );
}
