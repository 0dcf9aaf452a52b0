import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = new URL('../..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

describe('what is generated from values.yaml', () => {
  test('is up to date, and every key has a comment (node scripts/generate-chart-docs.mjs)', () => {
    const script = fileURLToPath(new URL('scripts/generate-chart-docs.mjs', root));
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line.includes('values.yaml') || line.includes('out of date'))).toEqual(
      [],
    );
    expect(status).toBe(0);
  });

  test('describes every value in the README', () => {
    const readme = read('chart/README.md');
    for (const path of leaves(parse(read('chart/values.yaml')))) expect.soft(readme).toContain(`| \`${path}\``);
  });

  test('closes every mapping whose keys the chart reads', () => {
    const schema: unknown = JSON.parse(read('chart/values.schema.json'));
    const open = mappings(schema, '').filter(({ object }) => object['additionalProperties'] !== false);
    // Helm hands `global` to every chart of a release, with keys that are other charts' business.
    expect(open.map(({ at }) => at)).toEqual(['/properties/global']);
  });
});

test('the versions of chart, program and images are one', () => {
  const chart: unknown = parse(read('chart/Chart.yaml'));
  const { version }: { version: string } = JSON.parse(read('package.json'));
  expect(chart).toMatchObject({ version, appVersion: version });
});

/** Paths of the values that have a row of their own: not what lies inside lists, resources and parameters. */
function leaves(value: unknown, path: readonly string[] = []): readonly string[] {
  const isOpaque = ['resources', 'parameters'].includes(path.at(-1) ?? '');
  if (isOpaque || typeof value !== 'object' || value === null || Array.isArray(value)) return [path.join('.')];
  const entries = Object.entries(value);
  return entries.length === 0 ? [path.join('.')] : entries.flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

function mappings(
  value: unknown,
  at: string,
): readonly { readonly at: string; readonly object: Readonly<Record<string, unknown>> }[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.entries(value).flatMap(([key, child]) => mappings(child, `${at}/${key}`));
  return 'properties' in value && !at.endsWith('/properties') ? [{ at, object: { ...value } }, ...inner] : inner;
}
