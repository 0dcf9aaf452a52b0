import type { Joined } from '../cluster/join.ts';
import { forAll } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import { managedDatabasesScript, readManagedDatabases } from '../objects/bookkeeping.ts';
import { CITUS_VERSION, isNewer } from '../objects/citusExtension.ts';
import { readServerSettings, serverSettingsScript, splitDatabases } from '../objects/server.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import { quoteIdentifier } from '../postgres/quote.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { undeclaredDatabase } from '../spec/complete.ts';
import { carryOut } from './carryOut.ts';
import { locked } from './locked.ts';
import { observeSituation } from './observeSituation.ts';
import { rebalanceTools } from './rebalanceTools.ts';
import { refuseUnpinned } from './refuseCodeOfOthers.ts';
import { createRun } from './run.ts';
import type { Situation } from './situation.ts';
import { needsUpdate, UPDATE_ORDER } from './updateOrder.ts';
import { WorkReport } from './workReport.ts';

/**
 * Databases with Citus that nobody declares: the one that Patroni manages (cluster.database), and whatever else is there.
 * An image update leaves them on the old extension, and nothing of Citus works there any more; in Patroni's own, workers
 * that moved are not followed (citus_update_node).
 */

export interface OutdatedDatabase {
  readonly name: string;
  readonly version: string;
  readonly library: string;
}

/** At a time, so that a server with hundreds of databases is asked soon and does not lose hundreds of connections. */
const ASKED_AT_ONCE = 4;

/** Those of `names` whose citus, on the coordinator, is older than its library. */
export async function outdatedAmong(
  joined: Joined,
  names: readonly string[],
  library: string | null,
): Promise<readonly OutdatedDatabase[]> {
  if (library === null) return [];
  const versions = await forAll(names, (name) => citusVersionIn(joined, name), ASKED_AT_ONCE);
  return names.flatMap((name, index) => {
    const version = versions[index];
    return version !== undefined && isNewer(library, version) ? [{ name, version, library }] : [];
  });
}

/** undefined: there is no citus in it, or it is gone by now. */
async function citusVersionIn(joined: Joined, name: string): Promise<string | undefined> {
  try {
    const session = await joined.sessions.get(joined.coordinator, name);
    return (await session.query<{ version: string }>(CITUS_VERSION)).rows[0]?.version;
  } catch (error) {
    if (codeOf(error) === SQLSTATE.invalidCatalogName) return undefined;
    throw error;
  } finally {
    if (name !== MAINTENANCE_DATABASE) await joined.sessions.closeDatabase(name, joined.coordinator);
  }
}

export interface Elsewhere {
  readonly outdated: readonly OutdatedDatabase[];
  /** They accept no connections, so that nobody knows. */
  readonly closed: readonly string[];
}

const NOTHING: Elsewhere = { outdated: [], closed: [] };

/** Every outdated database that the spec does not declare; each takes a connection to the coordinator. */
export async function outdatedElsewhere(context: Context, joined: Joined): Promise<Elsewhere> {
  if (!context.spec.cluster.citus || context.spec.cluster.withoutSuperuser) return NOTHING;
  const session = await joined.sessions.get(joined.coordinator, MAINTENANCE_DATABASE);
  const results = await session.script(serverSettingsScript(), { joinable: true });
  const row = results.at(-1)?.rows[0] as { readonly observed: string } | undefined;
  if (row === undefined) return NOTHING;
  const { databases, citusVersion } = readServerSettings(row.observed);
  const declared = new Set(context.spec.databases.map(({ name }) => name));
  const { open, closed } = splitDatabases(databases.filter(({ name }) => !declared.has(name)));
  return { outdated: await outdatedAmong(joined, open, citusVersion), closed };
}

/** For runs that are to update every database. */
export function closedWarnings({ closed }: Elsewhere): readonly string[] {
  return closed.map(
    (name) =>
      `Whether citus is up to date in database '${name}' is not known: it does not allow connections. If it has citus, run once more after ALTER DATABASE ${quoteIdentifier(name)} WITH ALLOW_CONNECTIONS true`,
  );
}

export function outdatedWarnings(outdated: readonly OutdatedDatabase[]): readonly string[] {
  return outdated.map(
    ({ name, version, library }) =>
      `Database '${name}' has citus ${version}, older than the ${library} of the servers, and is not among the databases of this run: Citus does not work there. To update it: citus-databases apply --all-databases`,
  );
}

/** What this program made at some time and the spec does not declare: removed from it, or declared in another one. */
export async function managedElsewhere(context: Context, joined: Joined): Promise<readonly string[]> {
  if (context.spec.cluster.withoutSuperuser) return [];
  const session = await joined.sessions.get(joined.coordinator, MAINTENANCE_DATABASE);
  const results = await session.script(managedDatabasesScript(), { joinable: true });
  const row = results.at(-1)?.rows[0] as { readonly observed: string } | undefined;
  const declared = new Set(context.spec.databases.map(({ name }) => name));
  return row === undefined ? [] : readManagedDatabases(row.observed).filter((name) => !declared.has(name));
}

/** What there is to do in such a database, for `plan`. */
export async function observeUndeclared(context: Context, joined: Joined, name: string): Promise<Situation> {
  const database = undeclaredDatabase(name);
  const run = createRun({ ...joined, database, signal: context.signal });
  return await observeSituation(context, joined, run, database);
}

/** Updates citus in a database that nobody declares, on every node that has it; under the lock of that database. */
export async function updateElsewhere(context: Context, joined: Joined, name: string): Promise<void> {
  const database = undeclaredDatabase(name);
  const log = context.log.about({ database: name });
  await locked(context, joined, database, async (run) => {
    const situation = await observeSituation(context, joined, run, database);
    if (!needsUpdate(situation)) return;
    await refuseUnpinned(rebalanceTools(joined, name, { signal: context.signal, log }), 'The update of Citus');
    log.frame(`Updating Citus in database: ${name}`);
    await carryOut(UPDATE_ORDER, situation, {
      run,
      log,
      report: new WorkReport({ changes: 'dropped' }),
      observe: async () => (latest) => latest,
      withRegistrationLock: (body) => body(),
      execute: async () => 0,
    });
    log.frame(`Citus in database '${name}' is up to date`);
  });
}
