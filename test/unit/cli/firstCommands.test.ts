/** `init` and `validate`, and errors as JSON: what needs no server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../../../src/cli/cli.ts';
import { firstSpec } from '../../../src/commands/firstSpec.ts';
import { readSpec } from '../../../src/spec/read.ts';
import { Collector, runCommandLine } from '../../support/commandLine.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'first-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, 'spec.yaml');

async function streams(...args: readonly string[]) {
  const stdout = new Collector();
  const stderr = new Collector();
  const surroundings = { stdout, stderr, interactive: false, invokedAs: 'citus-databases', onSignal: () => undefined };
  return { code: await runCli(args, surroundings), stdout: stdout.text, stderr: stderr.text };
}

test('init writes a spec that is valid, once', async () => {
  const { code, out } = await runCommandLine(['init', '-f', file]);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining(`citus-databases plan -f ${file}`) });
  const written = readFileSync(file, 'utf8');
  const schema = /^# yaml-language-server: \$schema=(\S+)\n/.exec(written)?.[1] ?? '';
  expect(JSON.parse(readFileSync(path.resolve(folder, schema), 'utf8')).title).toBe('citus-databases spec');
  const spec = await readSpec(file);
  expect(spec.cluster.passwordFile).toBe(path.join(folder, 'passwords/postgres'));
  expect(await runCommandLine(['validate', '-f', file])).toEqual({
    code: 0,
    out: "The spec is valid. It declares 'app'.\n",
  });

  const again = await runCommandLine(['init', '-f', file]);
  expect(again).toEqual({ code: 3, out: expect.stringContaining('Nothing is overwritten') });
  expect(readFileSync(file, 'utf8')).toBe(written);
});

test('what a node is called stays its name, whatever characters it has', () => {
  const host = 'a, b }\n  acceptServerWithoutProof: true\n#';
  const named = { group: 1, host, port: 5432, nodeName: host, nodePort: 5432 };
  const group = '2, port: 1 }\n  acceptUndeclaredNodes: true   #' as unknown as number;
  const coordinator = { group: 0, host: 'c', port: 5432, nodeName: 'c, d', nodePort: 5433 };
  const text = firstSpec({
    ...{ schemaLine: '', coordinator, workers: [named, { ...named, group }], user: 'postgres', passwordFile: 'p' },
  });
  const { cluster } = parse(text);
  expect(Object.keys(cluster)).toEqual(['name', 'user', 'passwordFile', 'coordinator', 'workers']);
  expect(cluster.coordinator).toEqual(coordinator);
  expect(cluster.workers).toEqual([
    { group: 1, host, port: 5432 },
    { group, host, port: 5432 },
  ]);
});

test('validate reports every problem, as text or as JSON', async () => {
  const wrong = path.join(folder, 'wrong.yaml');
  writeFileSync(wrong, 'cluster: { coordinator: { host: c } }\ndatabases: [{ name: postgres }, { nam: x }]\n');
  const text = await streams('validate', '-f', wrong);
  expect({ code: text.code, stdout: text.stdout }).toEqual({ code: 2, stdout: '' });
  expect(text.stderr).toContain('databases[0].name');
  expect(text.stderr).toContain('databases[1]');
  const json = await streams('validate', '-f', wrong, '--output', 'json');
  expect(json.code).toBe(2);
  expect(JSON.parse(json.stdout)).toEqual({
    error: expect.objectContaining({
      kind: 'invalid',
      exitCode: 2,
      what: expect.stringContaining('databases[0].name'),
    }),
  });
  expect(JSON.parse((await streams('validate', '-f', file, '--output', 'json')).stdout)).toEqual({
    valid: true,
    databases: ['app'],
  });
});

test.each(['plan', 'apply', 'verify'])('%s --output json: an error is JSON on standard output', async (command) => {
  const absent = path.join(folder, 'absent.yaml');
  const { code, stdout, stderr } = await streams(command, '-f', absent, '--output', 'json', '--log-format', 'json');
  expect(code).toBe(2);
  const error = {
    kind: 'invalid',
    exitCode: 2,
    what: `The spec cannot be read (${absent})`,
    cause: expect.stringContaining('ENOENT'),
    next: expect.any(String),
  };
  expect(JSON.parse(stdout)).toEqual({ error });
  expect(JSON.parse(stderr)).toMatchObject({ level: 'error', error });
});

test('the schema of errors has the fields of errors', () => {
  const schema = JSON.parse(readFileSync(new URL('../../../schema/error.schema.json', import.meta.url), 'utf8'));
  expect(Object.keys(schema.properties.error.properties)).toEqual([
    'kind',
    'exitCode',
    'what',
    'node',
    'database',
    'sqlstate',
    'cause',
    'next',
  ]);
});
