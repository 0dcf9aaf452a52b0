import { databaseNodes } from '../cluster/topology.ts';
import { loadGrammar } from '../initSql/grammar.ts';
import {
  askWhoseCode,
  CURRENT_SCHEMAS,
  closedPath,
  OTHERS_HAVE_A_PART,
  TEMPLATE_HAS_OBJECTS_OF_OTHERS,
} from '../initSql/othersCode.ts';
import { lineOf } from '../initSql/place.ts';
import { pathSetBy } from '../initSql/searchPath.ts';
import { evaluates, touchesOf } from '../initSql/touches.ts';
import type { SqlPart, Unit } from '../initSql/types.ts';
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
}

export const NOBODY_ELSE: Guard = { kind: 'nobodyElse', check: async () => undefined };
const ACCEPTED: Guard = { ...NOBODY_ELSE, kind: 'accepted' };

export async function guardInitSql(
  situation: Situation,
  { run, session, log }: { readonly run: Run; readonly session: Session; readonly log: LineLog },
): Promise<Guard> {
  const { database, spec, topology } = situation;
  const ask = async <Row>(text: string): Promise<Row | undefined> => {
    const own = await run.session({ node: topology.coordinator, scope: 'database' });
    const results = await run.interruptible(() => own.script<Row>(text, { lockDeadline: run.deadline() }));
    return results.at(-1)?.rows[0];
  };
  const closed = isShut(situation);
  if (!closed && database.initSQLRunsCodeOfOthers) return ACCEPTED;
  let why = 'Others may create objects in this database';
  if (closed || !isShared(database, spec.cluster.user)) {
    const question = closed ? TEMPLATE_HAS_OBJECTS_OF_OTHERS : OTHERS_HAVE_A_PART;
    const found = await ask<{ readonly others: boolean; readonly owns: boolean }>(question);
    if (found?.others !== true) return NOBODY_ELSE;
    if (found.owns) why = 'Others own objects in this database';
  }
  if (database.initSQLRunsCodeOfOthers) return ACCEPTED;
  const grammar = await loadGrammar();
  const path = (await ask<{ readonly path: string }>(closedPath(await schemasOf(session))))?.path ?? "''";
  await session.script(`SET search_path = ${path}`);
  log.line(`${why}: search_path is ${path === "''" ? 'empty' : path}`, 1);

  async function whatFor({ sql }: SqlPart, besides: readonly string[] = []): Promise<string | undefined> {
    const touches = touchesOf(sql, grammar);
    if (touches.kind === 'anything') return touches.why;
    const question =
      touches.kind === 'catalogs'
        ? { statement: '', path: [], relations: [], functions: [], types: [], schemas: [] }
        : { ...touches, statement: sql, path: [...(await schemasOf(session)), ...besides] };
    const answer = await ask<{ readonly reason: string | null }>(askWhoseCode(question));
    if (answer === undefined) throw new Error('no answer to whose code a statement would run');
    return answer.reason ?? undefined;
  }

  return {
    kind: 'checked',
    check: async (unit) => {
      if (unit.kind === 'session' && !evaluates(unit.sql, grammar)) return;
      const parts = unit.kind === 'block' ? unit.statements : [unit];
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
