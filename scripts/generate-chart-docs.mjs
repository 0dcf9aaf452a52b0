// Writes chart/README.md and chart/values.schema.json from chart/values.yaml and schema/spec.schema.json.
// With --check it writes nothing and fails when a file on disk differs.
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { renderReadme } from './chart-docs/readme.mjs';
import { valuesSchema } from './chart-docs/schema.mjs';
import { readValues } from './chart-docs/values.mjs';

const root = new URL('..', import.meta.url);
const read = (path) => readFile(new URL(path, root), 'utf8');

const values = readValues(await read('chart/values.yaml'));
const specSchema = JSON.parse(await read('schema/spec.schema.json'));
const outputs = [
  [
    'chart/README.md',
    formatted('README.md', renderReadme(await read('scripts/chart-docs/head.md'), values, specSchema)),
  ],
  ['chart/values.schema.json', formatted('values.schema.json', JSON.stringify(valuesSchema(values, specSchema)))],
];

for (const [path, text] of outputs) {
  if (!process.argv.includes('--check')) {
    await writeFile(new URL(path, root), text);
    continue;
  }
  const found = await read(path).catch(() => '');
  if (found !== text) {
    console.error(`${fileURLToPath(new URL(path, root))} is out of date: run node scripts/generate-chart-docs.mjs`);
    process.exitCode = 1;
  }
}

/** As `npm run lint` wants a file of this name to look. */
function formatted(name, text) {
  const command = ['biome', 'format', '--stdin-file-path', name];
  return execFileSync('npx', command, { cwd: root, input: text, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
}
