import { type Joined, joinCluster } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import type { Script } from '../initSql/types.ts';
import { describeActivity } from '../postgres/activity.ts';
import { connect } from '../postgres/connection.ts';
import { applyDatabase } from '../reconcile/applyDatabase.ts';
import { locked, takeTurns } from '../reconcile/locked.ts';
import { check, decide, look, lookAgainAtServers, type Passwords } from '../reconcile/look.ts';
import { endOrphans } from '../reconcile/orphans.ts';
import { judgeScripts, prepareScripts } from '../reconcile/prepareScripts.ts';
import { throwIfInterrupted } from '../reconcile/run.ts';
import { server } from '../reconcile/situation.ts';
import { tellNow } from '../report/heldLog.ts';
import { readUserPasswords } from '../secrets/userPasswords.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { reportOutcome } from './outcome.ts';

export interface ApplyOptions {
  /** Each takes two connections on every node, and on the coordinator one more while initSQL runs. Default 1. */
  readonly databasesAtOnce?: number;
}

/** Makes every declared database so. One that fails does not stop the others; the worst counts (outcome.ts). */
export async function apply(context: Context, { databasesAtOnce = 1 }: ApplyOptions = {}): Promise<void> {
  const passwords = await readUserPasswords(context.spec, context.access.redactor);
  const drafts = await prepareScripts(context.spec);
  const joined = await joinCluster(context);
  const idle = [joined.sessions];
  try {
    const scripts = await judgeScripts(context, joined, drafts);
    await reportOutcome(
      context,
      async (database, own) => {
        const sessions = idle.pop() ?? joined.moreSessions();
        try {
          await applyOne(own, { ...joined, sessions }, database, passwords, scripts.get(database.name));
        } finally {
          // Those to the servers serve the next database.
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

async function applyOne(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  passwords: Passwords,
  script: Script | undefined,
): Promise<void> {
  const log = context.log.about({ database: database.name });
  log.frame(`Creating database: ${database.name}`);
  log.line(context.spec.cluster.citus ? 'PostgreSQL coordinator is ready!' : 'PostgreSQL is ready!');
  const changes = await locked(context, joined, database, async (run) => {
    let situation = await look(context, joined, run, database, passwords);
    if ((server(situation, joined.coordinator).initSqlSessions ?? 0) > 0) {
      await endOrphans(run, joined.coordinator, log);
      // What an orphan might have committed meanwhile does not count.
      situation = await look(context, joined, run, database, passwords);
    }
    const { warnings } = await check(run, situation);
    for (const text of warnings) log.warn(text);
    return await applyDatabase(situation, {
      run,
      log,
      initSql: decide(situation, script) ?? { kind: 'none' },
      openInitSqlSession: () =>
        connect({ node: joined.coordinator, database: database.name }, context.access, {
          applicationName: `citus-databases initSQL ${database.name}`,
          pinned: false,
          signal: context.signal,
          onLook: (activity) => tellNow(log, describeActivity(activity), 2),
        }),
      withRegistrationLock: (body) => takeTurns(context, joined, database, body),
      lookAgainAtServers: (seen) => lookAgainAtServers(context, run, seen, passwords),
    });
  });
  throwIfInterrupted(context.signal);
  log.blank();
  if (changes === 0) log.line('Nothing was changed');
  log.frame(`Database '${database.name}' is ready!`);
}
