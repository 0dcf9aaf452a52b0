import type { NodeSpec } from '../spec/types.ts';
import type { Session } from './connection.ts';

export type OpenSession = (node: NodeSpec, database: string) => Promise<Session>;

/** At most one open connection for each node and database; one that died is opened again when it is next needed. */
export class Sessions {
  readonly #open: OpenSession;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(open: OpenSession) {
    this.#open = open;
  }

  async get(node: NodeSpec, database: string): Promise<Session> {
    const key = `${node.group} ${database}`;
    const known = await this.#sessions.get(key)?.catch(() => undefined);
    if (known?.isAlive === true) return known;
    const opening = this.#open(node, database);
    this.#sessions.set(key, opening);
    return await opening;
  }

  /** Takes over a connection that is open already. */
  adopt(session: Session): void {
    this.#sessions.set(`${session.node.group} ${session.database}`, Promise.resolve(session));
  }

  async closeDatabase(node: NodeSpec, database: string): Promise<void> {
    const key = `${node.group} ${database}`;
    const session = await this.#sessions.get(key)?.catch(() => undefined);
    this.#sessions.delete(key);
    await session?.close();
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    await Promise.allSettled(open.map((result) => (result.status === 'fulfilled' ? result.value.close() : undefined)));
  }
}
