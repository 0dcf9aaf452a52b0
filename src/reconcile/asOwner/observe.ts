import { randomBytes } from 'node:crypto';
import type { Joined } from '../../cluster/join.ts';
import type { Context } from '../../context.ts';
import { observeLedger } from '../../initSql/ledgerTable.ts';
import { observeMarkedSessions } from '../../initSql/marker.ts';
import { observeAccess, observeDatabaseGrants, observeTableOwners } from '../../objects/accessObserved.ts';
import { observeMetadata } from '../../objects/citusMetadata.ts';
import { databaseComment } from '../../objects/comment.ts';
import { observeDatabase } from '../../objects/database.ts';
import { observeAvailableExtensions, observeExtensions } from '../../objects/extension.ts';
import { fragmentsOf } from '../../objects/kind.ts';
import { observeMemberships } from '../../objects/membership.ts';
import { observationScript } from '../../objects/observe.ts';
import {
  type ObservedRights,
  observeDigestOfNodes,
  observeExtensionNeeds,
  observeOwnRights,
} from '../../objects/ownRights.ts';
import { observeKnownParameters, observeParameters } from '../../objects/parameter.ts';
import { type ObservedRole, observeRoles } from '../../objects/role.ts';
import { observeSchemas, observeTenantSchemas } from '../../objects/schema.ts';
import type { ServerSettings } from '../../objects/server.ts';
import { rolesOf } from '../../objects/user.ts';
import { observeUserParameters } from '../../objects/userParameter.ts';
import { SALT_BYTES, scramVerifier } from '../../postgres/scram.ts';
import { codeOf } from '../../postgres/sqlstate.ts';
import { SQLSTATE } from '../../postgres/sqlstates.ts';
import type { DatabaseSpec, NodeSpec } from '../../spec/types.ts';
import { missingExtensions } from '../missingExtensions.ts';
import { readDatabaseObservation } from '../observationScripts.ts';
import type { DatabaseObservation, ServerObservation } from '../observations.ts';
import { observed } from '../observe.ts';
import { type Passwords, wantedRoles } from '../observeSituation.ts';
import type { Run } from '../run.ts';
import { NO_SHARD_FAULTS } from '../shardFaults.ts';
import { askedNodes, type ExtensionFacts, labelsOf, NO_EXTENSION_FACTS, type OwnerSituation } from './situation.ts';

/** What one script tells, beside what the database holds. */
interface Answer extends ServerObservation, DatabaseObservation {
  readonly version: number;
  readonly rights: ObservedRights;
  readonly nodes?: string;
}

function scriptFor(database: DatabaseSpec, roles: readonly string[]): string {
  const users = database.users.map((user) => user.name);
  const parameters = [database, ...database.users].flatMap((declared) => Object.keys(declared.parameters));
  return observationScript([
    {
      key: 'version',
      value: "pg_catalog.to_jsonb(pg_catalog.current_setting('server_version_num')::pg_catalog.int4)",
    },
    observeRoles(roles, 'pg_roles'),
    observeMemberships(users),
    observeDatabaseGrants(database.name),
    observeUserParameters(database),
    observeDatabase(database.name),
    observeParameters(database),
    observeKnownParameters(parameters),
    observeMarkedSessions(database),
    ...fragmentsOf([databaseComment], 'server', database),
    observeExtensions(),
    observeSchemas(database.schemas.map((schema) => schema.name)),
    ...observeTenantSchemas(database),
    ...observeMetadata(),
    observeTableOwners(),
    ...observeLedger(true),
    ...(users.length === 0 ? [] : [observeAccess(users)]),
    ...observeOwnRights(database, roles, parameters),
    observeDigestOfNodes(),
  ]);
}

