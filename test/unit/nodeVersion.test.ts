/** An older Node: told in one sentence, before anything is installed or goes wrong. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/documents.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-node-'));
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(path.join(root, file), path.join(folder, file));
  writeFileSync(
    path.join(folder, 'debian12.cjs'),
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.19.1' } });",
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function withOldNode(file: string): { readonly status: number | null; readonly out: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', path.join(folder, 'debian12.cjs'), file],
    { cwd: folder, encoding: 'utf8' },
  );
  return { status, out: stdout + stderr };
}

test('npm run demo and npm test, before they install anything', () => {
  expect(withOldNode(path.join(root, 'scripts/install.mjs'))).toEqual({
    status: 1,
    out: 'citus-databases needs Node 20.20 or newer, and this is 18.19.1: install a newer one from https://nodejs.org/en/download (Debian 12 and Ubuntu 24.04 have Node 18).\n',
  });
  expect(existsSync(path.join(folder, 'node_modules'))).toBe(false);
});

test('the program', () => {
  const built = spawnSync(process.execPath, ['scripts/build.mjs', folder], { cwd: root, encoding: 'utf8' });
  expect(built.stderr).toBe('');
  expect(withOldNode(path.join(folder, 'citus-databases.js'))).toEqual({
    status: 1,
    out: 'citus-databases needs Node 20.20 or newer, and this is 18.19.1\n',
  });
});
