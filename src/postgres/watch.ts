/** What the server says about a session that waits for an answer. */
export type Probe =
  | 'alive'
  | 'gone'
  /** It lets nobody in who could look. */
  | 'turnedDown'
  /** It has nothing left to do for the session. */
  | 'answered';

export interface WatchOptions {
  readonly everyMs: number;
  /** Rejects when the server cannot be reached or does not answer. */
  readonly probe: () => Promise<Probe>;
  readonly onDead: (reason: string) => void;
}

const BAD: Readonly<Partial<Record<Probe, string>>> = {
  gone: 'the server does not know this session any more',
  answered: 'its server process waits for this program, so what one of them sent was lost on the way',
};

/** Without a free slot nobody gets in, for as long as others work: half an hour, with the usual interval. */
const MOST_TURNED_DOWN = 60;

/**
 * Watches a server that owes an answer. TCP keepalive finds a machine that is gone, but neither a frozen server
 * whose kernel still acknowledges, nor data that nobody acknowledges (Node offers no TCP_USER_TIMEOUT), nor an answer that
 * something on the way has swallowed. Two bad looks in a row are needed, because a server may be out of connections or slow
 * for a moment. One that turns every look down is given up later: nobody can say whether it still works.
 */
export function watch(options: WatchOptions): { stop(): void } {
  let stopped = false;
  let badLooks = 0;
  let turnedDown = 0;
  let timer = setTimeout(look, options.everyMs);

  function look(): void {
    options.probe().then(
      (state) => {
        turnedDown = state === 'turnedDown' ? turnedDown + 1 : 0;
        if (turnedDown < MOST_TURNED_DOWN) judge(BAD[state]);
        else end(`nobody was let in who could look, ${turnedDown} times in a row`);
      },
      (error: unknown) => judge(error instanceof Error ? error.message : String(error)),
    );
  }

  function judge(problem: string | undefined): void {
    if (stopped) return;
    badLooks = problem === undefined ? 0 : badLooks + 1;
    if (problem !== undefined && badLooks >= 2) {
      end(problem);
      return;
    }
    timer = setTimeout(look, badLooks === 0 ? options.everyMs : Math.min(options.everyMs, 1_000));
  }

  function end(reason: string): void {
    if (!stopped) options.onDead(reason);
  }

  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
