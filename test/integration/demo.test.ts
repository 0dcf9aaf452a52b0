/** What `npm run demo` runs: what it prints is typed, and Ctrl-C is what a terminal sends. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Collector } from '../support/commandLine.ts';
import { root } from '../support/documents.ts';
import { freePortRange } from '../support/ports.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'demo-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface StartedDemo {
  readonly output: Collector;
  readonly ended: Promise<number | null>;
  /** Resolves once that is printed; rejects if the demo ends without it. */
  readonly printed: (text: string) => Promise<void>;
  readonly interrupt: () => void;
}

const running = new Set<ChildProcess>();

function startDemo(...args: readonly string[]): StartedDemo {
  const child = spawn(process.execPath, ['dist/citus-databases.js', 'demo', ...args], {
    cwd: root,
    env: { ...process.env, npm_command: 'run-script' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = new Collector();
  child.stdout.pipe(output);
  child.stderr.pipe(output);
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return {
    output,
    ended,
    printed: (text) =>
      Promise.race([
        output.contains(text),
        ended.then((code) => {
          throw new Error(`It ended with ${code} and never printed ${JSON.stringify(text)}:\n${output.text}`);
        }),
      ]),
    interrupt: () => {
      child.kill('SIGINT');
      // npm passes on what the terminal has sent to the program already.
      child.kill('SIGINT');
    },
  };
}

function stopAll(): void {
  for (const child of running) child.kill('SIGTERM');
}

// As the script `predemo` of package.json does.
beforeAll(() => void execFileSync('npm', ['run', '--silent', 'build'], { cwd: root }));

describe('a demo that stays up', () => {
  const directory = path.join(folder, 'playground');
  let port: number;
  let demo: StartedDemo;

  beforeAll(async () => {
    port = await freePortRange(3);
    demo = startDemo('--stay', '--port', String(port), '--directory', directory);
    await demo.printed('The cluster stays up until Ctrl-C.');
  });
  afterAll(stopAll);

  /** The program as the demo says it, in the folder where the demo was started. */
  async function type(command: string): Promise<{ readonly code: number; readonly out: string }> {
    const line = demo.output.text.split('\n').find((candidate) => candidate.includes(` ${command} -f `));
    expect(line, demo.output.text).toMatch(/^ {2}npx citus-databases /);
    return await promisify(execFile)('bash', ['-c', line ?? ''], { cwd: root }).then(
      ({ stdout, stderr }) => ({ code: 0, out: stdout + stderr }),
      (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => ({
        code: error.code,
        out: error.stdout + error.stderr,
      }),
    );
  }

  test('npx finds a program that can be executed, also through a link from before the build', () => {
    expect(statSync(path.join(root, 'dist/citus-databases.js')).mode & 0o111).toBe(0o111);
  });

  test('shows a query of its own through each node', () => {
    const counts = [...demo.output.text.matchAll(/localhost:(\d+) {2}[\w ]+ 1000 events of 50 users/g)];
    expect(counts.map(([, found]) => Number(found))).toEqual([port, port + 1, port + 2]);
  });

  test('its login creates, distributes, fills and queries a table', async () => {
    const logins = [
      ...demo.output.text.matchAll(/^ {2}PGPASSFILE=(\S+) psql -h (\S+) -p (\d+) -U (\w+) -d (\w+) {3}#/gm),
    ];
    expect(logins.map((login) => Number(login[3]))).toEqual([port, port + 1, port + 2]);
    for (const [index, [, file = '', host = '', at, user = '', database = '']] of logins.entries()) {
      const pgpass = readFileSync(path.join(root, path.relative(root, path.resolve(root, file))), 'utf8');
      const password = pgpass
        .split('\n')
        .find((line) => line.includes(`:${user}:`))
        ?.split(':')
        .at(-1);
      expect(password).toMatch(/^[\w-]{20,}$/);
      // Whoever reads the terminal, or its scrollback, has not read it.
      expect(demo.output.text).not.toContain(password);
      const client = new pg.Client({ host, port: Number(at), user, database, password: password ?? '' });
      await client.connect();
      if (index === 0) {
        await client.query('CREATE TABLE hits (page text, at timestamptz DEFAULT now())');
        await client.query("SELECT create_distributed_table('hits', 'page')");
        await client.query("INSERT INTO hits (page) SELECT 'page ' || n FROM generate_series(1, 20) AS n");
      }
      const { rows } = await client.query('SELECT count(*)::int AS hits FROM hits');
      expect(rows).toEqual([{ hits: 20 }]);
      await client.end();
    }
  });

  test('passwords are for the one who started it', () => {
    for (const file of ['pgpass', 'passwords/postgres', 'passwords/skymap_app']) {
      expect(statSync(path.join(directory, file)).mode & 0o777).toBe(0o600);
    }
  });

  test('a changed spec: plan, apply and verify, as it says', async () => {
    expect((await type('plan')).code).toBe(0);
    const file = path.join(directory, 'spec.yaml');
    writeFileSync(file, `${readFileSync(file, 'utf8')}  - name: second\n`);
    expect((await type('plan')).code).toBe(10);
    expect((await type('apply')).code).toBe(0);
    const { code, out } = await type('verify');
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining("Database 'second' is ready!") });
  });

  test('another one on its ports: who holds the first, before anything is made', async () => {
    const other = startDemo('--once', '--port', String(port), '--directory', path.join(folder, 'refused'));
    expect(await other.ended).toBe(1);
    expect(other.output.text).toMatch(
      new RegExp(
        `ERROR: Port ${port} is in use\n  Cause: Process \\d+ listens on it: .*postgres.*\n  Next: Stop what listens on port ${port}, or choose other ports \\(demo --port 5700 takes`,
      ),
    );
    expect(existsSync(path.join(folder, 'refused'))).toBe(false);
  });

  test('another one beside it, without a terminal: it says that it ends, and does', async () => {
    const beside = await freePortRange(3);
    const other = startDemo('--port', String(beside), '--directory', path.join(folder, 'beside'));
    expect(await other.ended, other.output.text).toBe(0);
    expect(other.output.text).toContain('The demo ends here, and its servers with it');
    // Nothing to type that would not work any more.
    expect(other.output.text).not.toMatch(/psql|until Ctrl-C/);
    expect(await freeAgain(beside)).toBe(true);
  });

  test('Ctrl-C: the servers go, the spec stays', async () => {
    demo.interrupt();
    expect(await demo.ended).toBe(0);
    expect(demo.output.text).toMatch(/Stopping the servers\.\.\.\n$/);
    expect(await freeAgain(port)).toBe(true);
    expect(readdirSync(directory).toSorted()).toEqual(['passwords', 'pgpass', 'spec.yaml']);
    expect(readFileSync(path.join(directory, 'spec.yaml'), 'utf8')).toContain('- name: second');
  });
});

describe('Ctrl-C before it is up', () => {
  afterEach(stopAll);

  test.each(['Starting a coordinator', 'Verifying database'])('at "%s"', async (moment) => {
    const port = await freePortRange(3);
    const demo = startDemo('--stay', '--port', String(port), '--directory', path.join(folder, 'interrupted'));
    await demo.printed(moment);
    demo.interrupt();
    expect(await demo.ended).toBe(130);
    expect(demo.output.text).toMatch(/Stopped by SIGINT: the servers are stopped and their data is removed\.\n$/);
    expect(await freeAgain(port)).toBe(true);
  });
});

async function freeAgain(port: number): Promise<boolean> {
  const client = new pg.Client({ host: 'localhost', port, user: 'postgres', password: 'none' });
  return await client.connect().then(
    () => false,
    (error: { readonly code?: string }) => error.code === 'ECONNREFUSED',
  );
}
