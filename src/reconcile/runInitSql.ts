import type { Context } from '../context.ts';
import type { RecordedUnit } from '../initSql/types.ts';
import { type InitSqlLogin, initSqlLogin } from '../objects/initSqlRole.ts';
import { WRONG_VALUE } from '../objects/parameter.ts';
import type { Session } from '../postgres/connection.ts';
import { classify, codeOf, describe } from '../postgres/sqlstate.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { executeAsRole } from './executeAsRole.ts';
import { executeInitSql, type InitSqlWork } from './executeInitSql.ts';
import { type Guard, guardInitSql } from './guardInitSql.ts';
import { newMark } from './initSqlUnits.ts';
import type { Passwords } from './observeSituation.ts';
import type { Run } from './run.ts';
import type { Situation } from './situation.ts';

/** undefined: as the superuser. */
export type OpenInitSql = (login: InitSqlLogin | undefined) => Promise<Session>;

/** How that session logs in. */
export function accessOf(
  { access }: Context,
  login: InitSqlLogin | undefined,
  passwords: Passwords,
): Context['access'] {
  if (login === undefined) return access;
  return { ...access, user: login.user.name, password: passwords.get(login.user.name) };
}

export interface RunInitSql {
  readonly run: Run;
  readonly log: LineLog;
  readonly open: OpenInitSql;
  /** What a unit needs of the session, where the login role executes it. */
  readonly before?: (session: Session, unit: RecordedUnit) => Promise<void>;
}

/** Carries out what initSqlItems() decided, in a session of its own. Returns how many changes that made. */
export async function runInitSql(situation: Situation, { run, log, open, before }: RunInitSql): Promise<number> {
  const { initSql, spec, database } = situation;
  if (!isWork(initSql)) return 0;
  const login = initSqlLogin(database, spec.cluster.user);
  const session = await open(undefined).catch((error: unknown) => {
    throw openFailure(run, error);
  });
  try {
    const marking = session.script(newMark());
    const guarding =
      login !== undefined || initSql.kind === 'record' ? undefined : guardInitSql(situation, { run, session, log });
    const [guard] = await Promise.all([guarding, marking]);
    const extensions = [...(spec.cluster.citus ? ['citus'] : []), ...database.extensions.map(({ name }) => name)];
    if (login !== undefined && initSql.kind !== 'record') {
      const own = await open(login).catch((error: unknown) => {
        throw openFailure(run, error);
      });
      try {
        await own.script(newMark());
        const executed = await executeAsRole({ run, log, session: own, ledger: session }, initSql);
        if (executed > 0) log.line(`Custom SQL executed successfully as ${login.role}!`, 1);
        return executed;
      } finally {
        await own.close();
      }
    }
    const checked = guard === undefined ? undefined : withBefore(guard, session, before);
    const executed = await executeInitSql(run, session, initSql, log, extensions, checked);
    if (executed > 0) log.line('Custom SQL executed successfully!', 1);
    return initSql.kind === 'record' ? initSql.units.length : executed;
  } finally {
    await session.close();
  }
}

function withBefore(guard: Guard, session: Session, before: RunInitSql['before']): Guard {
  if (before === undefined) return guard;
  return {
    // Each unit by itself.
    kind: guard.kind === 'nobodyElse' ? 'accepted' : guard.kind,
    check: async (unit) => {
      await guard.check(unit);
      if (unit.kind !== 'session') await before(session, unit);
    },
    heeds: guard.heeds,
    after: async () => withBefore(await guard.after(), session, before),
  };
}

function isWork(decision: Situation['initSql']): decision is InitSqlWork {
  return decision.kind !== 'none' && decision.kind !== 'skip';
}

/** A setting that this database does not take shows when its first session opens, and would stop all that come later. */
function openFailure(run: Run, error: unknown): unknown {
  if (error instanceof Failure || error instanceof Interrupted || classify(error) === 'transient') return error;
  return new Failure(
    {
      kind: WRONG_VALUE.includes(codeOf(error) ?? '') ? 'invalid' : 'failed',
      what: 'Failed to open the session of initSQL, which has the declared `parameters`',
      node: run.coordinator,
      database: run.database,
      cause: describe(error),
      next: 'Correct the value in `parameters`: nothing of initSQL was executed by this run',
    },
    { cause: error },
  );
}
