import { type Command, Option } from 'commander';
import { addHelp } from './help.ts';
import {
  addCommonOptions,
  addOutputOption,
  addTimeoutOption,
  type CommonOptions,
  duration,
  REPORT_TIMEOUT_SECONDS,
} from './options.ts';
import type { Runner } from './runner.ts';

interface RestorePointFlags extends CommonOptions {
  readonly output: 'text' | 'json';
  readonly lockTimeout: number;
  readonly archiveTimeout: number;
}

export function addRestorePoint(program: Command, runner: Runner): void {
  const command = program
    .command('restore-point')
    .description('create a named point to which every node, and so every database, can be restored')
    .argument('<name>', 'of the point, for recovery_target_name');
  addTimeoutOption(addCommonOptions(command), REPORT_TIMEOUT_SECONDS);
  command
    .addOption(
      new Option(
        '--lock-timeout <duration>',
        'how long to wait for the locks of all databases together: writes that need several nodes wait as long',
      )
        .argParser(duration)
        .default(10, '10s'),
    )
    .addOption(
      new Option('--archive-timeout <duration>', 'how long to wait until its WAL is archived')
        .argParser(duration)
        .default(60, '1m'),
    );
  addOutputOption(command).action((name: string, options: RestorePointFlags) =>
    runner.withSpec('restore-point', { ...options, mostPatience: REPORT_TIMEOUT_SECONDS }, async (context) => {
      const { restorePoint } = await import('../commands/restorePoint.ts');
      await restorePoint(context, { ...options, name });
      return 0;
    }),
  );
  addHelp(command, {
    examples: [
      ['restore-point before_release -f spec.yaml', 'then recovery_target_name = before_release on every node'],
      ['restore-point before_release -f spec.yaml --lock-timeout 3s', 'writes wait for 3 s at most'],
    ],
    exitCodes: [0, 1, 2, 3, 130],
  });
}
