import { runCli } from './cli/cli.ts';
import { wantsColor } from './cli/wantsColor.ts';

/** Programs that start this one, npm among them, pass on a Ctrl-C that the terminal has sent to both. */
const SAME_SIGNAL_MS = 500;

// What it stays when the program should come to an end without an end of its own; Node's default says that all is well.
process.exitCode = 1;
void main();

async function main(): Promise<void> {
  process.exitCode = await runCli(process.argv.slice(2), {
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
