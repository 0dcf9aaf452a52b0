import type { Command } from 'commander';
import type { Runner } from './runner.ts';

interface DemoFlags {
  readonly once?: boolean;
  readonly docker: boolean;
}

export function addDemo(program: Command, runner: Runner): void {
  program
    .command('demo')
    .description('start a local cluster on ports 5600 to 5602, apply an example to it, verify it')
    .option('--once', 'end when it is verified, instead of waiting for Ctrl-C')
    .option('--docker', 'use the image citusdata/citus instead of a local PostgreSQL', false)
    .action(async (options: DemoFlags) => {
      const { demo } = await import('../commands/demo.ts');
      await runner.guarded((signal) => demo(runner.surroundings, runner.redactor, signal, options));
    });
}
