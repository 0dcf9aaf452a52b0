import type { Command } from 'commander';
import { addHelp } from './help.ts';
import { addLogOptions, type LogOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addPrepare(program: Command, runner: Runner): void {
  const command = program
    .command('prepare')
    .description("make the Secrets of a release, once; run by the chart's own Job")
    .option('--document <file>', 'what the chart asks for', '/etc/citus-databases/prepare.json');
  addLogOptions(command).action((options: LogOptions & { readonly document: string }) =>
    runner.withLog(options, async ({ log, signal }) => {
      const { prepare } = await import('../commands/prepare.ts');
      await prepare({ document: options.document, log, signal, hide: (secret) => runner.redactor.add(secret) });
      return 0;
    }),
  );
  addHelp(command, {
    examples: [['prepare --document prepare.json', 'as the Job of the chart does']],
    exitCodes: [0, 1, 2, 3, 130],
  });
}
