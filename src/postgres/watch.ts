/** What the server says about a session that waits for an answer. */
export type Probe = 'alive' | 'gone';

export interface WatchOptions {
  readonly everyMs: number;
  /** Rejects when the server cannot be reached or does not answer. */
  readonly probe: () => Promise<Probe>;
  readonly onDead: (reason: string) => void;
}

/**
 * Watches a server that owes an answer. TCP keepalive finds a machine that is gone, but neither a frozen server
 * whose kernel still acknowledges, nor data that nobody acknowledges (Node offers no TCP_USER_TIMEOUT). Two bad looks
 * in a row are needed, because a server may be out of connections or slow for a moment.
 */
export function watch(options: WatchOptions): { stop(): void } {
  let stopped = false;
  let badLooks = 0;
  let timer = setTimeout(look, options.everyMs);

  function look(): void {
    options.probe().then(
      (state) => judge(state === 'alive' ? undefined : 'the server does not know this session any more'),
      (error: unknown) => judge(error instanceof Error ? error.message : String(error)),
    );
  }

  function judge(problem: string | undefined): void {
    if (stopped) return;
    badLooks = problem === undefined ? 0 : badLooks + 1;
    if (problem !== undefined && badLooks >= 2) {
      options.onDead(problem);
      return;
    }
    timer = setTimeout(look, badLooks === 0 ? options.everyMs : Math.min(options.everyMs, 1_000));
  }

  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
