import { runCli } from './cli/cli.ts';
import { wantsColor } from './cli/wantsColor.ts';

/** What a session's goodbye may take. */
const LINGER_MS = 1_000;

/** Programs that start this one, npm among them, pass on a Ctrl-C that the terminal has sent to both. */
const SAME_SIGNAL_MS = 500;

// What it stays when the program should come to an end without an end of its own; Node's default says that all is well.
process.exitCode = 1;
void main();

async function main(): Promise<void> {
  const exitCode = await runCli(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stdout.isTTY === true && process.stdin.isTTY === true,
    terminal: process.stdout.isTTY === true && process.env['TERM'] !== 'dumb',
    color: wantsColor(process.stdout.isTTY === true, process.env),
    // npm sets it for its scripts, and for npx.
    invokedAs: process.env['npm_command'] === undefined ? 'citus-databases' : 'npx citus-databases',
    onSignal: (handler) => {
      for (const name of ['SIGINT', 'SIGTERM'] as const) onSignal(name, handler);
    },
  });
  process.exitCode = exitCode;
  setTimeout(endAnyway, LINGER_MS, exitCode).unref();
}

/** What the types of Node 20 lack. */
interface NewerProcess {
  readonly execPath: string;
  readonly execve?: (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;
}

/**
 * Ends the process where something still holds it that nobody waits for: the system's name resolution cannot be broken off, and waits
 * for a silent name server for ten seconds and more. process.exit() waits for its thread as well (libuv joins its threads).
 * Another program in this one's place does not: the same Node, which ends at once. Node before 22.15 cannot do that, and ends by
 * the signal that stopped it. All output is written by then.
 */
function endAnyway(exitCode: number): void {
  const { execPath, execve }: NewerProcess = process;
  execve?.(execPath, [execPath, '-e', `process.exit(${exitCode})`], { ...process.env, NODE_OPTIONS: '' });
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    if (exitCode !== code) continue;
    process.removeAllListeners(name);
    process.kill(process.pid, name);
  }
}

/** The first signal asks the program to stop; a later one of the same name ends it at once, as it does by default. */
function onSignal(name: 'SIGINT' | 'SIGTERM', handler: (name: 'SIGINT' | 'SIGTERM') => void): void {
  let first: number | undefined;
  process.on(name, () => {
    if (first === undefined) {
      first = performance.now();
      handler(name);
    } else if (performance.now() - first > SAME_SIGNAL_MS) {
      process.removeAllListeners(name);
      process.kill(process.pid, name);
    }
  });
}
