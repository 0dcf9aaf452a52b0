/** One of several pieces of work that run at the same time and are reported one after the other. */
export interface Contributor {
  readonly isRunning: () => boolean;
  /** Writes what is due now that everything before it has ended; returns whether the next one may write. */
  readonly write: () => boolean;
}

/**
 * Reports work in the order in which it was added, live for the first that is still running. While nothing is written for
 * `heartbeatSeconds`, `heartbeat` is called with those that run and the number of those that have ended.
 */
export class OrderedOutput<Work extends Contributor> {
  readonly #all: Work[] = [];
  #current = 0;
  #linesSinceHeartbeat = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(heartbeat: (running: readonly Work[], ended: number) => void, heartbeatSeconds: number) {
    this.#timer = setInterval(() => {
      const silent = this.#linesSinceHeartbeat === 0;
      this.#linesSinceHeartbeat = 0;
      const running = this.#all.filter((work) => work.isRunning());
      if (silent && running.length > 0) heartbeat(running, this.#all.length - running.length);
    }, heartbeatSeconds * 1000);
    this.#timer.unref();
  }

  get all(): readonly Work[] {
    return this.#all;
  }

  /** The first that is still running; undefined when all have ended. */
  get current(): Work | undefined {
    return this.#all[this.#current];
  }

  add(work: Work): void {
    this.#all.push(work);
    this.advance();
  }

  /** To be called whenever one of them has something to write, or has ended. */
  advance(): void {
    while (this.current?.write() === true) this.#current += 1;
  }

  wrote(lines: number): void {
    this.#linesSinceHeartbeat += lines;
  }

  /** Ends the heartbeat. */
  close(): void {
    clearInterval(this.#timer);
  }
}
