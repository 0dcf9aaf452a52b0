import type { LineLog, StepLog } from './stepLog.ts';

export interface HeldLog {
  readonly log: StepLog;
  /** Writes the held lines; later lines are written at once. */
  release(): void;
}

/**
 * A log that holds its lines back until their turn, for work that runs before it may be reported. `onTold` is called for
 * each line that is written.
 */
export function holdBack(target: StepLog, onTold: () => void = () => undefined): HeldLog {
  const held: (() => void)[] = [];
  let released = target.atOnce;
  function pass(tell: () => void): void {
    if (!released) {
      held.push(tell);
      return;
    }
    tell();
    onTold();
  }
  function hold(to: StepLog): StepLog {
    return {
      line: (text, depth) => pass(() => to.line(text, depth)),
      passing: (text, depth) => {
        if (released) pass(() => tellNow(to, text, depth));
      },
      warn: (text, depth) => pass(() => to.warn(text, depth)),
      frame: (text) => pass(() => to.frame(text)),
      step: (number, title) => pass(() => to.step(number, title)),
      error: (text) => pass(() => to.error(text)),
      debug: (text) => to.debug(text),
      blank: () => pass(() => to.blank()),
      about: (context) => hold(to.about(context)),
      atOnce: to.atOnce,
    };
  }
  return {
    log: hold(target),
    release() {
      released = true;
      for (const tell of held.splice(0)) pass(tell);
    },
  };
}

/** A line that is of no use later, such as progress. */
export function tellNow(to: LineLog, text: string, depth?: number): void {
  if (to.passing === undefined) to.line(text, depth);
  else to.passing(text, depth);
}
