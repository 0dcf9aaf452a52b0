import type { LiveLines } from '../report/liveLines.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { WaitProgress } from './ready.ts';

const EVERY_MS = 1000;

/** On a terminal: one live line for each node that the run waits for, instead of a log line for each attempt. */
export class WaitBoard {
  readonly #live: LiveLines;
  readonly #nodes: readonly NodeSpec[];
  readonly #labels: ReadonlyMap<number, string>;
  readonly #startedAt = performance.now();
  readonly #ready = new Set<number>();
  readonly #latest = new Map<number, WaitProgress>();
  #timer: NodeJS.Timeout | undefined;

  constructor(live: LiveLines, nodes: readonly NodeSpec[], labels: ReadonlyMap<number, string>) {
    this.#live = live;
    this.#nodes = nodes;
    this.#labels = labels;
  }

  ready(node: NodeSpec): void {
    this.#ready.add(node.group);
    this.#draw();
  }

  /** The board appears with the first attempt that failed: nodes that are ready need none. */
  failed(progress: WaitProgress): void {
    this.#latest.set(progress.node.group, progress);
    this.#timer ??= setInterval(() => this.#draw(), EVERY_MS);
    this.#timer.unref();
    this.#draw();
  }

  /** Takes the board away; returns how many seconds it was waited, 0 when there was nothing to wait for. */
  end(): number {
    if (this.#timer === undefined) return 0;
    clearInterval(this.#timer);
    this.#live.end();
    return this.#seconds();
  }

  #draw(): void {
    if (this.#timer !== undefined) this.#live.show(this.#nodes.map((node) => `  ${this.#line(node)}`));
  }

  #line({ group, host }: NodeSpec): string {
    const name = this.#labels.get(group) ?? host;
    if (this.#ready.has(group)) return `✓ ${name}: accepts writes`;
    const latest = this.#latest.get(group);
    if (latest === undefined) return `… ${name}: connecting`;
    const { attempt, maxAttempts, reason } = latest;
    return `… ${name}: waiting, ${this.#seconds()} s, attempt ${attempt} of ${maxAttempts}: ${reason}`;
  }

  #seconds(): number {
    return Math.round((performance.now() - this.#startedAt) / 1000);
  }
}
