/** What `demo --docker` says where it cannot run. That it runs elsewhere: test/compose/demo.test.ts. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, vi } from 'vitest';
import { runCommandLine } from '../support/commandLine.ts';
import { programTest } from '../support/fixtures.ts';

const run = promisify(execFile);
const test = programTest;

test.beforeAll(async ({ folder }) => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  await run(process.execPath, ['scripts/build.mjs', folder], { cwd: root });
});

test('the bundle by itself, as in the image of the program: it needs a checkout', async ({ folder }) => {
  const args = [path.join(folder, 'citus-databases.js'), 'demo', '--docker', '--directory', path.join(folder, 'demo')];
  const program = run(process.execPath, args);
  const { code, stderr } = await program.then(
    () => ({ code: 0, stderr: '' }),
    (error: { readonly code: number; readonly stderr: string }) => error,
  );
  expect({ code, stderr: stderr.replaceAll(folder, 'FOLDER') }).toMatchInlineSnapshot(`
    {
      "code": 1,
      "stderr": "ERROR: The npm package testcontainers is not installed
      Cause: Cannot find package 'testcontainers' imported from FOLDER/citus-databases.js
      Next: Run \`npm ci\` in the checkout, without --omit=dev, and the demo from there; or leave --docker out
    ",
    }
  `);
});

test('testcontainers is no part of the bundle', async ({ folder }) => {
  const bundle = await readFile(path.join(folder, 'citus-databases.js'), 'utf8');
  expect(bundle).toContain('import("testcontainers")');
  // What it is made of.
  expect(bundle).not.toMatch(/dockerode|org\.testcontainers/);
});

test('no Docker', async ({ folder }) => {
  // As testcontainers says it. A machine that has Docker cannot be made to look as if it had none without being root.
  vi.doMock('testcontainers', () => ({
    getContainerRuntimeClient: () => Promise.reject(new Error('Could not find a working container runtime strategy')),
  }));
  const { code, out: output } = await runCommandLine(['demo', '--docker', '--directory', path.join(folder, 'demo')]);
  vi.doUnmock('testcontainers');
  expect({ code, output }).toMatchInlineSnapshot(`
    {
      "code": 1,
      "output": "Starting a coordinator and two workers on ports 5600, 5601 and 5602...
    ERROR: Docker cannot be reached
      Cause: Could not find a working container runtime strategy
      Next: Start Docker and see that \`docker info\` answers for this user, or leave --docker out: the demo then uses a local PostgreSQL
    ",
    }
  `);
});

test('a registry that cannot be reached: one sentence, no defect', async ({ folder }) => {
  // The image is here, but not the one of the helper with which Testcontainers cleans up.
  vi.doMock('testcontainers', () => ({
    getContainerRuntimeClient: () => Promise.resolve({ image: { exists: () => true, pull: () => Promise.resolve() } }),
    ImageName: { fromString: (string: string) => ({ string }) },
    Network: class {
      start(): Promise<never> {
        return Promise.reject(new Error('(HTTP code 500) server error - Get "https://registry-1.docker.io/v2/": EOF'));
      }
    },
  }));
  const { code, out } = await runCommandLine(['demo', '--docker', '--directory', path.join(folder, 'demo')]);
  vi.doUnmock('testcontainers');
  expect({ code, out }).toMatchInlineSnapshot(`
    {
      "code": 1,
      "out": "Starting a coordinator and two workers on ports 5600, 5601 and 5602...
    ERROR: Docker could not start the containers
      Cause: (HTTP code 500) server error - Get "https://registry-1.docker.io/v2/": EOF
      Next: See that \`docker pull citusdata/citus:14.1.0-pg17\` works, or leave --docker out; where images come from another registry, name it in TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX
    ",
    }
  `);
});
