// Writes schema/spec.schema.json, and docs/SPEC.md, from the zod schema in src/spec/schema.ts.
// Bundled first, because Node 20 cannot run TypeScript.
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { specReference } from './spec-docs.mjs';

const root = new URL('..', import.meta.url);
const { outputFiles } = await build({
  entryPoints: ['src/spec/jsonSchema.ts'],
  absWorkingDir: fileURLToPath(root),
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false,
});
const code = Buffer.from(outputFiles[0].contents).toString('base64');
const { specJsonSchema } = await import(`data:text/javascript;base64,${code}`);
await mkdir(new URL('schema/', root), { recursive: true });
const schema = specJsonSchema();
await writeFile(new URL('schema/spec.schema.json', root), `${JSON.stringify(schema, undefined, 2)}\n`);
await writeFile(new URL('docs/SPEC.md', root), specReference(schema));
