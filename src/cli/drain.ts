import { type Command, InvalidArgumentError } from 'commander';
import type { TransferMode } from '../spec/types.ts';
import { addHelp } from './help.ts';
import { addCommonOptions, addTimeoutOption, type CommonOptions } from './options.ts';
import { addTransferMode } from './rebalance.ts';
import type { Runner } from './runner.ts';

interface DrainFlags extends CommonOptions {
  readonly transferMode?: TransferMode;
}

export function addDrain(program: Command, runner: Runner): void {
  const command = program
    .command('drain')
    .description('move all shards away from a worker group and unregister it, in every database');
  addTransferMode(addTimeoutOption(addCommonOptions(command.argument('<group>', 'its number', groupNumber)))).action(
    (group: number, flags: DrainFlags) =>
      runner.withSpec('drain', flags, async (context) => {
        const { drain } = await import('../commands/drain.ts');
        await drain(context, { group, transferMode: flags.transferMode });
        return 0;
      }),
  );
  addHelp(command, {
    examples: [['drain 2 -f spec.yaml', 'afterwards group 2 may leave the declared workers']],
    exitCodes: [0, 1, 2, 3, 130],
  });
}

function groupNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be the number of a worker group.');
  return Number(text);
}
