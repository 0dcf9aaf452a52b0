import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { portInUse } from './portInUse.ts';
import { Server, type ServerFiles, type StopMode } from './server.ts';
import type { Settings } from './serverSettings.ts';

/** One server of a local cluster. */
export interface LocalNode {
  /** 0 is the coordinator. */
  readonly group: number;
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  /** Everything the server has logged. */
  readonly logFile: string;
  readonly settings: Settings;
  /** The postmaster's process id; undefined while the server is stopped. */
  readonly pid: () => number | undefined;
  /** Default mode: fast. `immediate` is a crash. */
  readonly stop: (mode?: StopMode) => Promise<void>;
  readonly start: () => Promise<void>;
  readonly restart: (mode?: StopMode) => Promise<void>;
}

export interface NodePlan {
  readonly group: number;
  readonly host: string;
  /** undefined: any free one. */
  readonly port: number | undefined;
  readonly files: ServerFiles;
  readonly settings: Settings;
}

const portAttempts = 5;

export async function startNode(plan: NodePlan): Promise<LocalNode> {
  const server = await startServer(plan);
  const { group, host, settings } = plan;
  const { dataDirectory, logFile } = plan.files;
  return {
    group,
    host,
    port: server.port,
    dataDirectory,
    logFile,
    settings,
    pid: () => server.pid,
    stop: (mode) => server.stop(mode),
    start: () => server.start(),
    restart: (mode) => server.restart(mode),
  };
}

/** Another process can take a free port before the server does: then the next one. */
async function startServer(plan: NodePlan): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    const server = new Server(plan.files, plan.port ?? (await freePort()));
    try {
      await server.start();
      return server;
    } catch (error) {
      if (!(await portTaken(plan.files.logFile))) throw error;
      if (plan.port !== undefined)
        throw portInUse(plan.port, 'PostgreSQL could not listen on it: Address already in use', error);
      if (attempt === portAttempts) throw error;
    }
  }
}

async function portTaken(logFile: string): Promise<boolean> {
  return (await readFile(logFile, 'utf8')).includes('Address already in use');
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('The probe has no port'));
        else resolve(address.port);
      });
    });
  });
}
