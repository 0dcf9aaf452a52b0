/** Where the spec comes from and the output goes: pipes, and files that cannot be used. None of it needs a server. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { programTest } from '../support/fixtures.ts';

const run = promisify(execFile);
const test = programTest
  /** The exit code of the program, before whatever follows it in the command, and all of standard error. */
  .extend(
    'shell',
    { scope: 'file' },
    ({ folder }) =>
      async (command: string): Promise<{ readonly code: number; readonly stderr: string }> => {
        const program = `'${process.execPath}' '${path.join(folder, 'citus-databases.js')}'`;
        const script = `${command.replace('citus-databases', program)}; echo "\${PIPESTATUS[0]}" >&3`;
        const { stdout, stderr } = await run('bash', ['-c', script.replace(/^/, 'exec 3>&1; ')]);
        return { code: Number(/(\d+)\n$/.exec(stdout)?.[1]), stderr };
      },
  );

test.beforeAll(async ({ folder }) => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  await run(process.execPath, ['scripts/build.mjs', folder], { cwd: root });
});

test('a reader that has gone ends it as any program in a pipe, without a word', async ({ shell }) => {
  // The pause lets the reader end before the program writes.
  expect(await shell('(sleep 0.5; exec citus-databases --help) | true')).toEqual({ code: 141, stderr: '' });
});

test.skipIf(process.platform !== 'linux')('output that cannot be written is an error', async ({ shell }) => {
  expect(await shell('citus-databases --help >/dev/full')).toEqual({
    code: 1,
    stderr: 'ERROR: Standard output cannot be written\n  Cause: ENOSPC: no space left on device, write\n',
  });
});

test('standard error that nobody reads does not matter', async ({ shell }) => {
  const { code } = await shell('citus-databases apply --spec /nonexistent 2> >(true)');
  expect(code).toBe(2);
  expect((await shell('citus-databases no-such-command 2>&-')).code).toBe(2);
});

test('the spec from standard input, from the environment, and by its short option', async ({ folder, shell }) => {
  const spec = `cluster:
  passwordFile: no-such-password
  coordinator: { host: citusdemo-0 }
  workers: [{ group: 1, host: citusdemo-1 }]
databases: []
`;
  const file = path.join(folder, 'spec.yaml');
  await writeFile(file, spec);
  const failure = async (command: string): Promise<string | undefined> => {
    const { code, stderr } = await shell(`${command} >&2`);
    expect(code).toBe(2);
    return /ERROR: (.*)/.exec(stderr)?.[1];
  };
  const inFolder = `The password file ${path.join(folder, 'no-such-password')} cannot be read`;
  expect(await failure(`citus-databases wait -f '${file}'`)).toBe(inFolder);
  expect(await failure(`CITUS_DATABASES_SPEC='${file}' citus-databases wait`)).toBe(inFolder);
  // It has no folder: the files that it names are looked for where the program is started.
  const { stderr } = await shell(`(cd / && exec citus-databases wait --spec - < '${file}') >&2`);
  expect(stderr).toContain('The password file /no-such-password cannot be read');
});
