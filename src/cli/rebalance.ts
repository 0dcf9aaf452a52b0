import { type Command, Option } from 'commander';
import type { TransferMode } from '../spec/types.ts';
import { addHelp } from './help.ts';
import { addCommonOptions, addTimeoutOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

interface RebalanceFlags extends CommonOptions {
  readonly strategy?: string;
  readonly transferMode?: TransferMode;
  readonly parallelReferenceTables?: boolean;
  readonly parallelColocatedShards?: boolean;
}

export function addTransferMode(command: Command): Command {
  return command.addOption(
    new Option(
      '--transfer-mode <mode>',
      'how shards move; with block_writes, writes to a shard wait meanwhile',
    ).choices(['auto', 'force_logical', 'block_writes']),
  );
}

export function addRebalance(program: Command, runner: Runner): void {
  const command = program.command('rebalance').description('spread the shards of databases over their nodes');
  addTransferMode(addTimeoutOption(addCommonOptions(command.argument('<database...>', 'their names'))))
    .option('--strategy <name>', 'a strategy of pg_dist_rebalance_strategy')
    .option('--parallel-reference-tables', 'copy reference tables to several nodes at a time (Citus 13.2)')
    .option('--parallel-colocated-shards', 'move shards of colocated tables at the same time (Citus 13.2)')
    .action((names: readonly string[], flags: RebalanceFlags) =>
      runner.withSpec('rebalance', flags, async (context) => {
        const { rebalanceDatabases } = await import('../commands/rebalance.ts');
        const { strategy, transferMode, parallelReferenceTables, parallelColocatedShards } = flags;
        const given = { strategy, transferMode, parallelReferenceTables, parallelColocatedShards };
        const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
        await rebalanceDatabases(context, { names, options });
        return 0;
      }),
    );
  addHelp(command, {
    examples: [['rebalance skymap -f spec.yaml', 'moves shards to nodes that have fewer, and shows how far it is']],
    exitCodes: [0, 1, 2, 3, 130],
  });
}
