import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DemoOptions } from '../commands/demo.ts';
import type { Runner } from './runner.ts';

const DEFAULT_PORT = 5600;

interface DemoFlags extends DemoOptions {
  readonly once?: boolean;
}

export function addDemo(program: Command, runner: Runner): void {
  program
    .command('demo')
    .description('start a cluster on this machine, apply an example to it, verify it, and show how to play with it')
    .addOption(
      new Option('--port <number>', 'of the coordinator; the workers have the next two')
        .argParser(port)
        .default(DEFAULT_PORT),
    )
    .option('--directory <folder>', 'where the spec and the passwords go (default: demo, or demo-PORT)')
    .option('--docker', 'use the image citusdata/citus instead of a local PostgreSQL', false)
    .addOption(new Option('--once', 'end when it is verified').conflicts('stay'))
    .option('--stay', 'stay up until a signal comes, even if nobody is at the terminal')
    .action(async ({ once, ...options }: DemoFlags) => {
      const { demo } = await import('../commands/demo.ts');
      const stay = once === true ? false : options.stay;
      await runner.guarded((signal) => demo(runner.surroundings, runner.redactor, signal, { ...options, stay }));
    });
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > 65_533) {
    throw new InvalidArgumentError('It has to be a port from 1 to 65533.');
  }
  return number;
}
