// Writes schema/spec.schema.json and docs/SPEC.md from the zod schema in src/spec/schema.ts, and the schemas of the
// reports of apply, plan and verify from src/report/reportSchemas.ts.
// Bundled first, because Node 20 cannot run TypeScript.
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { specReference } from './spec-docs.mjs';

const root = new URL('..', import.meta.url);

async function load(entryPoint) {
  const { outputFiles } = await build({
    entryPoints: [entryPoint],
    absWorkingDir: fileURLToPath(root),
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  const code = Buffer.from(outputFiles[0].contents).toString('base64');
  return await import(`data:text/javascript;base64,${code}`);
}

const { specJsonSchema } = await load('src/spec/jsonSchema.ts');
const { applyJsonSchema, planJsonSchema, verifyJsonSchema } = await load('src/report/reportSchemas.ts');
await mkdir(new URL('schema/', root), { recursive: true });
for (const [name, schema] of [
  ['spec', specJsonSchema()],
  ['apply', applyJsonSchema()],
  ['plan', planJsonSchema()],
  ['verify', verifyJsonSchema()],
]) {
  await writeFile(new URL(`schema/${name}.schema.json`, root), `${JSON.stringify(schema, undefined, 2)}\n`);
}
await writeFile(new URL('docs/SPEC.md', root), specReference(specJsonSchema()));
