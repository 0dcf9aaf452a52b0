import { WRONG_VALUE } from '../objects/parameter.ts';
import {
  ALL_SETTINGS,
  CITUS_DATABASES,
  FILE_SETTINGS,
  MISSING_LIBRARIES,
  TRY_SETTING,
} from '../objects/serverSetting.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { applicationName } from '../postgres/startup.ts';
import type { Access } from '../secrets/credentials.ts';
import type { NodeSpec, PatroniMemberSpec } from '../spec/types.ts';
import { listItems } from './lists.ts';
import { parseNumber } from './units.ts';
import type { KnownSetting, KnownSettings } from './values.ts';

export interface SqlAccess {
  readonly access: Access;
  readonly signal: AbortSignal;
}

/** A member's server, by the address at which this program reaches it. */
export function nodeOf(group: number, { host, port }: Pick<PatroniMemberSpec, 'host' | 'port'>): NodeSpec {
  return { group, host, port, nodeName: host, nodePort: port };
}

/** Runs something in a session of its own on one member, standby or not; the session has the server's own settings. */
async function withMember<T>(
  group: number,
  member: PatroniMemberSpec,
  { access, signal }: SqlAccess,
  run: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await connect({ node: nodeOf(group, member), database: MAINTENANCE_DATABASE }, access, {
    applicationName: applicationName('configure'),
    pinned: false,
    signal,
  });
  try {
    return await run(session);
  } finally {
    await session.close();
  }
}

/** Settings that the session, its role or its database has changed do not show what the server itself would use. */
const SERVERS_OWN: ReadonlySet<string> = new Set([
  'default',
  'environment variable',
  'configuration file',
  'command line',
  'override',
]);

export async function readSettings(group: number, member: PatroniMemberSpec, sql: SqlAccess): Promise<KnownSettings> {
  return await withMember(group, member, sql, async (session) => {
    const { rows } = await session.query<KnownSetting>(ALL_SETTINGS);
    const known = new Map(rows.map((row) => [row.name, row]));
    const hidden = rows.filter((row) => !SERVERS_OWN.has(row.source));
    if (hidden.length === 0) return known;
    const file = new Map((await fileSettings(session)).map((row) => [row.name, row.setting]));
    for (const row of hidden) {
      const setting = file.get(row.name);
      if (setting !== undefined) known.set(row.name, { ...row, setting: inUnits(row, setting) });
    }
    return known;
  });
}

/** Only superusers may read them; without them the session's own value has to do. */
async function fileSettings(session: Session): Promise<readonly { readonly name: string; readonly setting: string }[]> {
  try {
    return (await session.query<{ name: string; setting: string }>(FILE_SETTINGS)).rows;
  } catch {
    return [];
  }
}

function inUnits(row: KnownSetting, text: string): string {
  if (row.vartype !== 'integer' && row.vartype !== 'real') return text;
  const parsed = parseNumber(text, row.unit, row.vartype);
  return parsed.ok ? String(parsed.value) : text;
}

/** What only a server can tell about wanted values. */
export interface ServerJudgement {
  readonly known: KnownSettings;
  /** Of the wanted libraries. */
  readonly missingLibraries: readonly string[];
  /** Databases for which Citus runs a background worker. */
  readonly citusDatabases: readonly string[];
  /** PostgreSQL's words about values that it does not take, by parameter. */
  readonly refused: ReadonlyMap<string, string>;
}

export async function judge(
  group: number,
  member: PatroniMemberSpec,
  sql: SqlAccess,
  wanted: Readonly<Record<string, string>>,
  libraries: readonly string[],
): Promise<ServerJudgement> {
  const known = await readSettings(group, member, sql);
  return await withMember(group, member, sql, async (session) => {
    const running = known.get('shared_preload_libraries')?.setting ?? '';
    const added = libraries.filter((library) => !listItems(running).includes(library));
    const missing = added.length === 0 ? [] : (await session.query<Named>(MISSING_LIBRARIES, [added])).rows;
    const databases = await session.query<{ datname: string }>(CITUS_DATABASES);
    const refused = new Map<string, string>();
    for (const [name, value] of Object.entries(wanted)) {
      const row = known.get(name);
      if (row === undefined || (row.context !== 'user' && row.context !== 'superuser')) continue;
      try {
        await session.query(TRY_SETTING, [name, value]);
      } catch (error) {
        if (WRONG_VALUE.includes(codeOf(error) ?? '')) refused.set(name, describe(error));
        else if (!session.isAlive) throw error;
      }
    }
    return {
      known,
      missingLibraries: missing.map((row) => row.library),
      citusDatabases: databases.rows.map((row) => row.datname),
      refused,
    };
  });
}

interface Named {
  readonly library: string;
}
