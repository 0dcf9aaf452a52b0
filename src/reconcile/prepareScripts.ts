import type { Joined } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import { type Draft, finishScript, readScript, type Verdict } from '../initSql/splitScript.ts';
import type { Script } from '../initSql/types.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { UNLOGGED } from '../postgres/startup.ts';
import type { Spec } from '../spec/types.ts';

/** Scripts by database, as far as they can be read without a server. */
export type Drafts = ReadonlyMap<string, Draft>;

/**
 * Reads every initSQL before anything is connected to: a script that does not parse is a fault of the spec. The parser
 * is loaded only when there is a script.
 */
export async function prepareScripts(spec: Spec): Promise<Drafts> {
  const drafts = new Map<string, Draft>();
  for (const database of spec.databases) {
    if (database.initSQL === undefined) continue;
    drafts.set(database.name, await readScript(database.initSQL, database.name));
  }
  return drafts;
}

/** The same once there is a server: it judges what the grammar did not take, and nothing is executed for that. */
export async function judgeScripts(
  context: Context,
  joined: Joined,
  drafts: Drafts,
): Promise<ReadonlyMap<string, Script>> {
  const scripts = new Map<string, Script>();
  for (const [name, draft] of drafts) {
    const verdicts = draft.doubts.length === 0 ? [] : await askServer(context, joined, draft);
    const script = finishScript(draft, verdicts, name);
    if (script.units.length > 0) scripts.set(name, script);
  }
  return scripts;
}

/**
 * In a failed transaction the server parses a statement and then refuses it for that reason alone (PostgreSQL:
 * tcop/postgres.c, exec_parse_message): syntax errors tell themselves, and nothing can happen.
 */
async function askServer(context: Context, joined: Joined, draft: Draft): Promise<readonly Verdict[]> {
  const session = await connect({ node: joined.coordinator, database: MAINTENANCE_DATABASE }, context.access, {
    applicationName: 'citus-databases initSQL syntax',
    settings: UNLOGGED,
    signal: context.signal,
  }).catch((error: unknown) => {
    // Who may not keep the script out of the server's log does not show it: then its execution judges.
    if (codeOf(error) === SQLSTATE.insufficientPrivilege) return undefined;
    throw error;
  });
  if (session === undefined) return draft.doubts.map(() => ({ kind: 'taken' }));
  try {
    await session.script('BEGIN');
    await session.script('SELECT 1 / 0').catch(() => undefined);
    const verdicts: Verdict[] = [];
    for (const { statement } of draft.doubts) verdicts.push(await ask(session, statement.sql));
    return verdicts;
  } finally {
    await session.close();
  }
}

async function ask(session: Session, sql: string): Promise<Verdict> {
  try {
    await session.query(sql);
    return { kind: 'taken' };
  } catch (error) {
    if (codeOf(error) === SQLSTATE.inFailedSqlTransaction) return { kind: 'taken' };
    if (!session.isAlive || !(error instanceof Error)) throw error;
    const position = Number(Reflect.get(error, 'position'));
    return { kind: 'refused', message: error.message, position: position > 0 ? position : undefined };
  }
}
