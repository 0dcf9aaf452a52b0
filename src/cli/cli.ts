import { setMaxListeners } from 'node:events';
import type { Writable } from 'node:stream';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { ApplyOptions } from '../commands/apply.ts';
import type { ConfigureOptions } from '../commands/configure.ts';
import type { ReportOptions } from '../commands/outcome.ts';
import type { Context } from '../context.ts';
import { asFailure } from '../postgres/asFailure.ts';
import { exitCode, Failure, Interrupted } from '../report/errors.ts';
import {
  jsonLog,
  LOG_LEVELS,
  type LogEntry,
  type LogLevel,
  type RememberingLog,
  rememberLatest,
  textLog,
} from '../report/log.ts';
import { createRedactor, type Redactor } from '../report/redact.ts';
import { createStepLog } from '../report/stepLog.ts';
import { loadAccess } from '../secrets/credentials.ts';
import { exposedFiles } from '../secrets/exposedFiles.ts';
import { readSpec } from '../spec/read.ts';
import { writeTerminationMessage } from './terminationLog.ts';
import { VERSION } from './version.ts';

export interface Surroundings {
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Somebody is at the terminal. */
  readonly interactive: boolean;
  readonly onSignal: (handler: (signal: 'SIGINT' | 'SIGTERM') => void) => void;
}

interface CommonOptions {
  readonly spec: string;
  readonly logFormat: 'text' | 'json';
  readonly logLevel: LogLevel;
  readonly terminationLog: string;
}

/** Exit code of `plan` when there are changes. */
const CHANGES = 10;

/** docs/PERFORMANCE.md, "Many databases": more gained little, and took more of each server's connections. */
const DATABASES_AT_ONCE = 4;

/** Runs one command line and returns its exit code; never ends the process itself. */
export async function runCli(arguments_: readonly string[], surroundings: Surroundings): Promise<number> {
  let code = 0;
  const redactor = createRedactor();
  const program = new Command('citus-databases')
    .description('Declares databases on a Citus cluster, and makes them so on every node')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => surroundings.stderr.write(text),
    });

  async function run(
    options: CommonOptions,
    command: string,
    body: (context: Context) => Promise<number>,
  ): Promise<void> {
    code = await withContext(options, command, surroundings, redactor, body);
  }

  several(
    common(program.command('apply').description('wait for the nodes, then make the declared databases so')),
  ).action((options: CommonOptions & ApplyOptions) =>
    run(options, 'apply', async (context) => {
      const { apply } = await import('../commands/apply.ts');
      await apply(context, options);
      return 0;
    }),
  );
  several(
    report(program.command('plan').description('print what apply would do; exit 10 when there are changes')),
  ).action((options: CommonOptions & ReportOptions) =>
    run(options, 'plan', async (context) => {
      const { plan } = await import('../commands/plan.ts');
      return (await plan(context, options)) ? CHANGES : 0;
    }),
  );
  several(report(program.command('verify').description('prove the databases from every node'))).action(
    (options: CommonOptions & ReportOptions) =>
      run(options, 'verify', async (context) => {
        const { verify } = await import('../commands/verify.ts');
        await verify(context, options);
        return 0;
      }),
  );
  common(program.command('wait').description('only wait until every node accepts writes')).action(
    (options: CommonOptions) =>
      run(options, 'wait', async (context) => {
        const { wait } = await import('../commands/wait.ts');
        await wait(context);
        return 0;
      }),
  );
  common(program.command('drop').description('remove one database from every node').argument('<database>', 'its name'))
    .option('--confirm <name>', 'the same name once more: all data of the database is lost')
    .option('--unmanaged', 'also when this program did not make the database', false)
    .action((database: string, options: CommonOptions & { confirm?: string; unmanaged: boolean }) =>
      run(options, 'drop', async (context) => {
        const { drop } = await import('../commands/drop.ts');
        await drop(context, { database, confirm: options.confirm, unmanaged: options.unmanaged });
        return 0;
      }),
    );
  report(program.command('configure').description('make the servers under Patroni have the declared parameters'))
    .option('--dry-run', 'only print what would change', false)
    .action((options: CommonOptions & ConfigureOptions) =>
      run(options, 'configure', async (context) => {
        const { configure } = await import('../commands/configure.ts');
        await configure(context, options);
        return 0;
      }),
    );
  program
    .command('demo')
    .description('start a local cluster on ports 5600 to 5602, apply an example to it, verify it')
    .option('--once', 'end when it is verified, instead of waiting for Ctrl-C')
    .option('--docker', 'use the image citusdata/citus instead of a local PostgreSQL', false)
    .action(async (options: { once?: boolean; docker: boolean }) => {
      const { demo } = await import('../commands/demo.ts');
      code = await guarded(surroundings, redactor, (signal) => demo(surroundings, redactor, signal, options));
    });

  try {
    await program.parseAsync(arguments_, { from: 'user' });
    return code;
  } catch (error) {
    // Wrong usage; help and version end this way too, with exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number from 1 on.');
  return Number(text);
}

