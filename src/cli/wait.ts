import type { Command } from 'commander';
import { addCommonOptions, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addWait(program: Command, runner: Runner): void {
  const command = program.command('wait').description('only wait until every node accepts writes');
  addCommonOptions(command).action((options: CommonOptions) =>
    runner.withSpec('wait', options, async (context) => {
      const { wait } = await import('../commands/wait.ts');
      await wait(context);
      return 0;
    }),
  );
}
