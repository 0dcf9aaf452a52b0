import { pause } from './interrupt.ts';

export interface PollOptions {
  /** Between the end of one question and the next; a function of the number of answers so far. */
  readonly everyMs: number | ((asked: number) => number);
  /** By performance.now(), which no change of the system's clock moves. No question is asked after it, save the first. */
  readonly deadline: number;
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Asks until there is an answer, or the deadline is over: then undefined. What `ask` throws ends it too. */
export async function poll<Answer>(
  ask: () => Promise<Answer | undefined>,
  { everyMs, deadline, signal }: PollOptions,
): Promise<Answer | undefined> {
  for (let asked = 1; ; asked += 1) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    const left = deadline - performance.now();
    if (left <= 0) return undefined;
    await pause(Math.min(typeof everyMs === 'number' ? everyMs : everyMs(asked), left), signal);
  }
}
