import { awaitImage, type Joined } from '../cluster/join.ts';
import { joinAny } from '../cluster/joinAny.ts';
import { databaseNodes } from '../cluster/topology.ts';
import { waitForOneVersion } from '../cluster/versions.ts';
import { throwIfInterrupted, unlessInterrupted } from '../concurrency/interrupt.ts';
import { once } from '../concurrency/once.ts';
import type { Context } from '../context.ts';
import type { InitSqlLogin } from '../objects/initSqlRole.ts';
import { isCut, TOO_LONG_TO_READ } from '../objects/observe.ts';
import { lookUp, sessionSettings } from '../objects/parameter.ts';
import { describeActivity } from '../postgres/activity.ts';
import { connect } from '../postgres/connection.ts';
import { UNLOGGED } from '../postgres/startup.ts';
import { applyDatabase } from '../reconcile/applyDatabase.ts';
import { applyAsOwner } from '../reconcile/asOwner/apply.ts';
import { findingsOf, remarks, reported } from '../reconcile/findings.ts';
import { locked, withRegistrationLock } from '../reconcile/locked.ts';
import { observeAgain } from '../reconcile/observeAgain.ts';
import { check, type Given, observeSituation, type Passwords, withInitSql } from '../reconcile/observeSituation.ts';
import { endOrphans } from '../reconcile/orphans.ts';
import {
  closedWarnings,
  outdatedAmong,
  outdatedElsewhere,
  outdatedWarnings,
  updateElsewhere,
} from '../reconcile/otherDatabases.ts';
import { type GivenScript, judgeScripts, prepareScripts, readScripts } from '../reconcile/prepareScripts.ts';
import { inTurn, rebalance } from '../reconcile/rebalance.ts';
import { rebalanceTools } from '../reconcile/rebalanceTools.ts';
import { rememberCluster } from '../reconcile/rememberCluster.ts';
import { rememberScript } from '../reconcile/rememberScript.ts';
import type { Run } from '../reconcile/run.ts';
import { accessOf, runInitSql } from '../reconcile/runInitSql.ts';
import { mixedVersions } from '../reconcile/serverWarnings.ts';
import { rightsDiffer } from '../reconcile/shardFaults.ts';
import { isOpen, type Situation, server } from '../reconcile/situation.ts';
import { needsUpdate } from '../reconcile/updateOrder.ts';
import type { WorkReport } from '../reconcile/workReport.ts';
import { Failure } from '../report/errors.ts';
import { tellNow } from '../report/heldLog.ts';
import { readUserPasswords } from '../secrets/userPasswords.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { ApplyReport } from './applyReport.ts';
import { forEachDatabase } from './forEachDatabase.ts';

export interface ApplyOptions {
  readonly output?: 'text' | 'json';
  /** Each takes two connections on every node, and on the coordinator one more while initSQL runs. Default 1. */
  readonly databasesAtOnce?: number;
  /** Citus is updated in every database that has it, also where nobody declares it. */
  readonly allDatabases?: boolean;
}

interface Prepared {
  readonly passwords: Passwords;
  readonly scripts: ReadonlyMap<string, GivenScript>;
  /** Updates Citus in databases that nobody declares, once in a run. */
  readonly updateOthers: (seen: Situation) => Promise<void>;
}

/** Creates and maintains the declared databases. One that fails does not stop the others; the worst failure counts. */
export async function apply(context: Context, options: ApplyOptions = {}): Promise<void> {
  // Only its JSON lists what was changed.
  const changes = options.output === 'json' ? 'kept' : 'dropped';
  const report = new ApplyReport(context.spec.databases, { changes });
  try {
    await applyAll(context, options, report);
  } finally {
    if (options.output === 'json') context.print(report.json());
  }
}

