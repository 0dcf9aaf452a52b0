/** The linters of documents find what they are for; that the documents pass is `npm run lint`. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

type Files = Readonly<Record<string, string>>;

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = (script: string) => (folder: string) => [path.join(root, 'scripts', script), folder];
const links = node('links.mjs');
const prose = node('prose.mjs');
const spelling = (folder: string) => [
  path.join(root, 'node_modules/cspell/bin.mjs'),
  ...['--config', path.join(root, 'cspell.json'), '--root', folder],
  ...['--no-progress', '--no-summary', '**/*.{md,ts,yaml}'],
];

async function lint(command: (folder: string) => string[], files: Files): Promise<{ code: number; out: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-lint-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
      await writeFile(path.join(folder, name), text);
    }
    return await promisify(execFile)(process.execPath, command(folder), { cwd: folder }).then(
      ({ stdout }) => ({ code: 0, out: stdout }),
      (error: { code: number; stdout: string }) => ({ code: error.code, out: error.stdout }),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

test.each<[string, Files, string]>([
  ['a file that does not exist', { 'a.md': '[b](docs/b.md)' }, 'a.md:1: there is no docs/b.md'],
  ['a file, from a folder', { 'docs/a.md': 'x\n\n[b](../b.md)' }, 'docs/a.md:3: there is no b.md'],
  ['a picture', { 'a.md': '![b](b.svg)' }, 'a.md:1: there is no b.svg'],
  ['a heading of the page', { 'a.md': '# A\n[b](#b)' }, 'a.md:2: a.md has no heading #b'],
  [
    'a heading of another page',
    { 'a.md': '[b](b.md#c)', 'b.md': '# B\n```text\n# c\n```\n' },
    'a.md:1: b.md has no heading #c',
  ],
  ['a definition', { 'a.md': '[a]\n\n[a]: b.md' }, 'a.md:3: there is no b.md'],
  ['a page that a source names', { 'src/a.ts': "const next = 'See docs/B.md';" }, 'src/a.ts:1: there is no docs/B.md'],
  [
    'a heading that values name',
    { 'chart/values.yaml': '# See docs/B.md, "The end".', 'docs/B.md': '# The beginning' },
    'chart/values.yaml:1: docs/B.md has no heading #the-end',
  ],
  ['plain http', { 'a.md': '[a](http://example.com)' }, 'http://example.com is not https'],
])('a link to %s is found', async (_, files, expected) => {
  expect(await lint(links, files)).toEqual({ code: 1, out: expect.stringContaining(`${expected}\n`) });
});

test('links that lead somewhere pass', async () => {
  const files = {
    'a.md':
      '# A `b`: c!\n# Twice\n# Twice\n[a](#a-b-c) [b](#twice-1) [c](docs/c.md#c) [d](https://example.com) `[e](f.md)`',
    'docs/c.md': '# C\n[a](../a.md)\n```text\n[x](y.md)\n```\n',
    'src/a.ts': '/** docs/c.md, "C" */',
  };
  expect(await lint(links, files)).toEqual({ code: 0, out: '2 pages, 6 links: each leads somewhere\n' });
});

test.each<[string, Files, string]>([
  [
    'in a paragraph',
    { 'a.md': '# A\n\nIt makes the declared\ndatabases so.' },
    'a.md:3: "makes the declared databases so"',
  ],
  ['in a list', { 'a.md': '- One.\n- Running again is no use.' }, 'a.md:2: "is no use"'],
  ['in a table', { 'a.md': '| a | b |\n|---|---|\n| `x` | Only then does it end. |' }, 'a.md:3: "Only then does it"'],
  [
    'in a comment of values',
    { 'chart/values.yaml': '# -- This is\n# the the size.\na: 1' },
    'chart/values.yaml:1: "the the"',
  ],
  ['in a message', { 'src/a.ts': "fail('Databases with a past are left alone');" }, 'src/a.ts:1: "with a past"'],
  ['that is too long', { 'a.md': `${'word '.repeat(49)}end.` }, 'a.md:1: a sentence of 50 words'],
])('a phrase %s is found', async (_, files, expected) => {
  expect(await lint(prose, files)).toEqual({ code: 1, out: expect.stringContaining(expected) });
});

test('code, examples and comments of sources are not judged', async () => {
  const files = {
    'a.md': '`is no use` and\n\n```text\nthe the\n```\n',
    'src/a.ts': "// the the\nquery('SELECT a FROM b is no use');",
  };
  expect(await lint(prose, files)).toEqual({ code: 0, out: '1 paragraphs, 0 messages: none to stumble over\n' });
});

test('misspelt words are found in pages, values, comments and messages, and no names of PostgreSQL', {
  timeout: 180_000,
}, async () => {
  const files = {
    'a.md': 'Databses are made with `CREATE DATABASE`, see pg_dist_authinfo and datconnlimit.',
    'chart/values.yaml': '# -- The nmae of it.\na: 1',
    'src/a.ts': "/** Wirtes it. */\nfail('It cannot be connceted to');\nquery('SELECT xyzzyfoo FROM a');",
  };
  const { code, out } = await lint(spelling, files);
  expect(code).toBe(1);
  expect([...out.matchAll(/Unknown word \((\w+)\)/g)].map(([, word]) => word).toSorted()).toEqual([
    'Databses',
    'Wirtes',
    'connceted',
    'nmae',
  ]);
});
