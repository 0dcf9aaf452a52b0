import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { portInUse } from './portInUse.ts';

const run = promisify(execFile);

/** /proc/net/tcp, "st": the socket listens (proc_pid_net(5); include/net/tcp_states.h). */
const LISTENING = '0A';

/** Throws for the first port that somebody listens on, before anything is started that would find out later. */
export async function checkPorts(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const error = await tryPort(port);
    if (error === undefined) continue;
    const holder = await describeHolder(port);
    throw portInUse(port, holder ?? error.message, error);
  }
}

async function tryPort(port: number): Promise<Error | undefined> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    await new Promise((resolve) => probe.close(resolve));
  }
}

/** "process 4711 (postgres) listens on it"; undefined where the system does not say. */
async function describeHolder(port: number): Promise<string | undefined> {
  const pid = process.platform === 'linux' ? await holderOnLinux(port) : await holderByLsof(port);
  if (pid === undefined) return undefined;
  const command = await run('ps', ['-o', 'args=', '-p', pid]).then(
    ({ stdout }) => stdout.trim().slice(0, 80),
    () => '',
  );
  return `Process ${pid} listens on it${command === '' ? '' : `: ${command}`}`;
}

/** The processes of other users keep their open files to themselves. */
async function holderOnLinux(port: number): Promise<string | undefined> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set(
    tables
      .flatMap((table) => table.split('\n'))
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(wanted) === true && state === LISTENING)
      .map((fields) => `socket:[${fields[9]}]`),
  );
  if (inodes.size === 0) return undefined;
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of processes) {
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const targets = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
    if (targets.some((target) => inodes.has(target))) return pid;
  }
  return undefined;
}

async function holderByLsof(port: number): Promise<string | undefined> {
  const { stdout } = await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t']).catch(() => ({ stdout: '' }));
  return /^\d+/.exec(stdout)?.[0];
}
