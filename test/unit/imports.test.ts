import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/imports.mjs', import.meta.url));

async function checked(files: Readonly<Record<string, string>>): Promise<{ code: number; out: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-imports-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.join(folder, 'src', path.dirname(name)), { recursive: true });
      await writeFile(path.join(folder, 'src', name), text);
    }
    return await promisify(execFile)(process.execPath, [script, folder]).then(
      ({ stdout }) => ({ code: 0, out: stdout }),
      (error: { code: number; stdout: string }) => ({ code: error.code, out: error.stdout }),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

test.each([
  ['a folder above', { 'postgres/a.ts': "import type { S } from '../spec/types.ts';" }, 'postgres may import from'],
  ['a file that is not allowed', { 'objects/a.ts': "import { c } from '../postgres/connection.ts';" }, 'objects may'],
  ['a folder that the table lacks', { 'new/a.ts': "import '../report/errors.ts';" }, 'new may import from nothing'],
  ['a dynamic import', { 'spec/a.ts': "await import('../cli/cli.ts');" }, 'spec may import from'],
  ['tests', { 'spec/a.ts': "import { x } from '../../test/support/x.ts';" }, 'which is not src'],
  [
    'a circle',
    { 'spec/a.ts': "import { b } from './b.ts';", 'spec/b.ts': "export { a } from './a.ts';" },
    'circle: src/spec/a.ts -> src/spec/b.ts -> src/spec/a.ts',
  ],
])('an import of %s is refused', async (_, files, expected) => {
  expect(await checked(files)).toEqual({ code: 1, out: expect.stringContaining(expected) });
});

test('imports that point down are allowed', async () => {
  const files = {
    'cli/a.ts': "import { x } from '../commands/x.ts';",
    'objects/a.ts': "import { q } from '../postgres/quote.ts';\nimport { b } from './b.ts';",
  };
  expect(await checked(files)).toEqual({ code: 0, out: expect.stringContaining('2 files, 3 imports') });
});
