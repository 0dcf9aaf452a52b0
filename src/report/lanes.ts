import { tellNow } from './heldLog.ts';
import { type Contributor, OrderedOutput } from './orderedOutput.ts';
import type { LineLog } from './stepLog.ts';

interface Line {
  readonly text: string;
  readonly depth: number;
  readonly level: 'info' | 'warn';
}

interface LaneState extends Contributor {
  readonly label: string;
  readonly held: Line[];
  status: 'running' | 'done' | 'failed';
  /** It has begun to change something, or warned: its lines are worth printing. */
  eventful: boolean;
  latest: string;
  /** Nothing was changed here: one line can replace its lines. */
  quiet: string | undefined;
}

export interface Lane extends LineLog {
  changing(): void;
  /** `quiet`: a short text that replaces the lane's lines when nothing was changed. */
  finish(quiet?: string): void;
  /** A lane that fails is printed at once, in full, whatever the order. */
  fail(): void;
}

/**
 * Orders the lines of nodes that work at the same time: node by node, live for the first unfinished one, held back for
 * the others. A node that fails is printed at once. While the first one is silent for long, one line says what the others
 * do.
 */
export class Lanes {
  readonly #output: OrderedOutput<LaneState>;
  readonly #out: (label: string) => LineLog;
  #pendingQuiet: { labels: string[]; text: string } | undefined;

  constructor(labels: readonly string[], out: (label: string) => LineLog, heartbeatSeconds = 15) {
    this.#out = out;
    this.#output = new OrderedOutput((running, ended) => this.#heartbeat(running, ended), heartbeatSeconds);
    for (const label of labels) {
      const state: LaneState = {
        label,
        held: [],
        status: 'running',
        eventful: false,
        latest: '',
        quiet: undefined,
        isRunning: () => state.status === 'running',
        write: () => this.#write(state),
      };
      this.#output.add(state);
    }
  }

  lane(index: number): Lane {
    const state = this.#output.all[index];
    if (state === undefined) throw new Error(`there is no lane ${index}`);
    const add =
      (level: Line['level']) =>
      (text: string, depth = 0) => {
        state.held.push({ text, depth, level });
        state.latest = text;
        if (level === 'warn') state.eventful = true;
        this.#advance();
      };
    return {
      line: add('info'),
      warn: add('warn'),
      changing: () => {
        state.eventful = true;
        this.#advance();
      },
      finish: (quiet) => {
        state.status = 'done';
        state.quiet = quiet;
        if (quiet !== undefined && !state.eventful) state.held.length = 0;
        this.#advance();
      },
      fail: () => {
        state.status = 'failed';
        this.#flushQuiet();
        this.#print(state);
        this.#advance();
      },
    };
  }

  /** To be called when all lanes have ended, also after a failure. */
  close(): void {
    this.#output.close();
    this.#flushQuiet();
    for (const state of this.#output.all) this.#print(state);
  }

  #advance(): void {
    this.#output.advance();
    if (this.#output.current === undefined) this.#flushQuiet();
  }

  #write(state: LaneState): boolean {
    if (state.status === 'done' && state.quiet !== undefined && !state.eventful) {
      this.#addQuiet(state.label, state.quiet);
      return true;
    }
    // A lane that may end with nothing to report is held back until it does something.
    if (state.status === 'running' && !state.eventful) return false;
    this.#flushQuiet();
    this.#print(state);
    return state.status !== 'running';
  }

  #print(state: LaneState): void {
    const log = this.#out(state.label);
    for (const line of state.held) {
      if (line.level === 'warn') log.warn(line.text, line.depth);
      else log.line(line.text, line.depth);
    }
    this.#output.wrote(state.held.length);
    state.held.length = 0;
  }

  #addQuiet(label: string, text: string): void {
    if (this.#pendingQuiet !== undefined && this.#pendingQuiet.text !== text) this.#flushQuiet();
    this.#pendingQuiet ??= { labels: [], text };
    this.#pendingQuiet.labels.push(label);
  }

  #flushQuiet(): void {
    const pending = this.#pendingQuiet;
    if (pending === undefined) return;
    this.#pendingQuiet = undefined;
    this.#out(pending.labels.join(', ')).line(`${pending.labels.join(', ')}: ${pending.text}`, 1);
  }

  #heartbeat(running: readonly LaneState[], ended: number): void {
    const done = this.#output.all.filter((state) => state.status === 'done').length;
    const doing = running.slice(0, 4).map((state) => `${state.label} (${state.latest.trim() || 'waiting'})`);
    const rest = running.length > doing.length ? ` and ${running.length - doing.length} more` : '';
    const text = `... ${done} of ${ended + running.length} done; still at work: ${doing.join(', ')}${rest}`;
    tellNow(this.#out(''), text, 1);
  }
}
