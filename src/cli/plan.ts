import type { Command } from 'commander';
import type { ReportOptions } from '../commands/outcome.ts';
import { addCommonOptions, addDatabasesAtOnce, addOutputOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

/** Exit code when there are changes. */
const CHANGES = 10;

export function addPlan(program: Command, runner: Runner): void {
  const command = program.command('plan').description('print what apply would do; exit 10 when there are changes');
  addDatabasesAtOnce(addOutputOption(addCommonOptions(command))).action((options: CommonOptions & ReportOptions) =>
    runner.withSpec('plan', options, async (context) => {
      const { plan } = await import('../commands/plan.ts');
      return (await plan(context, options)) ? CHANGES : 0;
    }),
  );
}
