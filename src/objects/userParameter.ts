import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { entryOf } from './entryOf.ts';
import { type Fragment, SETTING_NAME, textArray } from './observe.ts';
import {
  comparedValue,
  isCompared,
  isServerWide,
  isSet,
  type KnownParameter,
  lookUp,
  type ObservedParameters,
  parameterProblems,
  setParameter,
  shortened,
  WRONG_VALUE,
} from './parameter.ts';
import { wording } from './wording.ts';

/** Settings of roles in one database (pg_db_role_setting), by role: of the users, and of the superuser who asks. */
export type ObservedUserParameters = Readonly<Record<string, ObservedParameters>>;

export function observeUserParameters(database: DatabaseSpec): Fragment {
  const users = database.users.map((user) => user.name);
  return {
    key: 'userParameters',
    value: `(SELECT coalesce(pg_catalog.jsonb_object_agg(found.role, found.settings), '{}') FROM (
      SELECT pg_catalog.pg_get_userbyid(s.setrole) AS role,
             pg_catalog.jsonb_object_agg(${SETTING_NAME}, ${comparedValue(database)}) AS settings
      FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
           pg_catalog.unnest(s.setconfig) entry
      WHERE d.datname::pg_catalog.text = ${quoteLiteral(database.name)} AND ${isCompared(database)}
        AND pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text = ANY (${textArray(users)} || current_user::pg_catalog.text)
      GROUP BY 1) found)`,
  };
}

/** Sets what differs, on one node. Settings that the spec does not name stay as they are. */
export function diffUserParameters(
  database: DatabaseSpec,
  observed: ObservedUserParameters,
  node: NodeSpec,
): readonly Change[] {
  return database.users.flatMap((user) =>
    Object.entries(user.parameters).flatMap(([name, value]): Change[] => {
      const stored = lookUp(entryOf(observed, user.name) ?? {}, name);
      if (isSet(name, stored, value)) return [];
      const place = `${quoteIdentifier(user.name)} IN DATABASE ${quoteIdentifier(database.name)}`;
      return [
        {
          ...{ kind: 'change', node, scope: 'server', doneOnRetry: [], invalidOn: WRONG_VALUE, secret: false },
          ...wording(
            'set',
            `parameter ${name} of role ${quoteIdentifier(user.name)} in database ${quoteIdentifier(database.name)} to ${quoteLiteral(shortened(value)).trim()}`,
          ),
          statements: [{ text: `ALTER ROLE ${place} ${setParameter(name, value)}` }],
          failure: `Failed to set parameter ${name} of role '${user.name}'`,
          next: 'Correct the value in `users`',
        },
      ];
    }),
  );
}

/** A role holds the same parameters as a database does. */
export function userParameterProblems(
  database: DatabaseSpec,
  known: readonly KnownParameter[],
  citus: boolean,
): readonly Problem[] {
  return database.users.flatMap(({ name, parameters }): readonly Problem[] => [
    ...(citus ? roleProblems(database, name, lookUp(parameters, 'role')) : []),
    ...Object.keys(parameters)
      .filter(isServerWide)
      .map(
        (parameter): Problem => ({
          kind: 'invalid',
          what: `Parameter '${parameter}' cannot belong to role '${name}': it is read from the server's configuration only`,
          next: 'Take it out of `users` and set it for the servers (patroni.postgresql.parameters in the chart)',
        }),
      ),
    ...parameterProblems({ ...database, parameters }, known),
  ]);
}

/** Citus connects to the other nodes as the current user (Citus: connection/connection_management.c, CurrentUserName()). */
function roleProblems({ users }: DatabaseSpec, user: string, role: string | undefined): readonly Problem[] {
  if (role === undefined || role === 'none' || users.some((other) => other.name === role && other.login)) return [];
  return [
    {
      kind: 'invalid',
      what: `Parameter 'role' of user '${user}' names '${role}', which no user of this database is called`,
      next: 'Declare that role in `users` too, with a password: Citus reaches the other nodes as the role that is set',
    },
  ];
}
