import type { Session } from './connection.ts';
import type { ServerAddress } from './serverAddress.ts';

export type OpenSession = (node: ServerAddress, database: string) => Promise<Session>;

/** At most one open connection for each node and database; one that died is opened again when it is next needed. */
export class Sessions {
  readonly #open: OpenSession;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(open: OpenSession) {
    this.#open = open;
  }

  async get(node: ServerAddress, database: string): Promise<Session> {
    const key = keyOf(node, database);
    const known = await this.#sessions.get(key)?.catch(() => undefined);
    if (known?.isAlive === true) return known;
    const opening = this.#open(node, database);
    this.#sessions.set(key, opening);
    return await opening;
  }

  /** A connection beside the one that is kept; whoever asks for it closes it. */
  async another(node: ServerAddress, database: string): Promise<Session> {
    return await this.#open(node, database);
  }

  /** Takes over a connection that is open already. */
  adopt(session: Session): void {
    this.#sessions.set(keyOf(session.node, session.database), Promise.resolve(session));
  }

  /** Closes the connections to one database, on one node or on all. */
  async closeDatabase(database: string, node?: ServerAddress): Promise<void> {
    const keys = [...this.#sessions.keys()].filter((key) =>
      node === undefined ? key.slice(key.indexOf(' ') + 1) === database : key === keyOf(node, database),
    );
    await Promise.all(
      keys.map(async (key) => {
        const session = await this.#sessions.get(key)?.catch(() => undefined);
        this.#sessions.delete(key);
        await session?.close();
      }),
    );
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    await Promise.allSettled(open.map((result) => (result.status === 'fulfilled' ? result.value.close() : undefined)));
  }
}

function keyOf(node: ServerAddress, database: string): string {
  return `${node.group} ${database}`;
}
