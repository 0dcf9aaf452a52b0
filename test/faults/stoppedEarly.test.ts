import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { Collector } from '../support/commandLine.ts';
import { programTest } from '../support/fixtures.ts';

/** SIGTERM before any server is reached: it ends the program within five seconds there as well. */

const run = promisify(execFile);
const test = programTest.extend(
  'stop',
  { scope: 'file' },
  ({ folder }) =>
    /** Starts the program, behind another command if need be, and sends it SIGTERM after a second and a half. */
    async (args: readonly string[], before: readonly string[] = []) => {
      const [file = '', ...rest] = [...before, process.execPath, path.join(folder, 'citus-databases.js'), ...args];
      const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
      await sleep(1_500);
      return await ended(child);
    },
);

async function ended(child: ChildProcess) {
  const output = new Collector();
  child.stdout?.pipe(output, { end: false });
  child.stderr?.pipe(output, { end: false });
  const early = child.exitCode;
  const at = performance.now();
  child.kill('SIGTERM');
  const impatient = setTimeout(() => child.kill('SIGKILL'), 30_000);
  if (early === null) await once(child, 'close');
  clearTimeout(impatient);
  const { exitCode, signalCode } = child;
  return { early, text: output.text, end: exitCode ?? signalCode, milliseconds: performance.now() - at };
}

test.beforeAll(async ({ folder }) => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  await run(process.execPath, ['scripts/build.mjs', folder], { cwd: root });
});

const STOPPED = {
  early: null,
  text: expect.stringContaining('Stopped by SIGTERM'),
  // Node before 22.15 ends by the signal itself where something holds it.
  end: expect.toSatisfy((end: unknown) => end === 143 || end === 'SIGTERM'),
};

const canHideFiles = spawnSync('unshare', ['--mount', 'true']).status === 0;
const NAME_SERVER = '127.0.0.79';

test.skipIf(!canHideFiles).for(['wait', 'plan'])(
  '%s, for a name server that does not answer',
  async (command, { folder, stop }) => {
    const silent = createSocket('udp4').bind(53, NAME_SERVER);
    await once(silent, 'listening');
    try {
      const spec = path.join(folder, 'names.yaml');
      const hosts = [1, 2, 3, 4].map((group) => `{ group: ${group}, host: citusdemo-${group} }`).join(', ');
      await writeFile(
        spec,
        `cluster: { coordinator: { host: citusdemo-0 }, workers: [${hosts}] }\ndatabases: [{ name: skymap }]\n`,
      );
      const resolver = path.join(folder, 'resolv.conf');
      await writeFile(resolver, `nameserver ${NAME_SERVER}\noptions ndots:5\n`);
      const hidden = `mount --bind '${resolver}' /etc/resolv.conf && exec "$@"`;
      const { milliseconds, ...rest } = await stop(
        [command, '--spec', spec],
        ['unshare', '--mount', 'sh', '-c', hidden, 'sh'],
      );
      expect(rest).toEqual(STOPPED);
      expect(milliseconds).toBeLessThan(5_000);
    } finally {
      silent.close();
    }
  },
);

const NODE = 'coordinator: { host: 127.0.0.1, port: 1 }, citus: false';
const FIFO_SPECS: readonly (readonly [name: string, command: string, spec: (fifo: string) => string])[] = [
  ['a password', 'wait', (fifo) => `cluster: { ${NODE}, passwordFile: ${fifo} }\ndatabases: []\n`],
  [
    'an authority',
    'wait',
    (fifo) =>
      `cluster: { ${NODE} }\nssl: { enabled: true, directory: ${path.dirname(fifo)}, ca: fifo }\ndatabases: []\n`,
  ],
  ['a script', 'plan', (fifo) => `cluster: { ${NODE} }\ndatabases: [{ name: a, initSQLFrom: [{ file: ${fifo} }] }]\n`],
  [
    "a user's password",
    'plan',
    (fifo) =>
      `cluster: { ${NODE} }\ndatabases: [{ name: a, users: [{ name: u, access: owner, passwordFile: ${fifo} }] }]\n`,
  ],
];

test.for(FIFO_SPECS)(
  'for whoever writes into a pipe that is to hold %s',
  async ([, command, specOf], { folder, stop }) => {
    const fifo = path.join(folder, 'fifo');
    await run('mkfifo', [fifo]).catch(() => undefined);
    const spec = path.join(folder, 'fifo.yaml');
    await writeFile(spec, specOf(fifo));
    const { milliseconds, ...rest } = await stop([command, '--spec', spec]);
    expect(rest).toEqual(STOPPED);
    expect(milliseconds).toBeLessThan(5_000);
  },
);

test('for whoever writes the spec', async ({ stop }) => {
  const { milliseconds, ...rest } = await stop(['plan', '--spec', '-']);
  expect(rest).toEqual(STOPPED);
  expect(milliseconds).toBeLessThan(5_000);
});

test('whoever writes the spec slowly is waited for', async ({ folder }) => {
  const child = spawn(process.execPath, [path.join(folder, 'citus-databases.js'), 'validate', '--spec', '-']);
  const output = new Collector();
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  await sleep(1_500);
  child.stdin.write('cluster: { coordinator: { host: c } }\n');
  await sleep(500);
  child.stdin.end('databases: [{ name: late }]\n');
  await once(child, 'close');
  expect(`${child.exitCode} ${output.text}`).toBe("0 The spec is valid. It declares 'late'.\n");
});
