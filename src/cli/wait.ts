import type { Command } from 'commander';
import { addHelp } from './help.ts';
import { addCommonOptions, addTimeoutOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addWait(program: Command, runner: Runner): void {
  const command = program.command('wait').description('only wait until every node accepts writes');
  addTimeoutOption(addCommonOptions(command)).action((options: CommonOptions) =>
    runner.withSpec('wait', options, async (context) => {
      const { wait } = await import('../commands/wait.ts');
      await wait(context);
      return 0;
    }),
  );
  addHelp(command, {
    examples: [['wait -f spec.yaml --timeout 5m', 'for example before a migration starts']],
    exitCodes: [0, 1, 2, 130],
  });
}