async function applyAll(
  context: Context,
  { databasesAtOnce, allDatabases = false }: ApplyOptions,
  report: ApplyReport,
): Promise<void> {
  const passwords = await unlessInterrupted(context.signal, readUserPasswords(context.spec, context.access.redactor));
  const prepared = await unlessInterrupted(context.signal, prepareScripts(context.spec));
  const whileWaiting = () => readScripts(prepared);
  await awaitImage(context, whileWaiting);
  const joined = await joinAny(context, whileWaiting);
  const idle = [joined.sessions];
  try {
    const scripts = await judgeScripts(context, joined, prepared);
    if (allDatabases) await updateUndeclared(context, joined);
    let updates: Promise<void> | undefined;
    // Before the first declared database: a run that is killed in between finds that one outdated again.
    const updateOthers = (seen: Situation) => {
      updates ??= updateOthersOnce(context, joined, seen, allDatabases);
      return updates;
    };
    await forEachDatabase(
      context,
      async (database, own) => {
        const sessions = idle.pop() ?? joined.moreSessions();
        try {
          const script = scripts.get(database.name);
          await report.of(database, (work) =>
            context.spec.cluster.withoutSuperuser
              ? applyAsOwner(own, { ...joined, sessions }, database, { passwords, script }, work)
              : applyOne(own, { ...joined, sessions }, database, { passwords, scripts, updateOthers }, work),
          );
        } finally {
          // The sessions to the servers serve the next database.
          if (context.spec.databases.length > 1) await sessions.closeDatabase(database.name);
          idle.push(sessions);
        }
      },
      databasesAtOnce,
    );
  } finally {
    await Promise.all(idle.map((sessions) => sessions.close()));
  }
}

/** The database that Patroni manages follows the servers; the others are named, where there was something to update. */
async function updateOthersOnce(
  context: Context,
  joined: Joined,
  seen: Situation,
  allDatabases: boolean,
): Promise<void> {
  const { cluster } = context.spec;
  if (!cluster.citus || allDatabases) return;
  const { databases, citusVersion } = server(seen, joined.coordinator).settings;
  const own = { ...joined, sessions: joined.moreSessions() };
  try {
    const managed = databases.flatMap(({ name, connectable }) =>
      connectable && name === cluster.database ? [name] : [],
    );
    const outdated = await outdatedAmong(own, managed, citusVersion);
    for (const { name } of outdated) await updateElsewhere(context, own, name);
    if (outdated.length === 0 && !needsUpdate(seen)) return;
    const elsewhere = await outdatedElsewhere(context, own);
    for (const text of outdatedWarnings(elsewhere.outdated)) context.log.warn(text);
  } finally {
    await own.sessions.close();
  }
}

async function updateUndeclared(context: Context, joined: Joined): Promise<void> {
  const elsewhere = await outdatedElsewhere(context, joined);
  for (const text of closedWarnings(elsewhere)) context.log.warn(text);
  for (const { name } of elsewhere.outdated) await updateElsewhere(context, joined, name);
}

