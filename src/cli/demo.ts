import { type Command, Option } from 'commander';
import type { DemoOptions } from '../commands/demo.ts';
import { addHelp } from './help.ts';
import { port } from './options.ts';
import type { Runner } from './runner.ts';

const DEFAULT_PORT = 5600;

interface DemoFlags extends DemoOptions {
  readonly once?: boolean;
  readonly color: boolean;
}

export function addDemo(program: Command, runner: Runner): void {
  const command = program
    .command('demo')
    .description('start a cluster on this machine, apply an example to it, verify it, and show how to play with it')
    .addOption(
      new Option('--port <number>', 'of the coordinator; the workers have the next two')
        .argParser((text) => port(text, 65_533))
        .default(DEFAULT_PORT),
    )
    .option('--directory <folder>', 'where the spec and the passwords go (default: demo, or demo-PORT)')
    .option('--docker', 'use the image citusdata/citus instead of a local PostgreSQL', false)
    .addOption(new Option('--once', 'end when it is verified').conflicts('stay'))
    .option('--stay', 'stay up until a signal comes, even if nobody is at the terminal')
    .option('--no-color', 'no colours on a terminal either; NO_COLOR does the same')
    .action(async ({ once, color, ...options }: DemoFlags) => {
      const { demo } = await import('../commands/demo.ts');
      const stay = once === true ? false : options.stay;
      const surroundings = { ...runner.surroundings, color: color && runner.surroundings.color === true };
      await runner.guarded((signal) => demo(surroundings, runner.redactor, signal, { ...options, stay }));
    });
  addHelp(command, {
    examples: [
      ['demo', 'on ports 5600 to 5602, until Ctrl-C'],
      ['demo --port 5700', 'another one beside it'],
      ['demo --docker --once', 'on real Citus in containers; ends when it is verified'],
    ],
    exitCodes: [0, 1, 2, 130],
  });
}
