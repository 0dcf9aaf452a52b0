import { databaseNodes } from '../cluster/topology.ts';
import { loadGrammar } from '../initSql/grammar.ts';
import {
  askWhoseCode,
  CURRENT_SCHEMAS,
  closedPath,
  IS_SHUT,
  TEMPLATE_HAS_OBJECTS_OF_OTHERS,
  WAYS_IN,
  type WaysIn,
} from '../initSql/othersCode.ts';
import { lineOf } from '../initSql/place.ts';
import { pathSetBy } from '../initSql/searchPath.ts';
import { evaluates, NOTHING_NAMED, touchesOf } from '../initSql/touches.ts';
import type { Opening, SqlPart, Unit } from '../initSql/types.ts';
import { isShared } from '../objects/superuserSetting.ts';
import type { Session } from '../postgres/connection.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { Run } from './run.ts';
import { closedFor, type Situation, server } from './situation.ts';

/**
 * Keeps initSQL from running code of others as superuser. In a database that is open to an owner, or in which somebody
 * else has a part, the session resolves names in schemas of superusers alone, and a statement that touches anything of
 * others is refused before it is sent. While nobody else is let in (closedDatabase.ts) there is nothing to keep it from, save
 * for what the template brought along.
 */
export interface Guard {
  /**
   * - nobodyElse: there is no code of others that initSQL could run.
   * - accepted: there may be, and the spec accepts that it runs.
   * - checked: there may be, and a statement that could run it is refused.
   */
  readonly kind: 'nobodyElse' | 'accepted' | 'checked';
  /** Throws a Failure when the unit must not be executed. */
  readonly check: (unit: Unit) => Promise<void>;
  /** Behind units that open so much, another guard may hold. */
  readonly heeds: readonly Opening[];
  /** The guard that holds behind such a unit. */
  readonly after: () => Promise<Guard>;
}

export const NOBODY_ELSE: Guard = {
  kind: 'nobodyElse',
  check: async () => undefined,
  heeds: [],
  after: async () => NOBODY_ELSE,
};
const ACCEPTED: Guard = { ...NOBODY_ELSE, kind: 'accepted', after: async () => ACCEPTED };

export async function guardInitSql(
  situation: Situation,
  { run, session, log }: { readonly run: Run; readonly session: Session; readonly log: LineLog },
): Promise<Guard> {
  const { database, spec, topology } = situation;
  const ask = async <Row>(text: string): Promise<Row | undefined> => {
    const own = await run.session({ node: topology.coordinator, scope: 'database' });
    const results = await run.interruptible(() => own.script<Row>(text, run.lockLimits()));
    return results.at(-1)?.rows[0];
  };
  const alone: Guard = {
    ...NOBODY_ELSE,
    heeds: ['objects', 'database'],
    after: async () => await judge(WAYS_IN, alone),
  };
  /** What initSQL gives away, nobody can use before the database is opened. */
  const shut: Guard = {
    ...NOBODY_ELSE,
    heeds: ['database'],
    after: async () => {
      const stillShut = (await ask<{ readonly shut: boolean }>(IS_SHUT))?.shut === true;
      return stillShut ? shut : await judge(WAYS_IN, alone);
    },
  };

  async function judge(question: string, otherwise: Guard): Promise<Guard> {
    const why = reasonOf(await ask<WaysIn>(question));
    if (why === undefined) return otherwise;
    return database.initSQLRunsCodeOfOthers ? ACCEPTED : await checked(run, { session, log, ask, why });
  }

  if (isShut(situation)) return await judge(TEMPLATE_HAS_OBJECTS_OF_OTHERS, shut);
  if (database.initSQLRunsCodeOfOthers) return ACCEPTED;
  if (!isShared(database, spec.cluster.user)) return await judge(WAYS_IN, alone);
  return await checked(run, { session, log, ask, why: OTHERS_CREATE });
}

const OTHERS_CREATE = 'Others may create objects in this database';

function reasonOf(ways: WaysIn | undefined): string | undefined {
  if (ways === undefined) throw new Error('no answer to who has a part in the database');
  if (ways.owns) return 'Others own objects in this database';
  if (ways.creates) return OTHERS_CREATE;
  return ways.attaches ? 'Others may create triggers or foreign keys on tables of this database' : undefined;
}

