import pg from 'pg';

/**
 * A message whose rows and results nobody reads: they are dropped as they come in, however many there are. To pg it is one
 * query; the client calls these methods for each (pg, lib/client.js).
 */
class QueryWithoutRows extends pg.Query {
  handleRowDescription(): void {}

  handleDataRow(): void {}

  handleCommandComplete(): void {}
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
