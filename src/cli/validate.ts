import type { Command } from 'commander';
import { unlessInterrupted } from '../concurrency/interrupt.ts';
import { readSpec } from '../spec/read.ts';
import { addHelp } from './help.ts';
import { addOutputOption, addSpecOption, type CommonOptions } from './options.ts';
import type { Runner } from './runner.ts';

export function addValidate(program: Command, runner: Runner): void {
  const command = program
    .command('validate')
    .description('check a spec without a server: every problem, with its place');
  addOutputOption(addSpecOption(command)).action((options: Pick<CommonOptions, 'spec' | 'output'>) =>
    runner.report(options.output === 'json', async (signal) => {
      const { databases } = await unlessInterrupted(signal, readSpec(options.spec));
      const names = databases.map(({ name }) => name);
      return {
        text: `The spec is valid. It declares ${names.length === 0 ? 'no databases' : names.map((name) => `'${name}'`).join(', ')}.\n`,
        json: { valid: true, databases: names },
      };
    }),
  );
  addHelp(command, {
    examples: [
      ['validate -f spec.yaml', 'for example in a pull request, where there is no cluster'],
      ['validate -f - < spec.yaml', 'from standard input'],
    ],
    exitCodes: [0, 2],
  });
}
