import type { Joined } from '../cluster/join.ts';
import { readServerSettings, SERVER_DATABASES, type ServerDatabase, serverSettingsScript } from '../objects/server.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';

/** The databases of the coordinator that one can connect to, declared or not, in the order of their names. */
export async function connectableDatabases({ sessions, coordinator }: Joined): Promise<readonly string[]> {
  const session = await sessions.get(coordinator, MAINTENANCE_DATABASE);
  const results = await session.script(serverSettingsScript(), { joinable: true });
  const row = results.at(-1)?.rows[0] as { readonly observed: string } | undefined;
  return row === undefined ? [] : readServerSettings(row.observed).databases.toSorted();
}

export interface ServerDatabases {
  readonly open: readonly string[];
  /** Nobody new can connect to these (ALLOW_CONNECTIONS false), and whoever is in may go on. */
  readonly closed: readonly string[];
}

/** Every database of the coordinator, templates among them. */
export async function serverDatabases({ sessions, coordinator }: Joined): Promise<ServerDatabases> {
  const session = await sessions.get(coordinator, MAINTENANCE_DATABASE);
  const { rows } = await session.query<ServerDatabase>(SERVER_DATABASES);
  const names = (wanted: boolean) => rows.filter(({ connectable }) => connectable === wanted).map(({ name }) => name);
  return { open: names(true), closed: names(false) };
}
