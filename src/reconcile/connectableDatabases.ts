import type { Joined } from '../cluster/join.ts';
import { readServerSettings, serverSettingsScript } from '../objects/server.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';

/** The databases of the coordinator that one can connect to, declared or not, in the order of their names. */
export async function connectableDatabases({ sessions, coordinator }: Joined): Promise<readonly string[]> {
  const session = await sessions.get(coordinator, MAINTENANCE_DATABASE);
  const results = await session.script(serverSettingsScript(), { joinable: true });
  const row = results.at(-1)?.rows[0] as { readonly observed: string } | undefined;
  return row === undefined ? [] : readServerSettings(row.observed).databases.toSorted();
}