interface Asking {
  readonly session: Session;
  readonly log: LineLog;
  readonly ask: <Row>(text: string) => Promise<Row | undefined>;
  readonly why: string;
}

/**
 * With it, Citus makes local tables again of tables that nothing connects to a reference table any more, whoever owns them, behind
 * any statement that drops a constraint (Citus: utility_hook.c, ShouldUndistributeCitusLocalTables()). That copies their rows.
 */
const UNDOING = 'citus.enable_local_reference_table_foreign_keys';
const UNDOES_NOTHING = `SET ${UNDOING} = off`;

/** From now on, names are looked up in schemas of superusers alone. */
async function checked(run: Run, { session, log, ask, why }: Asking): Promise<Guard> {
  const grammar = await loadGrammar();
  const path = (await ask<{ readonly path: string }>(closedPath(await schemasOf(session))))?.path ?? "''";
  await session.script(`SET search_path = ${path}; ${UNDOES_NOTHING}`);
  log.line(`${why}: search_path is ${path === "''" ? 'empty' : path}`, 1);

  async function whatFor({ sql }: SqlPart, besides: readonly string[] = []): Promise<string | undefined> {
    const touches = touchesOf(sql, grammar);
    if (touches.kind === 'anything') return touches.why;
    const question =
      touches.kind === 'catalogs'
        ? { ...NOTHING_NAMED, path: [] }
        : { ...touches, path: [...(await schemasOf(session)), ...besides] };
    const answer = await ask<{ readonly reason: string | null }>(askWhoseCode(question));
    if (answer === undefined) throw new Error('no answer to whose code a statement would run');
    return answer.reason ?? undefined;
  }

  const self: Guard = {
    kind: 'checked',
    heeds: [],
    after: async () => self,
    check: async (unit) => {
      if (unit.kind === 'session' && !evaluates(unit.sql, grammar)) return;
      const parts = unit.kind === 'block' ? unit.statements : [unit];
      // The script may have set it meanwhile, or reset everything.
      if (unit.kind !== 'session') await session.script(UNDOES_NOTHING, { joinable: true });
      const undoing = unit.kind === 'block' ? parts.find(({ sql }) => sql.toLowerCase().includes(UNDOING)) : undefined;
      if (undoing !== undefined) throw refusedFor(run, undoing, `it sets ${UNDOING}`);
      // The block is asked about before its first statement is sent.
      const within =
        unit.kind === 'block' ? parts.map((part) => ({ part, schemas: pathSetBy(part.sql, grammar) })) : [];
      const unclear = within.find(({ schemas }) => schemas === 'unknown');
      if (unclear !== undefined)
        throw refusedFor(run, unclear.part, 'its text does not tell which search_path it sets');
      const besides = within.flatMap(({ schemas }) => (schemas === 'unknown' ? [] : schemas));
      for (const part of parts) {
        const reason = await whatFor(part, besides);
        if (reason !== undefined) throw refusedFor(run, part, reason);
      }
    },
  };
  return self;
}

/**
 * Nobody else is let in (closedDatabase.ts), and has not been: an earlier run may have opened some of the nodes before it
 * ended, and whoever has CREATEDB on a worker may have made the database there.
 */
function isShut(situation: Situation): boolean {
  const superuser = closedFor(situation);
  if (superuser === undefined) return false;
  return databaseNodes(situation.topology).every((node) => {
    const { database } = server(situation, node);
    return database === null || (database.owner === superuser && database.connectionLimit === 0);
  });
}

async function schemasOf(session: Session): Promise<readonly string[]> {
  const [result] = await session.script<{ readonly path: string }>(CURRENT_SCHEMAS, { joinable: true });
  return JSON.parse(result?.rows[0]?.path ?? '[]') as string[];
}

function refusedFor(run: Run, part: SqlPart, reason: string): Failure {
  return new Failure({
    kind: 'refused',
    what: `initSQL, line ${lineOf(part)}: this statement could run code of others as superuser, and was not executed`,
    node: run.coordinator,
    database: run.database,
    cause: reason,
    next:
      'Let it run as the owner of what it touches (initSQLRole), or keep what it touches in a schema of the superuser. ' +
      'initSQLRunsCodeOfOthers: true runs it anyway (docs/SECURITY.md)',
  });
}
