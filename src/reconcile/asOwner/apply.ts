import type { Joined } from '../../cluster/join.ts';
import { waitForDatabase } from '../../cluster/joinAsOwner.ts';
import { throwIfInterrupted } from '../../concurrency/interrupt.ts';
import type { Context } from '../../context.ts';
import type { InitSqlLogin } from '../../objects/initSqlRole.ts';
import { sessionSettings } from '../../objects/parameter.ts';
import { describeActivity } from '../../postgres/activity.ts';
import { connect, type Session } from '../../postgres/connection.ts';
import { Failure } from '../../report/errors.ts';
import { tellNow } from '../../report/heldLog.ts';
import type { StepLog } from '../../report/stepLog.ts';
import type { DatabaseSpec } from '../../spec/types.ts';
import { carryOut } from '../carryOut.ts';
import { findingsOf, reported } from '../findings.ts';
import { runsAlways } from '../initSqlItems.ts';
import { locked } from '../locked.ts';
import type { Passwords } from '../observeSituation.ts';
import { endOrphans } from '../orphans.ts';
import { planOf } from '../planDatabase.ts';
import { readGiven } from '../prepareScripts.ts';
import type { Run } from '../run.ts';
import { accessOf, runInitSql } from '../runInitSql.ts';
import { server } from '../situation.ts';
import type { WorkReport } from '../workReport.ts';
import { checkRights, decideAsOwner, type GivenAsOwner } from './assess.ts';
import { carryRoles, roleSettings } from './carriedRoles.ts';
import { observeAsOwner } from './observe.ts';
import { OWNER_ORDER } from './order.ts';
import { proveAsOwner, readyLine } from './prove.ts';
import { rightsWarnings } from './rights.ts';
import type { OwnerSituation } from './situation.ts';

/** Makes one database as declared, with the rights of a role that is no superuser; names first what these do not allow. */
export async function applyAsOwner(
  context: Context,
  joined: Joined,
  database: DatabaseSpec,
  given: GivenAsOwner,
  report: WorkReport,
): Promise<void> {
  const { passwords } = given;
  const script = await readGiven(given.script);
  const log = context.log.about({ database: database.name });
  log.frame(`Database: ${database.name}`);
  await waitForDatabase({ ...context, log }, joined, database);
  log.line(context.spec.cluster.citus ? 'PostgreSQL coordinator is ready!' : 'PostgreSQL is ready!');
  log.line(`Working as '${context.spec.cluster.user}' through the coordinator, without a superuser`);
  const done = await locked(context, joined, database, async (run) => {
    const observe = () => observeAsOwner(context, joined, run, database, passwords);
    let observed = await observe();
    if ((server(observed, joined.coordinator).initSqlSessions ?? 0) > 0) {
      await endOrphans(run, database, joined.coordinator, log);
      // An orphaned session may have committed in between.
      observed = await observe();
    }
    report.observed(findingsOf(observed).map(reported));
    await checkRights(run, observed);
    for (const text of rightsWarnings(observed)) log.warn(text);
    const situation = decideAsOwner(observed, script);
    const open = (login: InitSqlLogin | undefined) =>
      openInitSql({ ...context, log }, joined, situation, login, passwords);
    const { state, changes } = await carryOut(OWNER_ORDER, situation, {
      run,
      log,
      report,
      observe: async (_what, _nodes, _seen, within) => {
        const again = await observeAsOwner(context, joined, within, database, NO_PASSWORDS);
        return ({ users, initSql }) => ({ ...again, users, initSql });
      },
      withRegistrationLock: (body) => body(),
      execute: async (_procedure, within, to) =>
        await runInitSql(situation, { run: within, log: to, open, before: carryRoles(situation, within) }),
    });
    await prove(run, changes === 0 ? state : decideAsOwner(await observe(), script), changes, log);
    return { state, changes };
  });
  throwIfInterrupted(context.signal);
  log.blank();
  if (done.changes === 0) log.line('Nothing was changed');
  log.frame(`${readyLine(done.state)}!`);
}

/** Whether the passwords hold was tried when the run began. */
const NO_PASSWORDS: Passwords = new Map();

async function prove(run: Run, situation: OwnerSituation, changes: number, log: StepLog): Promise<void> {
  log.blank();
  log.line(`Verifying database '${run.database}' from the coordinator...`);
  if (changes > 0) nothingLeft(situation);
  await proveAsOwner(run, situation, log, 'all');
}

/** What Citus should have carried to the workers shows here. */
function nothingLeft(situation: OwnerSituation): void {
  // initSQL with policy `always` is due in every run.
  const seen: OwnerSituation = runsAlways(situation.initSql) ? { ...situation, initSql: { kind: 'none' } } : situation;
  const { steps: left } = planOf(seen, [], OWNER_ORDER);
  if (left.length === 0) return;
  throw new Failure({
    kind: 'failed',
    what: `Verification failed: database '${situation.database.name}' is not as declared after the run`,
    database: situation.database.name,
    cause: left.flatMap((step) => step.changes.map(({ node, summary }) => `${node}: ${summary}`)).join('\n'),
    next: 'Run again; if the same is left, look at the servers: something sets it back, or the service does not keep it',
  });
}

async function openInitSql(
  context: Context,
  { coordinator }: Joined,
  situation: OwnerSituation,
  login: InitSqlLogin | undefined,
  passwords: Passwords,
): Promise<Session> {
  const { database, servers, rights } = situation;
  const mayCreateRoles =
    login === undefined ||
    servers.get(0)?.roles.some(({ name, createRole }) => name === login.role && createRole) === true;
  // A session that begins with a parameter of superusers could not begin.
  const known = new Map(servers.get(0)?.knownParameters.map(({ name, context: of }) => [name.toLowerCase(), of]));
  const settable = new Set(rights.settable.map((name) => name.toLowerCase()));
  const may = (name: string) =>
    known.get(name.toLowerCase()) !== 'superuser' || (login === undefined && settable.has(name.toLowerCase()));
  const own = Object.entries(sessionSettings(database)).filter(([name]) => may(name));
  return await connect({ node: coordinator, database: database.name }, accessOf(context, login, passwords), {
    applicationName: `citus-databases initSQL ${database.name}`,
    pinned: false,
    settings: { ...roleSettings(situation, mayCreateRoles), ...Object.fromEntries(own), role: login?.role ?? 'none' },
    signal: context.signal,
    probeAs: context.access,
    onProbe: (activity) => tellNow(context.log, describeActivity(activity), 2),
  });
}
