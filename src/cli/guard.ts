import type { Command } from 'commander';
import { addHelp } from './help.ts';
import { addCommonOptions, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addGuard(program: Command, runner: Runner): void {
  const command = program
    .command('guard')
    .description("check that an image of the servers fits the data that is there; run by the chart's own Job")
    .requiredOption(
      '--image <directory>',
      "the image's citus.control, and postgres-version with what `postgres --version` prints",
    );
  addCommonOptions(command).action((options: CommonOptions & { readonly image: string }) =>
    runner.withSpec('guard', options, async (context) => {
      const { guard } = await import('../commands/guard.ts');
      await guard(context, options.image);
      return 0;
    }),
  );
  addHelp(command, {
    examples: [['guard --image /image', 'as the Job of the chart does']],
    exitCodes: [0, 2, 3, 130],
  });
}
