import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { runCommandLine } from '../../support/commandLine.ts';

async function script(shell: string): Promise<string> {
  const { code, out } = await runCommandLine(['completion', shell]);
  expect(code).toBe(0);
  return out;
}

/** What bash offers at the end of these words. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const list = words.map((word) => `'${word}'`).join(' ');
  const program = `${await script('bash')}
COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _citus_databases; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

test('bash completes commands, options and values', async () => {
  expect(await offered('citus-databases', 'v')).toEqual(['validate', 'verify']);
  expect(await offered('citus-databases', 'plan', '--da')).toEqual(['--database', '--databases-at-once']);
  expect(await offered('citus-databases', 'plan', '--output', '')).toEqual(['text', 'json']);
  expect(await offered('citus-databases', 'completion', 'z')).toEqual(['zsh']);
});

test('zsh uses the completion of bash, and fish has its own', async () => {
  expect(await script('zsh')).toMatch(/^#compdef citus-databases\nautoload -U \+X bashcompinit/);
  const fish = await script('fish');
  expect(fish).toContain("-n '__fish_seen_subcommand_from plan' -l output -x -a 'text json'");
  expect(fish).toContain("-n '__fish_seen_subcommand_from plan' -s f -l spec -r");
});
