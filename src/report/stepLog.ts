import type { Log, LogContext, LogLevel } from './log.ts';

const RULE = '='.repeat(40);

/** A place to write lines about one thing: the whole run, one step, or one node within a step. */
export interface LineLog {
  line(text: string, depth?: number): void;
  warn(text: string, depth?: number): void;
  /** Progress that is of no use later: dropped where lines are held back, absent where none ever are. */
  passing?(text: string, depth?: number): void;
  /** Called before the first change: writes the lines that were held back in case there was nothing to do. */
  changing?(): void;
}

/** The log of one run: frames, numbered steps, indented lines. */
export interface StepLog extends LineLog {
  frame(text: string): void;
  step(number: number, title: string): void;
  error(text: string): void;
  /** Written at once, even where other lines are held back: debug lines are about the moment. */
  debug(text: string): void;
  blank(): void;
  /** See Log: nothing is to be held back. */
  readonly atOnce: boolean;
  /** The same log with something added to each line's context. */
  about(context: LogContext): StepLog;
}

export function createStepLog(log: Log, context: LogContext = {}): StepLog {
  function write(level: LogLevel, text: string, depth: number, more: LogContext = {}): void {
    log.write({ level, text, depth, context: { ...context, ...more } });
  }
  function decorate(text: string): void {
    log.write({ level: 'info', text, depth: 0, context: {}, decoration: true });
  }
  return {
    frame(text) {
      decorate(RULE);
      write('info', text, 0);
      decorate(RULE);
    },
    step(number, title) {
      decorate('');
      write('info', `Step ${number}: ${title}`, 0, { step: number });
    },
    line: (text, depth = 0) => write('info', text, depth),
    warn: (text, depth = 0) => write('warn', `WARNING: ${text}`, depth),
    blank: () => decorate(''),
    error: (text) => write('error', text, 0),
    debug: (text) => write('debug', text, 0),
    atOnce: log.atOnce === true,
    about: (more) => createStepLog(log, { ...context, ...more }),
  };
}
