// Runs a TypeScript file of this repository: bundled first, because Node 20 cannot run TypeScript.
// node scripts/run-ts.mjs FILE [ARGUMENTS]
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [file, ...rest] = process.argv.slice(2);
if (file === undefined) throw new Error('which file?');
// Within node_modules, so that the packages are found from there.
const folder = await mkdtemp(path.join(root, 'node_modules', '.run-ts-'));
try {
  const outfile = path.join(folder, 'program.mjs');
  await build({
    entryPoints: [file],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.20',
    packages: 'external',
    define: { PACKAGE_VERSION: '"0.0.0"' },
    sourcemap: 'inline',
  });
  process.argv.splice(1, Number.POSITIVE_INFINITY, outfile, ...rest);
  await import(pathToFileURL(outfile).href);
} finally {
  await rm(folder, { recursive: true, force: true });
}
