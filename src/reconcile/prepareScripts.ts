import type { Joined } from '../cluster/join.ts';
import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import { once } from '../concurrency/once.ts';
import type { Context } from '../context.ts';
import { fingerprintOf, type ScriptText } from '../initSql/readBefore.ts';
import { type Draft, finishScript, readScript, type Unfinished, type Verdict } from '../initSql/splitScript.ts';
import type { Script, Unit } from '../initSql/types.ts';
import { KeyRing } from '../initSql/units.ts';
import { READ_SCRIPT_DEADLINE_MS, readReadScripts, readScriptsScript } from '../objects/readScript.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { UNLOGGED } from '../postgres/startup.ts';
import { ScriptFiles } from '../spec/readScriptFile.ts';
import type { DatabaseSpec, Spec } from '../spec/types.ts';

/** The scripts of a database, in order. */
export interface PreparedScripts {
  /** undefined: not to be recognised by a later run (initSql/readBefore.ts), and read already. */
  readonly fingerprint: string | undefined;
  /** As far as they can be read without a server; reads them when it is first called. */
  readonly drafts: () => Promise<readonly Draft[]>;
}

export type Prepared = ReadonlyMap<string, PreparedScripts>;

/** initSQL of a database, as a run finds it. */
export type GivenScript =
  | {
      readonly kind: 'read';
      readonly units: Script['units'];
      readonly fingerprint: string | undefined;
    }
  /** A run of this build has read it before: it is read only where the ledger is not the one that it leads to. */
  | {
      readonly kind: 'known';
      /** Of that ledger (initSql/ledger.ts). */
      readonly digest: string;
      readonly read: () => Promise<Script>;
    };

/**
 * Reads every initSQL before anything is connected to, since a script that does not parse is a fault of the spec; but
 * for those that an earlier run may have read: only the coordinator knows. The parser is loaded only when it is needed.
 */
export async function prepareScripts({ cluster, databases }: Spec): Promise<Prepared> {
  const prepared = new Map<string, PreparedScripts>();
  const files = new ScriptFiles();
  for (const database of databases) {
    const texts = await textsOf(database, files);
    if (texts.length === 0) continue;
    const isReadAlways = cluster.withoutSuperuser || database.initSQLPolicy === 'always';
    const fingerprint = isReadAlways ? undefined : fingerprintOf(texts);
    const drafts = once(() => readTexts(texts, database.name));
    if (fingerprint === undefined) await drafts();
    prepared.set(database.name, { fingerprint, drafts });
  }
  return prepared;
}

/** What a run that has to wait does meanwhile: what is wrong with a script need not wait for the nodes. */
export async function readScripts(prepared: Prepared): Promise<void> {
  for (const { drafts } of prepared.values()) await drafts();
}

async function textsOf(
  { name, initSQL, initSQLFrom }: DatabaseSpec,
  files: ScriptFiles,
): Promise<readonly ScriptText[]> {
  const texts: ScriptText[] = initSQL === undefined ? [] : [{ sql: initSQL }];
  for (const source of initSQLFrom) texts.push({ sql: await files.read(source.file, name), source });
  return texts;
}

async function readTexts(texts: readonly ScriptText[], database: string): Promise<readonly Draft[]> {
  const drafts: Draft[] = [];
  const keys = new KeyRing();
  for (const { sql, source } of texts) {
    const areKnown = drafts.every(({ kind }) => kind === 'read');
    drafts.push(await readScript(sql, database, source, areKnown ? keys : 'unknown'));
  }
  return drafts;
}

/**
 * The same once there is a server: it judges what the grammar did not take, and nothing is executed for that. Scripts
 * that are known are not read.
 */
export async function judgeScripts(
  context: Context,
  joined: Joined,
  prepared: Prepared,
): Promise<ReadonlyMap<string, GivenScript>> {
  const scripts = new Map<string, GivenScript>();
  const known = await knownLedgers(context, joined, prepared);
  for (const [name, { fingerprint, drafts }] of prepared) {
    const read = async () => await judged(context, joined, name, await drafts());
    const digest = known.get(name);
    if (digest !== undefined) {
      scripts.set(name, { kind: 'known', digest, read });
      continue;
    }
    const { units } = await read();
    if (units.length > 0) scripts.set(name, { kind: 'read', units, fingerprint });
  }
  return scripts;
}

/** Reads it where nobody has. */
export async function readGiven(script: GivenScript | undefined): Promise<Script | undefined> {
  return script?.kind === 'known' ? await script.read() : script;
}

/** By database: the digests of the ledgers to which known scripts lead. Where that cannot be asked, none is known. */
async function knownLedgers(
  { signal }: Context,
  { sessions, coordinator }: Joined,
  prepared: Prepared,
): Promise<ReadonlyMap<string, string>> {
  const asked = [...prepared].filter(([, { fingerprint }]) => fingerprint !== undefined).map(([name]) => name);
  if (asked.length === 0) return new Map();
  try {
    const session = await sessions.get(coordinator, MAINTENANCE_DATABASE);
    const options = { joinable: true, deadlineMs: READ_SCRIPT_DEADLINE_MS, signal };
    const results = await session.script<{ readonly observed: string }>(readScriptsScript(asked), options);
    const found = readReadScripts(results.at(-1)?.rows[0]?.observed ?? '{}');
    const known = found.filter(({ name, script }) => prepared.get(name)?.fingerprint === script);
    return new Map(known.map(({ name, ledger }) => [name, ledger]));
  } catch {
    throwIfInterrupted(signal);
    return new Map();
  }
}

async function judged(context: Context, joined: Joined, name: string, drafts: readonly Draft[]): Promise<Script> {
  if (drafts.every(({ kind }) => kind === 'read')) {
    return { units: drafts.flatMap((draft) => (draft.kind === 'read' ? draft.units : [])) };
  }
  const keys = new KeyRing();
  const units: Unit[] = [];
  for (const draft of drafts) {
    const verdicts = draft.kind === 'read' ? [] : await askServer(context, joined, draft);
    for (const unit of finishScript(draft, verdicts, name, keys).units) units.push(unit);
  }
  return { units };
}

/**
 * In a failed transaction the server parses a statement and then refuses it for that reason alone (PostgreSQL:
 * tcop/postgres.c, exec_parse_message): syntax errors tell themselves, and nothing can happen.
 */
async function askServer(context: Context, joined: Joined, draft: Unfinished): Promise<readonly Verdict[]> {
  if (draft.doubts.length === 0) return [];
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
