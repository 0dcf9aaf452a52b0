/** `demo --docker` on a real Docker, with the default ports: those of compose.yaml. `.ci/compose` runs it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, expect, test } from 'vitest';
import { runCli } from '../../src/cli/cli.ts';
import { Collector } from '../support/commandLine.ts';
import { root } from '../support/documents.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'demo-docker-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Testcontainers' mark on everything it makes. */
const OURS = ['--filter', 'label=org.testcontainers=true', '--format', '{{.ID}} {{.Names}}'];

async function docker(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('docker', [...args])).stdout.trim();
}

/** Containers and networks of the demo; Testcontainers' own helper stays until its last client is gone. */
async function leftBehind(): Promise<readonly string[]> {
  const containers = await docker('ps', '--all', ...OURS);
  const networks = await docker('network', 'ls', '--filter', 'label=org.testcontainers=true', '--format', '{{.Name}}');
  return `${containers}\n${networks}`
    .split('\n')
    .filter((line) => line !== '' && !line.includes('testcontainers-ryuk'));
}

interface StartedDemo {
  readonly printed: (text: string) => Promise<void>;
  readonly output: () => string;
  readonly interrupt: () => void;
  readonly ended: Promise<number>;
}

/** In this process, as if somebody were at the terminal. */
function startDemo(): StartedDemo {
  const output = new Collector();
  let interrupt = () => {};
  const ended = runCli(['demo', '--docker', '--directory', directory], {
    stdout: output,
    stderr: output,
    interactive: true,
    invokedAs: 'citus-databases',
    onSignal: (handler) => {
      interrupt = () => handler('SIGINT');
    },
  });
  const printed = async (text: string): Promise<void> => {
    await Promise.race([
      output.contains(text),
      ended.then((code) => {
        throw new Error(`The demo ended with ${code} and never printed ${JSON.stringify(text)}:\n${output.text}`);
      }),
    ]);
  };
  const demo = { printed, output: () => output.text, interrupt: () => interrupt(), ended };
  started.push(demo);
  return demo;
}

const started: StartedDemo[] = [];

afterEach(async () => {
  // A test that failed leaves its demo up.
  for (const demo of started.splice(0)) {
    demo.interrupt();
    await demo.ended;
  }
  expect(await leftBehind()).toEqual([]);
});

test('it stays up until Ctrl-C, as it says; each node answers at the printed address', async () => {
  const demo = startDemo();
  await demo.printed('The cluster stays up until Ctrl-C.');
  const output = demo.output();
  expect(output).toMatch(/^They run Citus of the image \S*citusdata\/citus:\d[\w.-]* in Docker, on PostgreSQL \d+/m);
  expect(output).toContain("\nDatabase 'skymap' is ready!\n");

  const addresses = [...output.matchAll(/^ {2}PGPASSFILE=\S+ psql -h (\S+) -p (\d+) -U (\w+) -d (\w+) {3}# /gm)];
  expect(addresses.map(([, , port]) => port)).toEqual(['5600', '5601', '5602']);
  const password = readFileSync(path.join(directory, 'passwords/skymap_app'), 'utf8');
  for (const [, host = '', port, user = '', database = ''] of addresses) {
    const client = new pg.Client({ host, port: Number(port), user, database, password });
    await client.connect();
    const { rows } = await client.query('SELECT nodename, nodeport FROM pg_dist_node ORDER BY groupid');
    await client.end();
    expect(rows).toEqual(
      ['citus_master', 'citus_worker1', 'citus_worker2'].map((nodename) => ({ nodename, nodeport: 5432 })),
    );
  }
  // Nobody else's password lets the superuser in, and nobody can look it up in the container's settings.
  const [container = ''] = (await docker('ps', ...OURS)).split('\n').filter((line) => !line.includes('ryuk'));
  const settings = await docker('inspect', '--format', '{{json .Config.Env}}', container.split(' ')[0] ?? '');
  expect(settings).toContain('POSTGRES_PASSWORD_FILE=');
  expect(settings).not.toContain('POSTGRES_PASSWORD=');

  demo.interrupt();
  expect(await demo.ended).toBe(0);
});

test('Ctrl-C while it goes on: it stops, and removes what it has made', async () => {
  const demo = startDemo();
  await demo.printed('Step 1: ');
  demo.interrupt();
  expect(await demo.ended).toBe(130);
  expect(demo.output()).toContain('Stopped by SIGINT');
});

test('a port that is taken: which one, exit code 1', async () => {
  const other = createServer();
  await new Promise<void>((resolve, reject) => other.once('error', reject).listen(5601, '0.0.0.0', resolve));
  try {
    const demo = startDemo();
    expect(await demo.ended).toBe(1);
    expect(demo.output()).toMatch(
      /^ERROR: Port 5601 is in use\n {2}Cause: Docker could not bind it: .*\n {2}Next: Stop/m,
    );
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

test('the bundled program, without a terminal: it ends by itself', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['dist/citus-databases.js', 'demo', '--docker', '--directory', directory],
    {
      cwd: root,
    },
  );
  expect(stdout).toContain("\nDatabase 'skymap' is ready!\n");
  expect(stdout).not.toContain('until Ctrl-C');
});
