import type { Command } from 'commander';
import type { PlanOptions } from '../commands/plan.ts';
import { addHelp } from './help.ts';
import {
  addAllDatabases,
  addCommonOptions,
  addDatabaseOption,
  addDatabasesAtOnce,
  addOutputOption,
  addTimeoutOption,
  type CommonOptions,
  REPORT_TIMEOUT_SECONDS,
} from './options.ts';
import type { Runner } from './runner.ts';

/** Exit code when there are changes. */
export const CHANGES = 10;

export function addPlan(program: Command, runner: Runner): void {
  const command = program.command('plan').description('print what apply would do; exit 10 when there are changes');
  addDatabaseOption(addCommonOptions(command));
  addTimeoutOption(command, REPORT_TIMEOUT_SECONDS);
  addAllDatabases(addDatabasesAtOnce(addOutputOption(command))).action((options: CommonOptions & PlanOptions) =>
    runner.withSpec('plan', { ...options, mostPatience: REPORT_TIMEOUT_SECONDS }, async (context) => {
      const { plan } = await import('../commands/plan.ts');
      if (!(await plan(context, options))) return 0;
      await runner.leaveMessage(
        'The databases are not as declared: the log says what apply would change',
        options.terminationLog,
      );
      return CHANGES;
    }),
  );
  addHelp(command, {
    examples: [
      ['plan -f spec.yaml', 'what is missing or differs, on which node'],
      ['plan -f spec.yaml --quiet --output json', 'the same for another program'],
    ],
    exitCodes: [0, 10, 1, 2, 3, 130],
  });
}
