import pg from 'pg';

/** Which statements a message had, and how many rows each, is kept of so many; nobody reads more. */
const MOST_RESULTS = 10_000;

interface CollectsResults {
  // left out of @types/pg
  readonly handleCommandComplete: (message: unknown, connection: pg.Connection) => void;
}

const { handleCommandComplete } = pg.Query.prototype as pg.Query & CollectsResults;

/**
 * A message whose rows nobody reads: they are dropped as they come in, however many there are. To pg it is one query; the
 * client calls these methods for each (pg, lib/client.js).
 */
class QueryWithoutRows extends pg.Query {
  #results = 0;

  handleRowDescription(): void {}

  handleDataRow(): void {}

  handleCommandComplete(message: unknown, connection: pg.Connection): void {
    this.#results += 1;
    if (this.#results <= MOST_RESULTS) handleCommandComplete.call(this, message, connection);
  }
}

export function sendWithoutRows(client: pg.Client, text: string): Promise<pg.QueryResult> {
  const query = new QueryWithoutRows({ text });
  const answer = new Promise<pg.QueryResult>((resolve, reject) => {
    query.on('end', resolve);
    query.on('error', reject);
  });
  client.query(query);
  return answer;
}
