import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ServerUser } from './systemUser.ts';

/** Ends servers and removes their folder when told to, or when this process dies in whatever way. */
export interface Cleaner {
  readonly finish: () => Promise<void>;
}

/**
 * Reads until its standard input closes, which the kernel does for a process that dies, kill -9 included; exit
 * handlers would miss that and be lost in test workers. Servers that still run are told to stop at once. As the servers'
 * user, who may write any number into a postmaster.pid.
 */
const ofServers = `
  cat >/dev/null
  for file in "$1"/*/postmaster.pid; do
    if [ -f "$file" ]; then kill -QUIT "$(head -n 1 "$file")" 2>/dev/null; fi
  done
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    rm -rf "$1"/* "$1"/.[!.]* 2>/dev/null && exit 0
    sleep 0.2
  done
`;

/** The folder itself, when there is nothing of the servers in it any more. */
const ofFolder = `
  cat >/dev/null
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    [ -n "$(ls -A "$2" 2>/dev/null)" ] || break
    sleep 0.2
  done
  rm -rf "$1"
`;

/** `servers`: what is in `folder` and belongs to their user. Absent: all of it is this user's. */
export async function startCleaner(
  folder: string,
  servers: { readonly folder: string; readonly user: ServerUser } = { folder, user: undefined },
): Promise<Cleaner> {
  const children = [
    spawnShell(ofServers, [servers.folder], servers.user),
    spawnShell(ofFolder, [folder, servers.folder], undefined),
  ];
  await Promise.all(children.map((child) => once(child, 'spawn')));
  return { finish: async () => void (await Promise.all(children.map(finishOne))) };
}

function spawnShell(script: string, args: readonly string[], user: ServerUser): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script, 'citus-databases-cleaner', ...args], {
    ...user,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // Node's pipes are sockets, which can be unreferenced: a program that forgets stop() still ends.
  child.unref();
  const input = child.stdin;
  if (input !== null && 'unref' in input && typeof input.unref === 'function') input.unref();
  return child;
}

async function finishOne(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const ended = once(child, 'exit');
  child.stdin?.end();
  await ended;
}
