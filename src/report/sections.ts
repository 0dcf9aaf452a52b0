import { type HeldLog, holdBack } from './heldLog.ts';
import { type Contributor, OrderedOutput } from './orderedOutput.ts';
import type { StepLog } from './stepLog.ts';

export interface Section {
  readonly log: StepLog;
  /** The section is complete. A section that failed is printed at once. */
  end(how: 'done' | 'failed'): void;
}

interface SectionState extends Contributor {
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
  readonly #output: OrderedOutput<SectionState>;

  constructor(log: StepLog, total: number, heartbeatSeconds = 15) {
    this.#log = log;
    this.#total = total;
    this.#output = new OrderedOutput((running, ended) => this.#heartbeat(running, ended), heartbeatSeconds);
  }

  begin(name: string): Section {
    const state: SectionState = {
      name,
      status: 'begun',
      told: false,
      held: holdBack(this.#log, () => {
        state.told = true;
        this.#output.wrote(1);
      }),
      isRunning: () => state.status === 'begun',
      write: () => {
        state.held.release();
        return state.status !== 'begun';
      },
    };
    this.#output.add(state);
    return {
      log: state.held.log,
      end: (how) => {
        state.status = how;
        if (how === 'failed') this.#tellOutOfTurn(state);
        this.#output.advance();
      },
    };
  }

  /** To be called when all have ended, also after a signal: prints what is still held back. */
  close(): void {
    this.#output.close();
    for (const { held } of this.#output.all) held.release();
  }

  #tellOutOfTurn(state: SectionState): void {
    const live = this.#output.current;
    state.held.release();
    if (live === undefined || live === state || !live.told || this.#log.atOnce) return;
    this.#log.blank();
    this.#log.about({ database: live.name }).line(`Database '${live.name}' goes on:`);
  }

  #heartbeat(running: readonly SectionState[], ended: number): void {
    // With one at work, its own lines are enough.
    if (running.length < 2) return;
    const names = running.slice(0, NAMES).map(({ name }) => `'${name}'`);
    const rest = running.length > NAMES ? ` and ${running.length - NAMES} more` : '';
    this.#log.line(`... ${ended} of ${this.#total} databases ended; at work: ${names.join(', ')}${rest}`);
  }
}
