import { type HeldLog, holdBack } from './heldLog.ts';
import type { StepLog } from './stepLog.ts';

export interface Section {
  readonly log: StepLog;
  /** The section is complete. A section that failed is printed at once. */
  end(how: 'done' | 'failed'): void;
}

interface SectionState {
  readonly name: string;
  readonly held: HeldLog;
  status: 'begun' | 'done' | 'failed';
  told: boolean;
}

/** How many names a heartbeat lists. */
const NAMES = 4;

/**
 * Orders the log of databases that are worked on at the same time: section by section as they began, live for the first
 * unfinished one, held back for the others. A section that fails is printed at once. While the live one is silent for
 * long, one line says how far the others are.
 */
export class Sections {
  readonly #log: StepLog;
  readonly #total: number;
  readonly #sections: SectionState[] = [];
  #live = 0;
  #linesSinceHeartbeat = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(log: StepLog, total: number, heartbeatSeconds = 15) {
    this.#log = log;
    this.#total = total;
    this.#timer = setInterval(() => this.#heartbeat(), heartbeatSeconds * 1000);
    this.#timer.unref();
  }

  begin(name: string): Section {
    const state: SectionState = {
      name,
      status: 'begun',
      told: false,
      held: holdBack(this.#log, () => {
        state.told = true;
        this.#linesSinceHeartbeat += 1;
      }),
    };
    this.#sections.push(state);
    this.#advance();
    return {
      log: state.held.log,
      end: (how) => {
        state.status = how;
        if (how === 'failed') this.#tellOutOfTurn(state);
        this.#advance();
      },
    };
  }

  /** To be called when all have ended, also after a signal: prints what is still held back. */
  close(): void {
    clearInterval(this.#timer);
    for (const { held } of this.#sections) held.release();
  }

  #advance(): void {
    for (;;) {
      const state = this.#sections[this.#live];
      if (state === undefined) return;
      state.held.release();
      if (state.status === 'begun') return;
      this.#live += 1;
    }
  }

  #tellOutOfTurn(state: SectionState): void {
    const live = this.#sections[this.#live];
    state.held.release();
    if (live === undefined || live === state || !live.told || this.#log.atOnce) return;
    this.#log.blank();
    this.#log.about({ database: live.name }).line(`Database '${live.name}' goes on:`);
  }

  #heartbeat(): void {
    const silent = this.#linesSinceHeartbeat === 0;
    this.#linesSinceHeartbeat = 0;
    const atWork = this.#sections.filter(({ status }) => status === 'begun').map(({ name }) => `'${name}'`);
    // With one at work, its own lines are enough.
    if (!silent || atWork.length < 2) return;
    const ended = this.#sections.length - atWork.length;
    const rest = atWork.length > NAMES ? ` and ${atWork.length - NAMES} more` : '';
    this.#log.line(
      `... ${ended} of ${this.#total} databases ended; at work: ${atWork.slice(0, NAMES).join(', ')}${rest}`,
    );
  }
}
