/** What `npm pack` makes: a program that can be called by its name. Nothing is installed, for the bundle needs nothing. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/documents.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'packed-'));
const unpacked = path.join(folder, 'package');
const command = path.join(folder, 'citus-databases');

beforeAll(() => {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root });
  execFileSync('tar', ['-xzf', `citus-databases-${versionOf(root)}.tgz`], { cwd: folder });
  // As npm does with `bin`.
  const { bin } = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8'));
  const file = path.join(unpacked, bin['citus-databases']);
  chmodSync(file, 0o755);
  symlinkSync(file, command);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function versionOf(of: string): string {
  return JSON.parse(readFileSync(path.join(of, 'package.json'), 'utf8')).version;
}

function run(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  return { status, out: stdout + stderr };
}

test('it runs by its name, and reads SQL and specs', () => {
  expect(run('--version')).toEqual({ status: 0, out: `${versionOf(root)}\n` });
  expect(run('init')).toEqual({ status: 0, out: expect.stringContaining('Wrote spec.yaml') });
  expect(run('validate', '-f', 'spec.yaml').status).toBe(0);
  const schema = /\$schema=(\S+)/.exec(readFileSync(path.join(folder, 'spec.yaml'), 'utf8'))?.[1] ?? '';
  expect(schema).toBe('package/schema/spec.schema.json');
  expect(existsSync(path.join(folder, schema))).toBe(true);
});

test('it has what it needs and nothing else', () => {
  for (const file of ['dist/libpg-query.wasm', 'docs/QUICKSTART.md', 'chart/Chart.yaml', 'README.md']) {
    expect(existsSync(path.join(unpacked, file)), file).toBe(true);
  }
  for (const file of ['src/main.ts', 'test', 'node_modules', 'demo']) {
    expect(existsSync(path.join(unpacked, file)), file).toBe(false);
  }
});
