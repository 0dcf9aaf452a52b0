const CANCEL_AGAIN_MS = 1_000;
const CANCEL_GRACE_MS = 5_000;

/** Ends one statement. */
export interface Stopper {
  now(reason: Error, graceMs?: number): void;
  /** Why it was to stop; undefined: it was not. */
  reason(): Error | undefined;
  /** The statement is over. */
  done(): void;
}

/** Cancels the statement; if it goes on all the same, ends the connection. */
export function newStopper({ requestCancel, destroy }: StopperParts): Stopper {
  let why: Error | undefined;
  let timer: NodeJS.Timeout | undefined;
  let again: NodeJS.Timeout | undefined;
  return {
    now: (reason, graceMs = CANCEL_GRACE_MS) => {
      if (why !== undefined) return;
      why = reason;
      requestCancel();
      // a request that comes before the server has begun the statement finds nothing to cancel
      again = setInterval(requestCancel, CANCEL_AGAIN_MS);
      timer = setTimeout(() => destroy(reason), graceMs);
    },
    reason: () => why,
    done: () => {
      clearInterval(again);
      clearTimeout(timer);
    },
  };
}

interface StopperParts {
  readonly requestCancel: () => void;
  readonly destroy: (reason: Error) => void;
}
