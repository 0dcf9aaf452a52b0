import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, ExporterSpec, NodeSpec, UserSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import type { ObservedMemberships } from './membership.ts';
import { type Fragment, jsonRows, SETTING_NAME, SETTING_VALUE } from './observe.ts';
import type { ObservedRole } from './role.ts';
import { diffUser, userProblems, type WantedUser, wantedUser } from './user.ts';
import { wording } from './wording.ts';

/**
 * The role of a metrics exporter, on every node: it reads statistics (PostgreSQL documentation, "Predefined Roles") and
 * nothing else. It belongs to the servers and to no database, so that it has no row in pg_dist_authinfo: an exporter asks
 * the server beside it.
 */

const GROUP = 'pg_monitor';

/** On each node; an exporter that goes astray leaves connections for others. */
const CONNECTIONS = 5;

/** With another one, an owner's function or view could stand in for what the exporter asks for, and run as its role. */
const SEARCH_PATH = 'pg_catalog';

export interface ObservedExporter {
  /** search_path of the role: in one database, or everywhere (null). */
  readonly searchPaths: readonly { readonly database: string | null; readonly value: string }[];
  /** Whether it may connect to the maintenance database; as PUBLIC, while the role is not there. */
  readonly connects: boolean;
  readonly maintenanceDatabase: string;
}

/** Asked in the maintenance database. */
export function observeExporter({ name }: ExporterSpec): Fragment {
  const role = quoteLiteral(name);
  const searchPaths = jsonRows(`
    SELECT d.datname AS database, ${SETTING_VALUE} AS value
    FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase,
         pg_catalog.unnest(s.setconfig) entry
    WHERE pg_catalog.pg_get_userbyid(s.setrole)::pg_catalog.text = ${role}
      AND ${SETTING_NAME} = 'search_path'`);
  const grantee = `coalesce((SELECT rolname FROM pg_catalog.pg_roles WHERE rolname::pg_catalog.text = ${role}), 'public')`;
  return {
    key: 'exporter',
    value: `pg_catalog.jsonb_build_object('searchPaths', ${searchPaths},
      'connects', pg_catalog.has_database_privilege(${grantee}, pg_catalog.current_database()::pg_catalog.text, 'CONNECT'),
      'maintenanceDatabase', pg_catalog.current_database())`,
  };
}

/** As every node has to have it: whatever attributes the role has on the coordinator, it has none of its own. */
export function wantedExporter(
  exporter: ExporterSpec,
  database: DatabaseSpec,
  password: string | undefined,
  onCoordinator: ObservedRole | undefined,
  salt: Uint8Array,
): WantedUser {
  const spec: UserSpec = {
    ...{ name: exporter.name, passwordFile: exporter.passwordFile, access: 'readOnly', login: true },
    ...{ connectionLimit: CONNECTIONS, memberOf: [GROUP], parameters: {} },
  };
  const wanted = wantedUser(spec, database, password, onCoordinator, salt);
  const none = { createRole: false, createDatabase: false, replication: false, bypassRls: false };
  return { ...wanted, role: { ...wanted.role, ...none, inherit: true } };
}

/** What one node lacks of the role. */
export function diffExporter(
  wanted: WantedUser,
  roles: readonly ObservedRole[],
  memberships: ObservedMemberships,
  observed: ObservedExporter | undefined,
  node: NodeSpec,
  serverVersion: number,
  /** Who may be a member of it. undefined: not asked. */
  members?: Iterable<string>,
): readonly Change[] {
  const name = quoteIdentifier(wanted.role.name);
  const base = {
    ...({ kind: 'change', node, scope: 'server', doneOnRetry: [], secret: false } as const),
    failure: `Failed to complete role '${wanted.role.name}' of cluster.exporter`,
  };
  const searchPaths = observed?.searchPaths ?? [];
  const everywhere = searchPaths.find(({ database }) => database === null)?.value;
  const changes: Change[] = [...diffUser(wanted, roles, memberships, node, serverVersion, members)];
  if (everywhere !== SEARCH_PATH) {
    changes.push({
      ...base,
      ...wording('set', `search_path of role ${name} to ${SEARCH_PATH}`),
      statements: [{ text: `ALTER ROLE ${name} SET search_path = ${SEARCH_PATH}` }],
    });
  }
  for (const { database } of searchPaths) {
    if (database === null) continue;
    const place = `role ${name} in database ${quoteIdentifier(database)}`;
    changes.push({
      ...base,
      ...wording('reset', `search_path of ${place}`),
      statements: [{ text: `ALTER ROLE ${name} IN DATABASE ${quoteIdentifier(database)} RESET search_path` }],
    });
  }
  if (observed?.connects === false) {
    const database = quoteIdentifier(observed.maintenanceDatabase);
    changes.push({
      ...base,
      ...wording('grant', `on database ${database}: CONNECT to ${name}`),
      statements: [{ text: `GRANT CONNECT ON DATABASE ${database} TO ${name}` }],
    });
  }
  return changes;
}

/** A role that is more already: to take that away could break whoever uses it. */
export function exporterProblems(
  { spec: user, role }: WantedUser,
  roles: readonly ObservedRole[],
  memberships: ObservedMemberships,
  node: string,
): readonly Problem[] {
  const name = quoteIdentifier(role.name);
  const found = memberships[role.name] ?? [];
  const excess = found.flatMap(({ group, admin }) => {
    if (group !== GROUP) return [{ group, revoke: `REVOKE ${quoteIdentifier(group)} FROM ${name}` }];
    return admin
      ? [{ group: `${GROUP} WITH ADMIN OPTION`, revoke: `REVOKE ADMIN OPTION FOR ${GROUP} FROM ${name}` }]
      : [];
  });
  return [
    ...userProblems([user], roles, node),
    ...excess.map(
      ({ group, revoke }): Problem => ({
        kind: 'refused',
        what: `Role '${role.name}' of cluster.exporter has '${group}': pg_monitor is all that it may have`,
        node,
        next: `Name another role in cluster.exporter, or take that from it: ${revoke}`,
      }),
    ),
  ];
}
