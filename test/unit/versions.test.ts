import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const text = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');

/** versions.env as a shell reads it, as far as it goes there: NAME=value and NAME="value", and lines continued with \. */
function versions(): Readonly<Record<string, string>> {
  const lines = text('versions.env').replaceAll('\\\n', '').split('\n');
  const assignments = lines.filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    assignments.map((line) => {
      const match = /^([A-Z0-9_]+)=(?:"([^"]*)"|(\S*))$/.exec(line);
      if (match === null) throw new Error(`versions.env: not an assignment: ${line}`);
      return [match[1], match[2] ?? match[3]];
    }),
  );
}

test('the program, its package, the chart and the images carry one version', () => {
  const { VERSION } = versions();
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+$/);
  expect(JSON.parse(text('package.json')).version).toBe(VERSION);
  expect(parse(text('chart/Chart.yaml')).appVersion).toBe(VERSION);
});

test.each(['Dockerfile.citus', 'Dockerfile.job'])('%s starts from the images of versions.env', (file) => {
  const pinned = versions();
  const defaults = [...text(file).matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)];
  expect(defaults.length).toBeGreaterThan(0);
  for (const [, name = '', image] of defaults) expect(image, name).toBe(pinned[name]);
  // Nothing else is started from: each FROM names an argument, or nothing at all.
  for (const [, from] of text(file).matchAll(/^FROM (\S+)/gm)) expect(from).toMatch(/^\$\{\w+_IMAGE\}$|^scratch$/);
});

test('compose keeps the data in its volume, whatever PostgreSQL the image has', () => {
  const { services } = parse(text('compose.yaml'), { merge: true }) as {
    readonly services: Readonly<
      Record<string, { readonly environment?: { readonly PGDATA?: string }; readonly volumes: readonly string[] }>
    >;
  };
  const nodes = Object.entries(services).filter(([name]) => name.startsWith('citus_'));
  expect(nodes).toHaveLength(3);
  for (const [name, { environment, volumes }] of nodes) {
    expect(volumes.map((volume) => volume.split(':').slice(0, 2))).toContainEqual([name, environment?.PGDATA]);
  }
});

test('Patroni and what it needs are pinned to exact versions', () => {
  const requirements = (versions()['PATRONI_REQUIREMENTS'] ?? '').split(/\s+/);
  expect(requirements).toContainEqual(expect.stringMatching(/^patroni==4\./));
  for (const requirement of requirements) expect(requirement).toMatch(/^[A-Za-z0-9_-]+==\d[\d.]*$/);
});

test('no image is named by a tag that moves', () => {
  for (const [name, value] of Object.entries(versions())) {
    if (name.endsWith('_IMAGE')) expect(value, name).toMatch(/^[a-z0-9/.-]+:(?!latest)\S*\d\S*$|:bookworm-slim$/);
  }
});
