import type { Command } from 'commander';
import { addHelp } from './help.ts';
import { addCommonOptions, addTimeoutOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

interface DropFlags extends CommonOptions {
  readonly confirm?: string;
  readonly unmanaged: boolean;
}

export function addDrop(program: Command, runner: Runner): void {
  const command = program.command('drop').description('remove one database from every node');
  addTimeoutOption(addCommonOptions(command.argument('<database>', 'its name')))
    .option('--confirm <name>', 'repeats the name: all data of the database is lost')
    .option('--unmanaged', 'also a database that this program did not create', false)
    .action((database: string, options: DropFlags) =>
      runner.withSpec('drop', options, async (context) => {
        const { drop } = await import('../commands/drop.ts');
        await drop(context, { database, confirm: options.confirm, unmanaged: options.unmanaged });
        return 0;
      }),
    );
  addHelp(command, {
    examples: [['drop skymap --confirm skymap -f spec.yaml', 'removes the database and its data from every node']],
    exitCodes: [0, 1, 2, 3, 130],
  });
}