/** Looks at the database from the coordinator, as the role that everything is done as. */
export async function observeAsOwner(
  context: Context,
  joined: Joined,
  run: Run,
  database: DatabaseSpec,
  passwords: Passwords,
): Promise<OwnerSituation> {
  const { spec, access } = context;
  const { coordinator } = joined;
  const names = [...new Set([...rolesOf(database), spec.cluster.user])];
  const text = await observed(run, coordinator, 'database', scriptFor(database, names));
  const answer: Answer = { ...(JSON.parse(text) as Answer), ...readDatabaseObservation(text) };
  const settings = settingsOf(answer);
  const roles = await withVerifiers(run, coordinator, answer.roles, database, passwords);
  const workers = askedNodes(answer.metadata, answer.rights);
  const ofWorkers = workers.flatMap(({ node, answer: own }) =>
    own === undefined ? [] : [[node.group, { ...own, settings, template: null, knownParameters: [] }] as const],
  );
  const servers = new Map<number, ServerObservation>([
    [coordinator.group, { ...answer, roles, settings, template: null }],
    ...ofWorkers,
  ]);
  return {
    // To the pieces of work it is one server: Citus does the rest.
    spec: { ...spec, cluster: { ...spec.cluster, citus: false } },
    // initSQL has the rights of this role, whatever it runs.
    database: { ...database, initSQLRunsCodeOfOthers: true },
    topology: { coordinator, workers: [], otherWorkers: [] },
    labels: labelsOf(coordinator, workers),
    servers,
    inside: new Map([[coordinator.group, answer]]),
    shardFaults: NO_SHARD_FAULTS,
    password: undefined,
    ...wantedRoles(database, undefined, servers, passwords, access.redactor),
    initSql: { kind: 'none' },
    declared: spec,
    rights: answer.rights,
    workers,
    nodes: answer.nodes,
  };
}

/**
 * A verifier that nobody shows is tried: a role that its password lets in gets one of that password, so that nothing
 * differs. Where the server turns it down, there is none, and the role gets the declared one.
 */
async function withVerifiers(
  run: Run,
  node: NodeSpec,
  roles: readonly ObservedRole[],
  { users }: DatabaseSpec,
  passwords: Passwords,
): Promise<readonly ObservedRole[]> {
  return await Promise.all(
    roles.map(async (role) => {
      const password = passwords.get(role.name);
      const user = users.find(({ name }) => name === role.name);
      if (password === undefined || user === undefined) return role;
      const verifier = scramVerifier(password, randomBytes(SALT_BYTES));
      // Nobody who may not log in can show that its password is another one.
      if (!role.login || (await isLetIn(run, { node, user: role.name, password }))) return { ...role, verifier };
      return role;
    }),
  );
}

async function isLetIn(run: Run, login: Parameters<Run['loginAs']>[0]): Promise<boolean> {
  try {
    const session = await run.loginAs(login);
    await session.close();
    return true;
  } catch (error) {
    // Any other reason is no matter of the password: the proof names it.
    return codeOf(error) !== SQLSTATE.invalidPassword;
  }
}

/** What it takes to make or update the extensions that are due. */
export async function observeExtensionFacts(run: Run, situation: OwnerSituation): Promise<ExtensionFacts> {
  const { coordinator } = situation.topology;
  const missing = missingExtensions(situation, coordinator);
  if (missing.length === 0) return NO_EXTENSION_FACTS;
  const names = missing.map(({ name }) => name);
  const script = observationScript([observeExtensionNeeds(names), observeAvailableExtensions(missing)]);
  return JSON.parse(await observed(run, coordinator, 'database', script)) as ExtensionFacts;
}

/** What only superusers may read does not matter to what is done here. */
function settingsOf({ version, extensions }: Answer): ServerSettings {
  const citusVersion = extensions.find(({ name }) => name === 'citus')?.version ?? null;
  return {
    version,
    systemIdentifier: '',
    clusterName: '',
    superuser: false,
    preloadLibraries: '',
    maxWorkerProcesses: 0,
    maxConnections: 0,
    reservedConnections: 0,
    connections: 0,
    backgroundWorkers: 0,
    nodeConninfo: null,
    citusVersion,
    loadedCitus: citusVersion,
    columnarVersion: null,
    databases: [],
    outputPlugins: null,
  };
}
