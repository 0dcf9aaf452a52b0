import type { Writable } from 'node:stream';
import { paint } from './color.ts';
import type { FailureKind } from './errors.ts';
import type { LiveLines } from './liveLines.ts';
import { visible } from './visible.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What a line is about; JSON lines carry it as fields. */
export interface LogContext {
  readonly database?: string;
  readonly node?: string;
  readonly step?: number;
}

/** An error for programs: the same facts as its message. */
export interface ErrorReport {
  readonly kind: FailureKind | 'stopped' | 'defect';
  readonly exitCode: number;
  readonly what: string;
  readonly node?: string | undefined;
  readonly database?: string | undefined;
  readonly sqlstate?: string | undefined;
  readonly cause?: string | undefined;
  readonly next?: string | undefined;
}

/** One line of the log. `depth` is the indentation in the text format, two blanks each. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly text: string;
  readonly depth: number;
  readonly context: LogContext;
  /** What ends the run, field by field; for JSON. Holds no secret. */
  readonly error?: ErrorReport;
  /** Frames and empty lines: only for the eye, left out of JSON. */
  readonly decoration?: boolean;
}

export interface Log {
  write(entry: LogEntry): void;
  /** Each line carries its time and its subject, so no line has to be held back to keep the order. */
  readonly atOnce?: boolean;
}

/** A log that remembers its last entry. */
export interface RememberingLog extends Log {
  latest(): LogEntry | undefined;
}

export function rememberLatest(log: Log): RememberingLog {
  let latest: LogEntry | undefined;
  return {
    write(entry) {
      if (entry.decoration !== true) latest = entry;
      log.write(entry);
    },
    latest: () => latest,
    ...(log.atOnce === undefined ? {} : { atOnce: log.atOnce }),
  };
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly stream: Writable;
  /** Replaces every secret by stars; the last gate before anything leaves the program. */
  readonly redact: (text: string) => string;
  /** For a terminal. */
  readonly color?: boolean;
  /** What is drawn below the log. */
  readonly live?: LiveLines | undefined;
}

/**
 * Not a destination of pino: a line for the eye is no record with fields (frames, indentation, lines drawn below it), and
 * loading pino would lengthen the start of each run that writes text.
 */
export function textLog(options: LogOptions): Log {
  return {
    write(entry) {
      if (!isShown(entry, options.level)) return;
      const indent = '  '.repeat(entry.depth);
      const [first = '', ...others] = visible(options.redact(entry.text)).split('\n');
      // Only what this program says itself begins a line: the verdict cannot be imitated by what it quotes.
      const lines = [first, ...others.map((line) => (/^\S/.test(line) ? `  ${line}` : line))].map((line) =>
        line === '' ? '' : indent + line,
      );
      const [shown = '', ...rest] = lines;
      const text = `${[options.color === true ? paint(shown) : shown, ...rest].join('\n')}\n`;
      if (options.live === undefined) options.stream.write(text);
      else options.live.above(() => options.stream.write(text));
    },
  };
}

/** JSON lines by pino; it is loaded only when it is asked for. */
export async function jsonLog(options: LogOptions): Promise<Log> {
  const { pino } = await import('pino');
  const logger = pino(
    {
      base: null,
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (name) => ({ level: name }) },
    },
    options.stream,
  );
  return {
    write(entry) {
      if (entry.decoration === true) return;
      const { context, error } = entry;
      logger[entry.level](error === undefined ? context : { ...context, error }, options.redact(entry.text));
    },
    atOnce: true,
  };
}

/** Whether the first level shows more than the second. */
export function isLouder(level: LogLevel, other: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(other);
}

function isShown(entry: LogEntry, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(entry.level) >= LOG_LEVELS.indexOf(level);
}
