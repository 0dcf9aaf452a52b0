import type pg from 'pg';

/** When the server has done with a message. */
export interface Settled {
  /** It is ready for the next statement, or the connection has ended. */
  readonly promise: Promise<void>;
  readonly forget: () => void;
}

export const NOTHING_SENT: Settled = { promise: Promise.resolve(), forget: () => {} };

/** To be called before the message goes out: the answer may come in one piece with the end. */
export function settledBy(client: pg.Client): Settled {
  let forget = () => {};
  const promise = new Promise<void>((resolve) => {
    client.connection.once('readyForQuery', resolve);
    client.once('end', resolve);
    forget = () => {
      client.connection.off('readyForQuery', resolve);
      client.off('end', resolve);
    };
  });
  return { promise, forget };
}
