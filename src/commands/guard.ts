import path from 'node:path';
import { pause } from '../concurrency/interrupt.ts';
import type { Context } from '../context.ts';
import { readText, SHORT } from '../files/read.ts';
import { CITUS_VERSION } from '../objects/citusExtension.ts';
import { readServerSettings, serverSettingsScript, splitDatabases } from '../objects/server.ts';
import { type DatabaseVersion, imageProblem, readImageVersions } from '../objects/serverImage.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Failure, Interrupted } from '../report/errors.ts';

/** A cluster that does not answer is no reason against another image: that may be what mends it. */
const ATTEMPTS = 3;
const PAUSE_MS = 2_000;
const DEADLINE_MS = 10_000;

/**
 * Refuses an image whose servers could not work with the data that is there, before any server is restarted. `folder` has
 * what a container of that image says of itself (chart/templates/_imageGuard.tpl). What is not known is no reason to refuse.
 */
export async function guard(context: Context, folder: string): Promise<void> {
  const { log, spec } = context;
  const [control, version] = await Promise.all(
    ['citus.control', 'postgres-version'].map((file) => readText(path.join(folder, file), SHORT).catch(() => '')),
  );
  const image = readImageVersions(control ?? '', version ?? '');
  const server = await askServer(context);
  if (server === undefined) return;
  const problem = imageProblem(spec.cluster.image ?? 'the image', image, server);
  if (problem !== undefined) throw new Failure(problem);
  log.line(`The servers of ${spec.cluster.image ?? 'the image'} can work with the data that is there`);
}

interface ServerVersions {
  readonly postgres: number;
  readonly databases: readonly DatabaseVersion[];
}

async function askServer(context: Context): Promise<ServerVersions | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askOnce(context);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      context.signal.throwIfAborted();
      if (attempt < ATTEMPTS) {
        await pause(PAUSE_MS, context.signal);
        continue;
      }
      const reason = `the coordinator does not answer: ${describe(error)}`;
      context.log.warn(`Whether the image fits the data is not known (${reason}). Going on`);
      return undefined;
    }
  }
}

async function askOnce(context: Context): Promise<ServerVersions> {
  const { settings } = await inDatabase(context, MAINTENANCE_DATABASE, async (session) => {
    const results = await session.script(serverSettingsScript(), { joinable: true });
    const row = results.at(-1)?.rows[0] as { readonly observed: string } | undefined;
    if (row === undefined) throw new Error('the server returned no settings');
    return { settings: readServerSettings(row.observed) };
  });
  const databases: DatabaseVersion[] = [];
  const { open, closed } = splitDatabases(settings.databases);
  if (closed.length > 0) {
    const names = closed.map((name) => `'${name}'`).join(', ');
    context.log.warn(`Whether the image fits ${names} is not known (ALLOW_CONNECTIONS is false). Going on`);
  }
  for (const database of open) {
    const citus = await inDatabase(context, database, async (session) => {
      const { rows } = await session.query<{ version: string }>(CITUS_VERSION, [], { deadlineMs: DEADLINE_MS });
      return rows[0]?.version;
    });
    if (citus !== undefined) databases.push({ database, citus });
  }
  return { postgres: Math.floor(settings.version / 10_000), databases };
}

async function inDatabase<T>(context: Context, database: string, body: (session: Session) => Promise<T>): Promise<T> {
  const target = { node: context.spec.cluster.coordinator, database };
  const session = await connect(target, context.access, {
    applicationName: 'citus-databases guard',
    connectTimeoutMs: DEADLINE_MS,
    signal: context.signal,
  });
  try {
    return await body(session);
  } finally {
    await session.close();
  }
}
