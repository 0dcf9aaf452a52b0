import { type Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS, type LogLevel } from '../report/log.ts';

/** Of every command that writes a log. */
export interface LogOptions {
  readonly logFormat: 'text' | 'json';
  readonly logLevel: LogLevel;
  readonly quiet?: boolean;
  /** false: as on no terminal. */
  readonly color?: boolean;
  readonly terminationLog: string;
  /** Only some commands have a report. */
  readonly output?: 'text' | 'json' | 'prometheus';
}

/** Of every command that reads a spec. */
export interface CommonOptions extends LogOptions {
  readonly spec: string;
  /** Of the commands that change something. Default 1. */
  readonly attempts?: number;
  /** Of some commands: these of its databases. */
  readonly database?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
  /** Seconds, of a command without --timeout. */
  readonly mostPatience?: number;
}

export const DEFAULT_SPEC = '/etc/citus-databases/spec.yaml';

/** docs/PERFORMANCE.md, "Many databases": more gained little, and took more of each server's connections. */
const DATABASES_AT_ONCE = 4;

/** Reports fail early when a node is down; commands that change something wait as the spec says. */
export const REPORT_TIMEOUT_SECONDS = 15;

export function addCommonOptions(command: Command): Command {
  return addLogOptions(addSpecOption(command));
}

export function addSpecOption(command: Command): Command {
  return command.addOption(
    new Option('-f, --spec <file>', 'the spec; - reads it from standard input')
      .default(DEFAULT_SPEC)
      .env('CITUS_DATABASES_SPEC'),
  );
}

export function addLogOptions(command: Command): Command {
  return command
    .option('-q, --quiet', 'only warnings, errors and reports')
    .option('--no-color', 'no colours on a terminal either; NO_COLOR does the same')
    .addOption(new Option('--log-format <format>', 'of the log').choices(['text', 'json']).default('text'))
    .addOption(new Option('--log-level <level>', 'of the log').choices(LOG_LEVELS).default('info'))
    .option('--termination-log <file>', 'where the last message goes, if the file exists', '/dev/termination-log');
}

export function addOutputOption(command: Command, more: readonly string[] = []): Command {
  const formats = ['text', 'json', ...more];
  return command.addOption(new Option('--output <format>', 'of the report').choices(formats).default('text'));
}

export function addDatabaseOption(command: Command): Command {
  return command.addOption(
    new Option('--database <name>', 'only this database of the spec; may be repeated')
      .argParser((name: string, earlier: readonly string[]) => [...earlier, name])
      .default([], 'all'),
  );
}

/** `most`: the limit in seconds when the option is absent. */
export function addTimeoutOption(command: Command, most?: number): Command {
  const byDefault = most === undefined ? 'as the spec declares' : `as the spec declares, but at most ${most}s`;
  return command.addOption(
    new Option(
      '--timeout <duration>',
      `how long to wait for nodes and for other runs: 30s, 5m (default: ${byDefault})`,
    ).argParser(duration),
  );
}

export function addDatabasesAtOnce(command: Command): Command {
  return command.addOption(
    new Option(
      '--databases-at-once <number>',
      'how many databases to work on at the same time; each takes up to two connections to each node',
    )
      .argParser(positive)
      .default(DATABASES_AT_ONCE),
  );
}

export function addAllDatabases(command: Command): Command {
  return command.option('--all-databases', 'update Citus also in databases that the spec does not declare');
}

export function addAttempts(command: Command): Command {
  return command.addOption(
    new Option(
      '--attempts <number>',
      'how often to begin again after a failure that may pass by itself, first after 10 s, then after twice as long each time',
    )
      .argParser(positive)
      .default(1),
  );
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** In seconds. */
export function duration(text: string): number {
  const [, number = '', unit = 's'] = /^([1-9]\d{0,5})([smh]?)$/.exec(text) ?? [];
  if (number === '') throw new InvalidArgumentError('It must be a number of seconds, or one with s, m or h: 30s, 5m.');
  return Number(number) * (UNITS[unit] ?? 1);
}

export function port(text: string, most = 65_535): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > most) {
    throw new InvalidArgumentError(`It must be a port from 1 to ${most}.`);
  }
  return number;
}
