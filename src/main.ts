import { runCli } from './cli.ts';

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  interactive: process.stdin.isTTY === true && process.stdout.isTTY === true,
  onSignal: (handler) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => handler(name));
  },
});
