import type { Command } from 'commander';
import type { ConfigureOptions } from '../commands/configure.ts';
import { addAttempts, addCommonOptions, addOutputOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addConfigure(program: Command, runner: Runner): void {
  const command = program
    .command('configure')
    .description('make the servers under Patroni have the declared parameters');
  addOutputOption(addAttempts(addCommonOptions(command)))
    .option('--dry-run', 'only print what would change', false)
    .action((options: CommonOptions & ConfigureOptions) =>
      runner.withSpec('configure', options, async (context) => {
        const { configure } = await import('../commands/configure.ts');
        await configure(context, options);
        return 0;
      }),
    );
}
