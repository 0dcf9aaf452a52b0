import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Ends servers and removes their folder when told to, or when this process dies in whatever way. */
export interface Cleaner {
  readonly finish: () => Promise<void>;
}

/**
 * Reads until its standard input closes, which the kernel does for a process that dies, kill -9 included; exit
 * handlers would miss that and be lost in test workers. Servers that still run are told to stop at once.
 */
const script = `
  cat >/dev/null
  for file in "$1"/*/postmaster.pid; do
    if [ -f "$file" ]; then kill -QUIT "$(head -n 1 "$file")" 2>/dev/null; fi
  done
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    rm -rf "$1" 2>/dev/null && exit 0
    sleep 0.2
  done
`;

export async function startCleaner(folder: string): Promise<Cleaner> {
  const child = spawn('/bin/sh', ['-c', script, 'citus-databases-cleaner', folder], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  await once(child, 'spawn');
  // Node's pipes are sockets, which can be unreferenced: a program that forgets stop() still ends.
  child.unref();
  const input = child.stdin;
  if ('unref' in input && typeof input.unref === 'function') input.unref();
  const finish = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const ended = once(child, 'exit');
    input.end();
    await ended;
  };
  return { finish };
}
