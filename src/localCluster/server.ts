import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { poll } from '../concurrency/poll.ts';
import { Failure } from '../report/errors.ts';
import type { ServerUser } from './systemUser.ts';

/** PostgreSQL documentation, "Shutting Down the Server": wait for clients, end them, or crash. */
export type StopMode = 'smart' | 'fast' | 'immediate';

const signals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
const startDeadlineMs = 60_000;

export interface ServerFiles {
  /** The folder of the `postgres` program. */
  readonly bin: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly user: ServerUser;
}

/** One running (or stopped) PostgreSQL server, a child of this process. */
export class Server {
  readonly files: ServerFiles;
  readonly port: number;
  #child: ChildProcess | undefined;

  constructor(files: ServerFiles, port: number) {
    this.files = files;
    this.port = port;
  }

  /** The postmaster's process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Returns once the server accepts connections. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const { bin, dataDirectory, logFile, user } = this.files;
    const log = await open(logFile, 'a');
    try {
      const child = spawn(path.join(bin, 'postgres'), ['-D', dataDirectory, '-p', String(this.port)], {
        ...user,
        cwd: dataDirectory,
        env: serverEnvironment(path.dirname(dataDirectory)),
        stdio: ['ignore', log.fd, log.fd],
        // A group of its own: Ctrl-C in a terminal is for the program, which then stops the servers in its own order.
        detached: true,
      });
      this.#child = child;
      child.once('exit', () => {
        if (this.#child === child) this.#child = undefined;
      });
      child.unref();
      await once(child, 'spawn');
      await this.#untilReady(child);
    } finally {
      await log.close();
    }
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    // A referenced timer keeps the process alive until the exit event of the unreferenced child.
    const waiting = setInterval(() => {}, 1_000);
    try {
      const ended = once(child, 'exit');
      child.kill(signals[mode]);
      await ended;
    } finally {
      clearInterval(waiting);
    }
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  /** As pg_ctl does: the last line of postmaster.pid says when connections are accepted. */
  async #untilReady(child: ChildProcess): Promise<void> {
    const pidFile = path.join(this.files.dataDirectory, 'postmaster.pid');
    const ready = await poll(
      async () => {
        const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
        if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return true;
        return child.exitCode === null && child.signalCode === null ? undefined : false;
      },
      { everyMs: 10, deadline: performance.now() + startDeadlineMs },
    );
    if (ready === true) return;
    child.kill('SIGQUIT');
    const log = await readFile(this.files.logFile, 'utf8').catch(() => '');
    throw new Failure({
      kind: 'failed',
      what: `PostgreSQL did not start on port ${this.port}`,
      cause: log.trimEnd().split('\n').slice(-10).join('\n'),
      next: `Look at ${this.files.logFile} and whether the port is free.`,
    });
  }
}

/**
 * Only what a server needs. PGPASSWORD, PGSSLCERT and the like of the surrounding shell, its ~/.pgpass and ~/.postgresql
 * would be used by libpq between the nodes, and links would work by accident.
 */
export function serverEnvironment(home: string): NodeJS.ProcessEnv {
  const kept = ['PATH', 'TZ', 'TMPDIR', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'];
  const entries = kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...Object.fromEntries(entries), HOME: home, LC_ALL: 'C' };
}