function common(command: Command): Command {
  return command
    .option('--spec <file>', 'the spec', '/etc/citus-databases/spec.yaml')
    .addOption(new Option('--log-format <format>', 'of the log').choices(['text', 'json']).default('text'))
    .addOption(new Option('--log-level <level>', 'of the log').choices(LOG_LEVELS).default('info'))
    .option('--termination-log <file>', 'where the last message goes, if the file exists', '/dev/termination-log');
}

function report(command: Command): Command {
  return common(command).addOption(
    new Option('--output <format>', 'of the report').choices(['text', 'json']).default('text'),
  );
}

function several(command: Command): Command {
  const says = 'how many are worked on at the same time; up to two connections to each node for one';
  return command.addOption(
    new Option('--databases-at-once <number>', says).argParser(positive).default(DATABASES_AT_ONCE),
  );
}

async function withContext(
  options: CommonOptions & { readonly output?: 'text' | 'json' },
  command: string,
  surroundings: Surroundings,
  redactor: Redactor,
  body: (context: Context) => Promise<number>,
): Promise<number> {
  const { stdout, stderr } = surroundings;
  // A report in JSON has standard output to itself.
  const stream = options.output === 'json' ? stderr : stdout;
  const logOptions = { level: options.logLevel, stream, redact: redactor.redact };
  const log = rememberLatest(options.logFormat === 'json' ? await jsonLog(logOptions) : textLog(logOptions));
  return await guarded(
    surroundings,
    redactor,
    async (signal) => {
      const spec = await readSpec(options.spec);
      const access = await loadAccess(spec, redactor);
      const stepLog = createStepLog(log);
      const exposed = (await exposedFiles(spec)).join(', ');
      if (exposed !== '') stepLog.warn(`Files with secrets may be read by more than their owner: ${exposed}`);
      return await body({
        command,
        spec,
        access,
        log: stepLog,
        logLevel: options.logLevel,
        signal,
        print: (text) => stdout.write(redactor.redact(text)),
      });
    },
    { log, terminationLog: options.terminationLog },
  );
}

/** Turns whatever is thrown into one message and an exit code, and a signal into an abort. */
async function guarded(
  surroundings: Surroundings,
  redactor: Redactor,
  body: (signal: AbortSignal) => Promise<number>,
  destination?: { readonly log: RememberingLog; readonly terminationLog: string },
): Promise<number> {
  const controller = new AbortController();
  // Every statement under way listens; Node would take more than ten for a leak and say so on standard error.
  setMaxListeners(0, controller.signal);
  surroundings.onSignal((signal) => controller.abort(new Interrupted(signal)));
  try {
    return await body(controller.signal);
  } catch (thrown) {
    const error = asFailure(thrown);
    const message = redactor.redact(messageOf(error, destination?.log.latest()));
    if (destination === undefined) surroundings.stderr.write(`${message}\n`);
    else {
      destination.log.write({ level: 'error', text: message, depth: 0, context: {} });
      await writeTerminationMessage(destination.terminationLog, message);
    }
    return exitCode(error);
  }
}

/** How far a run had got: the last line it told of, which a termination message has to carry by itself. */
function placeOf(latest: LogEntry | undefined): string {
  if (latest === undefined) return '';
  const { database, step } = latest.context;
  const where = [
    ...(database === undefined ? [] : [`database '${database}'`]),
    ...(step === undefined ? [] : [`step ${step}`]),
  ];
  return `${where.length === 0 ? '' : ` in ${where.join(', ')}`}, the last line being: ${latest.text.trim()}`;
}

function messageOf(error: unknown, latest: LogEntry | undefined): string {
  if (error instanceof Failure) return `ERROR: ${error.message}`;
  if (error instanceof Interrupted) {
    return `${error.message}${placeOf(latest)}. It is not ready; what is done stays done: run again to go on`;
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `ERROR: citus-databases has a defect, please report it:\n${trace}`;
}
