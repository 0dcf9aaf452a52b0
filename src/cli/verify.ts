import { type Command, InvalidArgumentError, Option } from 'commander';
import type { VerifyOptions } from '../commands/verify.ts';
import { addHelp } from './help.ts';
import {
  addCommonOptions,
  addDatabaseOption,
  addDatabasesAtOnce,
  addOutputOption,
  addTimeoutOption,
  type CommonOptions,
  REPORT_TIMEOUT_SECONDS,
} from './options.ts';
import type { Runner } from './runner.ts';

export function addVerify(program: Command, runner: Runner): void {
  const command = program.command('verify').description('prove the databases from every node');
  addDatabaseOption(addCommonOptions(command));
  addTimeoutOption(command, REPORT_TIMEOUT_SECONDS);
  command.addOption(
    new Option('--users <which>', 'log in as each user on each node, or as each on one')
      .choices(['all', 'sample'])
      .default('all'),
  );
  command.addOption(
    new Option('--push-to <url>', 'a Prometheus Pushgateway: the metrics go there too').argParser(webAddress),
  );
  addDatabasesAtOnce(addOutputOption(command, ['prometheus'])).action((options: CommonOptions & VerifyOptions) =>
    runner.withSpec('verify', { ...options, mostPatience: REPORT_TIMEOUT_SECONDS }, async (context) => {
      const { verify } = await import('../commands/verify.ts');
      await verify(context, options);
      return 0;
    }),
  );
  addHelp(command, {
    examples: [
      ['verify -f spec.yaml', 'every database, from every node'],
      ['verify -f spec.yaml --database skymap --output json', 'one database, for another program'],
      ['verify -f spec.yaml --output prometheus', 'metrics of each database and node, for a textfile collector'],
    ],
    exitCodes: [0, 1, 2, 3, 130],
  });
}

/** Command lines are no place for a password: everybody on the machine reads them. */
function webAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new InvalidArgumentError('It must be an address with http:// or https://.');
  }
  if (url.username !== '' || url.password !== '') throw new InvalidArgumentError('It must have no user and password.');
  return text;
}
