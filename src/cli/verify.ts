import type { Command } from 'commander';
import type { ReportOptions } from '../commands/outcome.ts';
import { addCommonOptions, addDatabasesAtOnce, addOutputOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addVerify(program: Command, runner: Runner): void {
  const command = program.command('verify').description('prove the databases from every node');
  addDatabasesAtOnce(addOutputOption(addCommonOptions(command))).action((options: CommonOptions & ReportOptions) =>
    runner.withSpec('verify', options, async (context) => {
      const { verify } = await import('../commands/verify.ts');
      await verify(context, options);
      return 0;
    }),
  );
}
