import type { RecordedUnit, SqlPart } from '../../initSql/types.ts';
import { lookUp, sessionSettings } from '../../objects/parameter.ts';
import type { Session } from '../../postgres/connection.ts';
import type { Run } from '../run.ts';
import type { OwnerSituation } from './situation.ts';

/**
 * Whether Citus carries roles while initSQL runs. It would send the role that owns a new table along with its schema, where
 * both are made in one transaction, and only a superuser may write another's attributes ("must be superuser to alter superuser
 * roles"; Citus: commands/dependencies.c, EnsureRequiredObjectSetExistOnAllNodes()). So it does that only for what makes or
 * alters roles itself.
 */

const SETTINGS = ['citus.enable_create_role_propagation', 'citus.enable_alter_role_propagation'] as const;

/** CREATE ROLE and its kin, in functions and DO blocks too, and GRANT of a role, which has no ON. */
const OF_ROLES =
  /\b(?:create|alter|drop)\s+(?:role|user|group)\b|\bon\s+role\b|\b(?:grant|revoke)\b(?:(?!\bon\b)[^;])*\b(?:to|from)\b/i;

export function touchesRoles({ sql }: Pick<SqlPart, 'sql'>): boolean {
  return OF_ROLES.test(sql);
}

/** The spec or the script may say so itself. */
function isChosen({ database, initSql }: OwnerSituation): boolean {
  const parameters = sessionSettings(database);
  const units = unitsOf(initSql);
  return SETTINGS.some(
    (name) => lookUp(parameters, name) !== undefined || units.some(({ sql }) => sql.toLowerCase().includes(name)),
  );
}

function unitsOf(initSql: OwnerSituation['initSql']): readonly SqlPart[] {
  if (initSql.kind === 'runAlways') return initSql.units;
  return initSql.kind === 'run' || initSql.kind === 'unknownOutcome' ? [...initSql.replay, ...initSql.pending] : [];
}

/** With which settings the session of initSQL begins. */
export function roleSettings(situation: OwnerSituation, mayCreateRoles: boolean): Readonly<Record<string, string>> {
  const { citus } = situation.declared.cluster;
  return !citus || (mayCreateRoles && isChosen(situation))
    ? {}
    : Object.fromEntries(SETTINGS.map((name) => [name, 'off']));
}

/** Before each unit: what it needs. */
export function carryRoles(
  situation: OwnerSituation,
  run: Run,
): (session: Session, unit: RecordedUnit) => Promise<void> {
  let carried = false;
  const leaves = !situation.declared.cluster.citus || isChosen(situation);
  return async (session, unit) => {
    const wanted = touchesRoles(unit);
    // A statement before (RESET ALL) may have set them back to off.
    if (leaves || (!wanted && !carried)) return;
    const statements = SETTINGS.map((name) => `SET ${name} = ${wanted ? 'on' : 'off'}`);
    await run.interruptible(() => session.script(statements.join(';\n')));
    carried = wanted;
  };
}
