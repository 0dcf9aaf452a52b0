import type { Command } from 'commander';
import type { ConfigureOptions } from '../commands/configure.ts';
import { addHelp } from './help.ts';
import { addAttempts, addCommonOptions, addOutputOption, addTimeoutOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addConfigure(program: Command, runner: Runner): void {
  const command = program
    .command('configure')
    .description('set PostgreSQL parameters on the servers that Patroni runs');
  addTimeoutOption(addOutputOption(addAttempts(addCommonOptions(command))))
    .option('--dry-run', 'only print what would change', false)
    .action((options: CommonOptions & ConfigureOptions) =>
      runner.withSpec('configure', options, async (context) => {
        const { configure } = await import('../commands/configure.ts');
        await configure(context, options);
        return 0;
      }),
    );
  addHelp(command, {
    examples: [
      ['configure -f spec.yaml --dry-run', 'what differs from the declared parameters'],
      ['configure -f spec.yaml', 'sets them, and says what needs a restart'],
    ],
    exitCodes: [0, 1, 2, 3, 130],
  });
}
