import type { Joined } from '../cluster/join.ts';
import { SERVER_DATABASES, type ServerDatabase, type ServerDatabases, splitDatabases } from '../objects/server.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';

/** Every database of the coordinator, declared or not, templates among them. */
export async function serverDatabases({ sessions, coordinator }: Joined): Promise<ServerDatabases> {
  const session = await sessions.get(coordinator, MAINTENANCE_DATABASE);
  const { rows } = await session.query<ServerDatabase>(SERVER_DATABASES);
  return splitDatabases(rows);
}
