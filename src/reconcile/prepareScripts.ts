import type { Joined } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import { type Draft, finishScript, readScript, type Verdict } from '../initSql/splitScript.ts';
import type { Script, Unit } from '../initSql/types.ts';
import { KeyRing } from '../initSql/units.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { UNLOGGED } from '../postgres/startup.ts';
import { readScriptFile } from '../spec/readScriptFile.ts';
import type { Spec } from '../spec/types.ts';

/** The scripts of each database, in order, as far as they can be read without a server. */
export type Drafts = ReadonlyMap<string, readonly Draft[]>;

/**
 * Reads every initSQL before anything is connected to: a script that does not parse is a fault of the spec. The parser
 * is loaded only when there is a script.
 */
export async function prepareScripts(spec: Spec): Promise<Drafts> {
  const drafts = new Map<string, readonly Draft[]>();
  for (const { name, initSQL, initSQLFrom } of spec.databases) {
    const read: Draft[] = [];
    const keys = new KeyRing();
    if (initSQL !== undefined) read.push(await readScript(initSQL, name, undefined, keys));
    for (const source of initSQLFrom) {
      const sql = await readScriptFile(source.file, name);
      read.push(await readScript(sql, name, source, keys));
    }
    if (read.length > 0) drafts.set(name, read);
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
  for (const [name, read] of drafts) {
    const wholes = read.flatMap(({ whole }) => (whole === undefined ? [] : [whole]));
    const units =
      wholes.length === read.length
        ? wholes.flatMap((whole) => whole.units)
        : await judged(context, joined, read, name);
    if (units.length > 0) scripts.set(name, { units });
  }
  return scripts;
}

async function judged(context: Context, joined: Joined, read: readonly Draft[], name: string): Promise<Unit[]> {
  const keys = new KeyRing();
  const units: Unit[] = [];
  for (const draft of read) {
    const verdicts = draft.doubts.length === 0 ? [] : await askServer(context, joined, draft);
    units.push(...finishScript(draft, verdicts, name, keys).units);
  }
  return units;
}

/**
 * In a failed transaction the server parses a statement and then refuses it for that reason alone (PostgreSQL:
 * tcop/postgres.c, exec_parse_message): syntax errors tell themselves, and nothing can happen.
 */
async function askServer(context: Context, joined: Joined, draft: Draft): Promise<readonly Verdict[]> {
  if (context.spec.cluster.withoutSuperuser) return draft.doubts.map(() => ({ kind: 'taken' }));
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
