import type { DatabaseSpec, UserSpec } from '../spec/types.ts';

/** Who logs in for initSQL, and as whom its statements run. */
export interface InitSqlLogin {
  readonly user: UserSpec;
  /** The user itself, or the owner that the user is a member of. */
  readonly role: string;
}

/**
 * undefined: initSQL runs as the superuser. Else a login of a declared user: whatever a superuser's session sets itself
 * to, SQL that it runs can set back (RESET ROLE in a trigger; PostgreSQL documentation, SET SESSION AUTHORIZATION).
 */
export function initSqlLogin(database: DatabaseSpec, superuser: string): InitSqlLogin | undefined {
  const role = database.initSQLRole === 'owner' ? database.owner : database.initSQLRole;
  if (role === undefined || role === superuser) return undefined;
  const able = database.users.filter(({ login, passwordFile }) => login && passwordFile !== undefined);
  const user =
    able.find(({ name }) => name === role) ??
    (role === database.owner ? able.find(({ access }) => access === 'owner') : undefined);
  // The spec is refused without one (initSqlContradictions.ts).
  if (user === undefined) throw new Error(`no declared user can log in as ${role}`);
  return { user, role };
}
