import { Command, CommanderError } from 'commander';
import { addApply } from './apply.ts';
import { addCompletion } from './completion.ts';
import { addConfigure } from './configure.ts';
import { addDemo } from './demo.ts';
import { addDrain } from './drain.ts';
import { addDrop } from './drop.ts';
import { addGuard } from './guard.ts';
import { addInit } from './init.ts';
import { addPlan } from './plan.ts';
import { addPrepare } from './prepare.ts';
import { addRebalance } from './rebalance.ts';
import { addRestorePoint } from './restorePoint.ts';
import { Runner } from './runner.ts';
import type { Surroundings } from './surroundings.ts';
import { addValidate } from './validate.ts';
import { addVerify } from './verify.ts';
import { VERSION } from './version.ts';
import { addWait } from './wait.ts';

/** In the order in which --help lists them. */
const COMMANDS = [
  addDemo,
  addInit,
  addValidate,
  addPlan,
  addApply,
  addVerify,
  addWait,
  addRestorePoint,
  addRebalance,
  addDrain,
  addDrop,
  addConfigure,
  addPrepare,
  addGuard,
  addCompletion,
];

/** Runs one command line and returns its exit code; never ends the process itself. */
export async function runCli(arguments_: readonly string[], surroundings: Surroundings): Promise<number> {
  const runner = new Runner(surroundings);
  const program = new Command('citus-databases')
    .description('Creates and maintains the databases that a spec declares, on every node of a Citus cluster')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => surroundings.stderr.write(text),
    });
  for (const add of COMMANDS) add(program, runner);
  try {
    await program.parseAsync(arguments_, { from: 'user' });
    return await runner.finish();
  } catch (error) {
    // Wrong usage; help and version end this way too, with exit code 0.
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? await runner.finish() : 2;
  }
}
