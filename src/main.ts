import { runCli } from './cli/cli.ts';

// What it stays when the program should come to an end without an end of its own; Node's default says that all is well.
process.exitCode = 1;
void main();

async function main(): Promise<void> {
  process.exitCode = await runCli(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stdout.isTTY === true && process.stdin.isTTY === true,
    onSignal: (handler) => {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => handler(name));
    },
  });
}
