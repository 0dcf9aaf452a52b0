import type { Command } from 'commander';
import type { ApplyOptions } from '../commands/apply.ts';
import { addAttempts, addCommonOptions, addDatabasesAtOnce, addOutputOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addApply(program: Command, runner: Runner): void {
  const command = program.command('apply').description('wait for the nodes, then make the declared databases so');
  addDatabasesAtOnce(addOutputOption(addAttempts(addCommonOptions(command)))).action(
    (options: CommonOptions & ApplyOptions) =>
      runner.withSpec('apply', options, async (context) => {
        const { apply } = await import('../commands/apply.ts');
        await apply(context, options);
        return 0;
      }),
  );
}
