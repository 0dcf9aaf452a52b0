import type { Command } from 'commander';
import { addCommonOptions, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

interface DropFlags extends CommonOptions {
  readonly confirm?: string;
  readonly unmanaged: boolean;
}

export function addDrop(program: Command, runner: Runner): void {
  const command = program.command('drop').description('remove one database from every node');
  addCommonOptions(command.argument('<database>', 'its name'))
    .option('--confirm <name>', 'the same name once more: all data of the database is lost')
    .option('--unmanaged', 'also when this program did not make the database', false)
    .action((database: string, options: DropFlags) =>
      runner.withSpec('drop', options, async (context) => {
        const { drop } = await import('../commands/drop.ts');
        await drop(context, { database, confirm: options.confirm, unmanaged: options.unmanaged });
        return 0;
      }),
    );
}
