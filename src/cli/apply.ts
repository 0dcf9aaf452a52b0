import type { Command } from 'commander';
import type { ApplyOptions } from '../commands/apply.ts';
import { addHelp } from './help.ts';
import {
  addAllDatabases,
  addAttempts,
  addCommonOptions,
  addDatabaseOption,
  addDatabasesAtOnce,
  addOutputOption,
  addTimeoutOption,
  type CommonOptions,
} from './options.ts';
import { CHANGES } from './plan.ts';
import type { Runner } from './runner.ts';

interface ApplyFlags extends Omit<CommonOptions, 'output'>, ApplyOptions {
  readonly dryRun: boolean;
}

export function addApply(program: Command, runner: Runner): void {
  const command = program
    .command('apply')
    .description('wait for the nodes, create what the spec declares and is missing, change what differs, verify it');
  addDatabaseOption(addCommonOptions(command));
  addTimeoutOption(command).option('--dry-run', 'only print what would change, as plan does', false);
  addAllDatabases(addDatabasesAtOnce(addOutputOption(addAttempts(command)))).action((options: ApplyFlags) =>
    runner.withSpec(options.dryRun ? 'plan' : 'apply', options, async (context) => {
      if (options.dryRun) {
        const { plan } = await import('../commands/plan.ts');
        return (await plan(context, { ...options, output: options.output ?? 'text' })) ? CHANGES : 0;
      }
      const { apply } = await import('../commands/apply.ts');
      await apply(context, options);
      return 0;
    }),
  );
  addHelp(command, {
    examples: [
      ['apply -f spec.yaml', 'everything that the spec declares'],
      ['apply -f spec.yaml --database skymap --timeout 2m', 'one database, giving up on a node after two minutes'],
      ['apply -f spec.yaml --dry-run', 'changes nothing; exits with 10 when there are changes'],
    ],
    exitCodes: [0, 1, 2, 3, 130],
  });
}
