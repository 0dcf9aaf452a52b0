import type pg from 'pg';

/** When the server has done with what was sent. */
export interface Settled {
  /** It is ready for the next statement, or the connection has ended. */
  readonly promise: Promise<void>;
  readonly forget: () => void;
}

export const NOTHING_SENT: Settled = { promise: Promise.resolve(), forget: () => {} };

/** To be called before so many messages go out: the answer may come in one piece with the end. */
export function settledBy(client: pg.Client, messages = 1): Settled {
  let forget = () => {};
  const promise = new Promise<void>((resolve) => {
    let left = messages;
    const onReady = () => {
      left -= 1;
      if (left === 0) resolve();
    };
    client.connection.on('readyForQuery', onReady);
    client.once('end', resolve);
    forget = () => {
      client.connection.off('readyForQuery', onReady);
      client.off('end', resolve);
    };
  });
  return { promise, forget };
}
