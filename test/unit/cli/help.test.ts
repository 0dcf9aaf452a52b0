/** `--help` of every command, held against the options that the command has. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCommandLine } from '../../support/commandLine.ts';

const { out: help } = await runCommandLine(['--help']);
const commands = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z][a-z-]*)/gm)]
  .map(([, name = '']) => name)
  .filter((name) => name !== 'help');

test('there are commands', () => {
  expect(commands.length).toBeGreaterThan(8);
});

describe.each(commands)('%s --help', (command) => {
  test('has examples of options that exist, and exit codes', async () => {
    const { code, out } = await runCommandLine([command, '--help']);
    expect(code).toBe(0);
    const [, options = '', examples = '', exitCodes = ''] =
      /\nOptions:\n([\s\S]*)\nExamples:\n([\s\S]*)\nExit codes:\n([\s\S]*)\nDocuments: /.exec(out) ?? [];
    const known = new Set([...options.matchAll(/(?<=[ ,])--?[a-z][\w-]*/g)].map(String));
    const lines = examples.split('\n').filter((line) => line.startsWith('  citus-databases '));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) {
      const used = line.replace(/ > .*/, '').matchAll(/(?<= )--?[a-z][\w-]*/g);
      expect(line).toMatch(new RegExp(`^ {2}citus-databases ${command}\\b`));
      for (const [option] of used) expect([...known], line).toContain(option);
    }
    const codes = [...exitCodes.matchAll(/^ {2}(\d+) +\S/gm)].map(([, number]) => Number(number));
    expect(codes).toEqual(expect.arrayContaining([0, 2]));
    const documented = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    for (const number of codes)
      expect(documented).toMatch(new RegExp(`^\\| (?:[\\d, ]+, )?${number}\\b[\\d, ]* \\|`, 'm'));
  });
});

test('wrong usage: exit code 2', async () => {
  for (const args of [
    ['plan', '--timeout', 'soon'],
    ['verify', '--push-to', 'pushgateway:9091'],
    ['verify', '--push-to', 'http://user:canary@pushgateway:9091'],
    ['plan', '--no-such-option'],
    ['nothing'],
    ['demo', '--port', '0'],
  ]) {
    expect((await runCommandLine(args)).code).toBe(2);
  }
});