async function applyOne(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  { passwords, scripts, updateOthers }: Prepared,
  report: WorkReport,
): Promise<void> {
  const log = context.log.about({ database: database.name });
  log.frame(`Creating database: ${database.name}`);
  log.line(context.spec.cluster.citus ? 'PostgreSQL coordinator is ready!' : 'PostgreSQL is ready!');
  // The lock is given back while nodes of several versions are waited for: the coordinator may restart meanwhile.
  const given = { passwords, script: scripts.get(database.name) };
  const attempt = (patient: boolean) =>
    locked(context, joined, database, async (run) => {
      let observed = await observeSituation(context, joined, run, database, given);
      if ((server(observed, joined.coordinator).initSqlSessions ?? 0) > 0) {
        await endOrphans(run, database, joined.coordinator, log);
        // An orphaned session may have committed in between, so the observation is repeated.
        observed = await observeSituation(context, joined, run, database, given);
      }
      if (patient && mixedVersions(observed).length > 0) {
        return { kind: 'mixed', nodes: databaseNodes(observed.topology) } as const;
      }
      report.observed(findingsOf(observed).map(reported));
      const { warnings } = await check(run, observed);
      await rememberCluster(observed, log);
      for (const text of [...warnings, ...remarks(observed)]) log.warn(text);
      await updateOthers(observed);
      const situation = await withInitSql(observed, given.script);
      const openInitSqlSession = (login: InitSqlLogin | undefined) =>
        connect({ node: joined.coordinator, database: database.name }, accessOf(context, login, passwords), {
          applicationName: `citus-databases initSQL ${database.name}`,
          pinned: false,
          settings: initSqlSettings(situation, login),
          signal: context.signal,
          probeAs: context.access,
          onProbe: (activity) => tellNow(log, describeActivity(activity), 2),
        });
      const remember = once(() => rememberScript(run, joined.coordinator, given.script));
      const changes = await applyDatabase(situation, {
        run,
        log,
        report,
        observe: (what, nodes, seen, within) =>
          observeAgain(what, nodes, seen, { run: within, passwords, redactor: context.access.redactor }),
        withRegistrationLock: (body) => withRegistrationLock(context, joined, database, body),
        execute: async (procedure, within, to) => {
          if (procedure.name !== 'rebalance') {
            // By the way: it has been read, whatever becomes of it.
            const [executed] = await Promise.allSettled([
              runInitSql(situation, { run: within, log: to, open: openInitSqlSession }),
              remember(),
            ]);
            if (executed.status === 'rejected') throw executed.reason;
            return executed.value;
          }
          const tools = rebalanceTools(joined, database.name, { signal: context.signal, log: to });
          return (await inTurn(tools, () => rebalance(tools, database.rebalance.options, 'rebalance'))) ? 1 : 0;
        },
      });
      if (needsUpdate(observed)) await lookAtShards(context, joined, run, database, given);
      await remember();
      return { kind: 'done', changes } as const;
    });
  let result = await attempt(true);
  if (result.kind === 'mixed') {
    await waitForOneVersion({ ...context, log }, joined, result.nodes, database);
    result = await attempt(false);
  }
  throwIfInterrupted(context.signal);
  log.blank();
  if (result.kind === 'done' && result.changes === 0) log.line('Nothing was changed');
  log.frame(`Database '${database.name}' is ready!`);
}

/** Before the update of Citus nobody could look at them (objects/shard.ts). */
async function lookAtShards(
  context: Context,
  joined: Joined,
  run: Run,
  database: DatabaseSpec,
  given: Given,
): Promise<void> {
  const updated = await observeSituation(context, joined, run, database, given);
  await check(run, updated);
  if (!rightsDiffer(updated.topology, updated.inside)) return;
  throw new Failure({
    kind: 'failed',
    what: 'Citus was updated, and shards are not as their tables, which could not be seen before',
    database: database.name,
    next: 'Run again: the next run repairs them',
  });
}

/**
 * The declared parameters, which the database itself has only from Step 8 on. Where the superuser has settings of its own
 * (superuserSetting.ts), those of the database have to be given too.
 */
function initSqlSettings(situation: Situation, login: InitSqlLogin | undefined): Readonly<Record<string, string>> {
  const { database, servers } = situation;
  const declared = sessionSettings(database);
  if (login !== undefined) {
    // Those that only a superuser may set, the database gets in Step 8; a session of anybody else could not begin.
    const known = new Map(servers.get(0)?.knownParameters.map(({ name, context }) => [name.toLowerCase(), context]));
    const own = Object.entries(declared).filter(([name]) => known.get(name) !== 'superuser');
    return { ...Object.fromEntries(own), role: login.role };
  }
  const hidden = database.initSQLFrom.some(({ secret }) => secret) ? UNLOGGED : {};
  if (!isOpen(situation)) return { ...declared, ...hidden };
  const path = lookUp(servers.get(0)?.parameters ?? {}, 'search_path') ?? '"$user", public';
  if (isCut(path) && lookUp(declared, 'search_path') === undefined) throw tooLong(database.name);
  return { role: 'none', search_path: path, ...declared, ...hidden };
}

function tooLong(database: string): Failure {
  return new Failure({
    kind: 'refused',
    what: `Setting 'search_path' of database '${database}' is ${TOO_LONG_TO_READ}, so that initSQL cannot have it`,
    database,
    next: 'Declare `search_path` in `parameters`, or shorten it',
  });
}
