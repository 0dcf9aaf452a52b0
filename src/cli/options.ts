import { type Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS, type LogLevel } from '../report/log.ts';

/** Of every command that writes a log. */
export interface LogOptions {
  readonly logFormat: 'text' | 'json';
  readonly logLevel: LogLevel;
  readonly terminationLog: string;
  /** Only some commands have a report. */
  readonly output?: 'text' | 'json';
}

/** Of every command that reads a spec. */
export interface CommonOptions extends LogOptions {
  readonly spec: string;
  /** Of the commands that change something. Default 1. */
  readonly attempts?: number;
}

/** docs/PERFORMANCE.md, "Many databases": more gained little, and took more of each server's connections. */
const DATABASES_AT_ONCE = 4;

export function addCommonOptions(command: Command): Command {
  return addLogOptions(
    command.addOption(
      new Option('-f, --spec <file>', 'the spec; - reads it from standard input')
        .default('/etc/citus-databases/spec.yaml')
        .env('CITUS_DATABASES_SPEC'),
    ),
  );
}

export function addLogOptions(command: Command): Command {
  return command
    .addOption(new Option('--log-format <format>', 'of the log').choices(['text', 'json']).default('text'))
    .addOption(new Option('--log-level <level>', 'of the log').choices(LOG_LEVELS).default('info'))
    .option('--termination-log <file>', 'where the last message goes, if the file exists', '/dev/termination-log');
}

export function addOutputOption(command: Command): Command {
  return command.addOption(new Option('--output <format>', 'of the report').choices(['text', 'json']).default('text'));
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
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number from 1 on.');
  return Number(text);
}
