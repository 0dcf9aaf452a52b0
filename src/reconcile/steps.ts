import { databaseNodes } from '../cluster/topology.ts';
import { authinfoOf, diffAuthinfo } from '../objects/authinfo.ts';
import { bindToOid, recordIntent, recordOpening } from '../objects/bookkeeping.ts';
import { assertingNothingCarried } from '../objects/carriedCode.ts';
import { type Change, type Item, isChange, note, warning } from '../objects/change.ts';
import { diffCitus, diffColumnar } from '../objects/citusExtension.ts';
import {
  activateWorker,
  diffCoordinatorHost,
  missingWorkers,
  type ObservedMetadata,
  registerWorkers,
  registration,
  staleReason,
  surplusWorkers,
} from '../objects/citusNode.ts';
import { diffCitusUpgrade } from '../objects/citusUpgrade.ts';
import { openDatabase } from '../objects/closedDatabase.ts';
import { diffDatabase } from '../objects/database.ts';
import { diffManagedRoles } from '../objects/distributedRole.ts';
import { conflictingTypes } from '../objects/distributedType.ts';
import { COLUMNAR, diffExtensions, type ExtensionContext, versionsLikeCoordinator } from '../objects/extension.ts';
import { lockingParameters } from '../objects/harmfulSetting.ts';
import { differingParts } from '../objects/metadataParts.ts';
import { diffShouldHaveShards } from '../objects/nodeShards.ts';
import { diffParameters, parameterWarnings } from '../objects/parameter.ts';
import { diffRoleCopy, ownersOf } from '../objects/role.ts';
import { diffSchemas, diffTenantSchemas, diffWorkerSchemas } from '../objects/schema.ts';
import { diffSettings, type ObservedSetting } from '../objects/setting.ts';
import { copyReferenceTables, forgetCopies, repeatRights } from '../objects/shard.ts';
import { diffSuperuserSettings, isShared } from '../objects/superuserSetting.ts';
import { wording } from '../objects/wording.ts';
import type { NodeSpec } from '../spec/types.ts';
import { identityItems } from './identity.ts';
import { rebalanceItems } from './rebalance.ts';
import { tablesWithOtherRights, uncopiedGroups } from './shardFaults.ts';
import { closedFor, inside, label, origin, type Situation, server } from './situation.ts';
import { databaseAccessItems, isDeclared, userAuthinfoItems, userParameterItems } from './userSteps.ts';

/**
 * What each piece of work has to do, from what was observed. Nothing here talks to a server. Their order is in order.ts.
 */

/**
 * Before anything is made: which servers the cluster is made of, and the intent, which tells a half-made database of ours
 * from one that was there before.
 */
export function intentItems(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  const row = server(situation, coordinator).bookkeeping?.row ?? null;
  const known = origin(situation) !== 'absent' || row?.state === 'creating';
  return [...identityItems(situation), ...(known ? [] : [recordIntent(situation.database.name, coordinator)])];
}

/** Step 1, on the server of a worker: the owners' roles as the coordinator has it, and the database. */
export function workerServerItems(situation: Situation, worker: NodeSpec): readonly Item[] {
  const { database, topology } = situation;
  const name = label(situation, worker);
  const observed = server(situation, worker);
  const coordinator = server(situation, topology.coordinator);
  // Both are made at the same time: the coordinator's will be as its template is.
  const limit = coordinator.database?.connectionLimit;
  const models = {
    template: observed.template,
    like: coordinator.database ?? coordinator.template,
    // -2 marks a half-dropped database (PostgreSQL: dbcommands.c).
    connectionLimit: limit === -2 ? undefined : limit,
    closedFor: closedFor(situation),
  };
  const changes = diffDatabase(database, observed.database, models, worker, name).map((change) =>
    observed.database !== null
      ? change
      : {
          ...change,
          starting: `Creating database '${database.name}' on ${name}...`,
          done: `Database created successfully on ${name}!`,
        },
  );
  const existing = observed.database === null ? [] : [note(`Database '${database.name}' already exists on ${name}`)];
  return [
    ...roleItems(situation, worker),
    ...existing,
    ...changes,
    ...lockingParameterItems(situation, worker),
    ...superuserSettingItems(situation, worker),
    ...databaseAccessItems(situation, worker),
  ];
}

/** Steps 1 and 2, right behind the database: before it has Citus, whose daemon starts with it. */
function superuserSettingItems(situation: Situation, node: NodeSpec): readonly Item[] {
  const { user, citus } = situation.spec.cluster;
  if (!citus) return [];
  const { userParameters, database } = server(situation, node);
  return diffSuperuserSettings(situation.database, user, userParameters[user] ?? {}, database !== null, node);
}

/** Roles belong to servers: nodes that the database leaves out get them as well. */
export function roleItems(situation: Situation, node: NodeSpec): readonly Item[] {
  const known = server(situation, situation.topology.coordinator).roles;
  const owners = ownersOf(situation.database).filter(
    (name) => name !== situation.spec.cluster.user && !isDeclared(situation, name),
  );
  return owners.flatMap((name) => {
    const role = known.find((candidate) => candidate.name === name);
    return role === undefined ? [] : diffRoleCopy(role, server(situation, node).roles, node, label(situation, node));
  });
}

/** Step 1, inside the worker's database. */
export function workerInsideItems(situation: Situation, worker: NodeSpec): readonly Item[] {
  const observed = inside(situation, worker);
  const context = extensionContext(situation, worker, false);
  return [
    ...citusItems(situation, worker),
    ...diffExtensions(
      versionsLikeCoordinator(situation.database.extensions, context.onCoordinator),
      observed.extensions,
      context,
    ),
  ];
}

export function coordinatorDatabaseItems(situation: Situation): readonly Item[] {
  const { database, topology } = situation;
  const { coordinator } = topology;
  const observed = server(situation, coordinator);
  const name = situation.spec.cluster.citus ? 'coordinator' : label(situation, coordinator);
  const where = situation.spec.cluster.citus ? ' on coordinator' : '';
  const closed = closedFor(situation);
  const models = { template: observed.template, like: observed.template, closedFor: closed };
  const changes = diffDatabase(database, observed.database, models, coordinator, name).map((change) =>
    observed.database !== null
      ? change
      : { ...change, done: `Database '${database.name}' created successfully${where}!` },
  );
  const existing = observed.database === null ? [] : [note(`Database '${database.name}' already exists${where}`)];
  const row = observed.bookkeeping?.row ?? null;
  const bound = observed.database !== null && row?.state === 'managed' && row.oid === observed.database.oid;
  const state = closed === undefined ? 'managed' : 'creating';
  const bind = origin(situation) === 'existing' || bound ? [] : [bindToOid(database.name, coordinator, state)];
  return [
    ...existing,
    ...changes,
    ...bind,
    ...lockingParameterItems(situation, coordinator),
    ...superuserSettingItems(situation, coordinator),
    ...databaseAccessItems(situation, coordinator),
  ];
}

/** Step 7, after initSQL. */
export function openingItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { user, citus } = situation.spec.cluster;
  return closedFor(situation) === undefined ? [] : [openDatabase(situation.database, user, citus, node)];
}

export function openedItems(situation: Situation): readonly Change[] {
  return closedFor(situation) === undefined
    ? []
    : [recordOpening(situation.database.name, situation.topology.coordinator)];
}

export function coordinatorCitusItems(situation: Situation): readonly Item[] {
  return citusItems(situation, situation.topology.coordinator);
}

/** citus, and citus_columnar where it is there. */
export function citusItems(situation: Situation, node: NodeSpec): readonly Item[] {
  const { extensions } = inside(situation, node);
  const context = extensionContext(situation, node, node.group === 0);
  return [...diffCitus(extensions, context), ...diffColumnar(extensions, context)];
}

export function coordinatorExtensionItems(situation: Situation): readonly Item[] {
  const { coordinator } = situation.topology;
  const wanted = situation.database.extensions;
  if (wanted.length === 0) return [note('No additional extensions specified')];
  return diffExtensions(
    wanted,
    inside(situation, coordinator).extensions,
    extensionContext(situation, coordinator, true),
  );
}

/** Step 5, on one node: the rows of the superuser and of declared users. */
export function authinfoItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const authinfo = authinfoOf(situation.password, situation.spec.ssl);
  return [
    ...diffAuthinfo(situation.spec.cluster.user, authinfo, inside(situation, node).authinfo ?? [], node),
    ...userAuthinfoItems(situation, node),
  ];
}

/** What there is to say about authentication between nodes before the rows are written. */
export function authenticationNotes(situation: Situation): readonly Item[] {
  const { ssl } = situation.spec;
  const conninfo = server(situation, situation.topology.coordinator).settings.nodeConninfo ?? '';
  const items: Item[] = [note(`Current citus.node_conninfo: ${conninfo === '' ? '(empty)' : conninfo}`)];
  if (!ssl.enabled) items.push(note('SSL is not enabled in the spec: nodes log in with the password alone'));
  else if (conninfo.includes('sslcert=')) items.push(note('✓ SSL certificate authentication is configured globally'));
  else items.push(note('citus.node_conninfo names no sslcert: the certificate comes from pg_dist_authinfo'));
  if (authinfoOf(situation.password, ssl) === undefined) {
    items.push(note('Neither a password nor a certificate is declared: pg_dist_authinfo is left alone'));
  }
  return items;
}

/** Step 6, on a worker: only while workers are registered, since Citus would copy these roles then. */
export function managedRoleItems(situation: Situation, worker: NodeSpec): readonly Change[] {
  const wanted = situation.managedRoles?.get(situation.topology.coordinator.group);
  const observed = situation.managedRoles?.get(worker.group);
  if (wanted === undefined || observed === undefined || !registrationItems(situation).some(isChange)) return [];
  return diffManagedRoles(wanted, observed, worker, label(situation, worker));
}

/** The roles that Citus would copy to the workers while it registers them; none if it registers none. */
export function namesOfManagedRoles(situation: Situation): readonly string[] {
  if (!registrationItems(situation).some(isChange)) return [];
  const known = inside(situation, situation.topology.coordinator).distributedRoles ?? [];
  return known.filter((name) => name !== situation.spec.cluster.user);
}

/** Step 6, all of it on the coordinator. */
export function registrationItems(situation: Situation): readonly Item[] {
  const { database, spec } = situation;
  const guarded = (change: Change) =>
    isShared(database, spec.cluster.user) ? assertingNothingCarried(change) : change;
  const { topology } = situation;
  const metadata = inside(situation, topology.coordinator).metadata ?? NO_METADATA;
  const missing = missingWorkers(topology.workers, metadata);
  const items: Item[] = [...diffCoordinatorHost(topology.coordinator, metadata)];
  for (const worker of topology.workers) {
    const name = `${worker.nodeName}:${worker.nodePort}`;
    items.push(note(missing.includes(worker) ? `Adding worker: ${name}` : `Worker already registered: ${name}`));
  }
  if (missing.length > 0) items.push(guarded(registerWorkers(topology.coordinator, missing)));
  for (const { worker, reason } of staleWorkers(situation)) {
    items.push(guarded(activateWorker(topology.coordinator, worker, reason)));
  }
  for (const surplus of surplusWorkers(topology.workers, metadata)) {
    items.push(
      warning(
        `Worker ${surplus.nodename}:${surplus.nodeport} (group ${surplus.groupid}) is registered and no longer declared; it stays. To move its shards away and remove it, in every database: citus-databases drain ${surplus.groupid}`,
      ),
    );
  }
  return items;
}

/** What Citus is about to carry to other nodes, as superuser; see carriedCode.ts. undefined: nothing. */
export function carryingStep(situation: Situation): string | undefined {
  const { coordinator, workers } = situation.topology;
  const missing = missingWorkers(workers, inside(situation, coordinator).metadata ?? NO_METADATA);
  const names = (nodes: readonly NodeSpec[]) => nodes.map((node) => label(situation, node)).join(', ');
  if (missing.length > 0) return `Registering ${names(missing)}`;
  const stale = staleWorkers(situation).map(({ worker }) => worker);
  if (stale.length > 0) return `Syncing metadata to ${names(stale)}`;
  if (referenceCopyItems(situation).length > 0) return 'Copying reference tables';
  return rebalanceItems(situation).some(({ kind }) => kind === 'procedure') ? 'Moving shards' : undefined;
}

/** Step 6, when every node has the new version. */
export function citusUpgradeItems(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  const { extensions, citusUpgrade } = inside(situation, coordinator);
  const version = extensions.find((extension) => extension.name === 'citus')?.version;
  const library = server(situation, coordinator).settings.citusVersion ?? undefined;
  return diffCitusUpgrade(citusUpgrade, version, library, coordinator);
}

/** Registered workers that have to learn the metadata again. */
export function staleWorkers(situation: Situation): readonly { readonly worker: NodeSpec; readonly reason: string }[] {
  const { coordinator, workers } = situation.topology;
  const { metadata = NO_METADATA, metadataParts: known = {} } = inside(situation, coordinator);
  return workers.flatMap((worker) => {
    if (typesInConflict(situation, worker).length > 0) return [];
    const { metadata: own, metadataParts = {} } = inside(situation, worker);
    const reason = staleReason(worker, metadata, own, differingParts(metadataParts, known));
    return reason === undefined ? [] : [{ worker, reason }];
  });
}

/** To sync a worker with these would part the columns of its shards from the types of their tables. */
export function typesInConflict(situation: Situation, worker: NodeSpec): readonly string[] {
  const { distributedTypes: known = {} } = inside(situation, situation.topology.coordinator);
  return conflictingTypes(inside(situation, worker).distributedTypes ?? {}, known);
}

/** Step 6, on the coordinator: copies of reference tables that a node has lost. */
export function referenceCopyItems(situation: Situation): readonly Change[] {
  const { coordinator, workers } = situation.topology;
  const lost = uncopiedGroups(situation.shardFaults);
  const { shards, metadata } = inside(situation, coordinator);
  // Those that this run registers get them at once: Citus itself leaves that to the first use.
  const joining = shards?.references === true && metadata !== undefined ? missingWorkers(workers, metadata) : [];
  const without = [...(shards?.withoutCopies ?? []), ...joining.map(({ group }) => group)];
  const nodes = [coordinator, ...workers].filter(({ group }) => lost.includes(group) || without.includes(group));
  const names = nodes.map((node) => label(situation, node));
  return [
    ...lost.map((group) => {
      const node = nodes.find((candidate) => candidate.group === group);
      return forgetCopies(coordinator, group, node === undefined ? `group ${group}` : label(situation, node));
    }),
    ...(names.length === 0 ? [] : [copyReferenceTables(coordinator, names)]),
  ];
}

/** Step 7, on the coordinator: owner, rights and row security of tables that some of their shards lack. */
export function shardRightsItems(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  return tablesWithOtherRights(situation.shardFaults, coordinator.group).flatMap(({ wanted, found }): Change[] => {
    const statements = repeatRights(wanted, found);
    if (statements.length === 0) return [];
    return [
      {
        ...{ kind: 'change', node: coordinator, scope: 'database', doneOnRetry: [], secret: false },
        ...wording('give', `the shards of ${wanted.table} the owner and the rights of the table again`),
        separately: true,
        statements: statements.map((text) => ({ text })),
        failure: `Failed to give the shards of ${wanted.table} the owner and the rights of the table`,
      },
    ];
  });
}

export function schemaItems(situation: Situation): readonly Item[] {
  const { coordinator } = situation.topology;
  const { schemas, tenantSchemas = [] } = inside(situation, coordinator);
  return [
    ...diffSchemas(situation.database, schemas, coordinator),
    ...diffTenantSchemas(situation.database, schemas, tenantSchemas, situation.spec.cluster.user, coordinator),
  ];
}

/** Step 6, on the coordinator, once the workers are registered. */
export function shouldHaveShardsItems(situation: Situation): readonly Change[] {
  const { topology, database } = situation;
  const { metadata } = inside(situation, topology.coordinator);
  return diffShouldHaveShards(database, databaseNodes(topology), metadata, topology.coordinator);
}

/** On a worker: what Citus should have carried there. Not before it is registered: then it may still do so. */
export function workerSchemaItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { coordinator } = situation.topology;
  const { metadata = NO_METADATA, schemas } = inside(situation, coordinator);
  if (node.group === coordinator.group || registration(node, metadata) === undefined) return [];
  return diffWorkerSchemas(situation.database, schemas, inside(situation, node).schemas, node);
}

/**
 * A library that is not there keeps every session out, and transactions that are read-only keep Citus from writing: what
 * the database itself has of that kind is set right first.
 */
function lockingParameterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { parameters, harmfulSettings = [] } = server(situation, node);
  const locking = lockingParameters(situation.database, harmfulSettings);
  return [
    ...healedSettings(situation, node, 'first'),
    ...diffParameters({ ...situation.database, parameters: locking }, parameters, node),
  ].map((change) => ({ ...change, starting: change.underWay }));
}

/** Step 8, on one node: ALTER DATABASE SET belongs to the server, so every node gets it. */
export function parameterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { parameters, harmfulSettings = [] } = server(situation, node);
  const early = lockingParameters(situation.database, harmfulSettings);
  const later = Object.fromEntries(
    Object.entries(situation.database.parameters).filter(([name]) => early[name] === undefined),
  );
  return [
    ...healedSettings(situation, node, 'last'),
    ...diffParameters({ ...situation.database, parameters: later }, parameters, node),
    ...userParameterItems(situation, node),
  ];
}

/** First: what a worker has that all roles have there. Last: what it lacks, and what users have. */
function healedSettings(situation: Situation, node: NodeSpec, when: 'first' | 'last'): readonly Change[] {
  const { decisiveSettings = [] } = server(situation, node);
  const comesFirst = ({ role, inDatabase, name }: ObservedSetting) =>
    role === null &&
    decisiveSettings.some((own) => own.role === null && own.inDatabase === inDatabase && own.name === name);
  const { decisiveSettings: wanted = [] } = server(situation, situation.topology.coordinator);
  const those = (setting: ObservedSetting) => comesFirst(setting) === (when === 'first');
  return diffSettings(situation.database, wanted.filter(those), decisiveSettings.filter(those), node);
}

export function parameterWarningItems(situation: Situation): readonly Item[] {
  return parameterWarnings(situation.database).map(warning);
}

const NO_METADATA: ObservedMetadata = { nodes: [], localGroup: 0, tables: '' };

function extensionContext(situation: Situation, node: NodeSpec, coordinator: boolean): ExtensionContext {
  const own = inside(situation, node).metadata;
  return {
    node,
    label: label(situation, node),
    coordinator,
    registered: !coordinator && own !== undefined && (own.localGroup !== 0 || own.nodes.length > 0),
    onCoordinator: inside(situation, situation.topology.coordinator).extensions,
    citusVersion: server(situation, node).settings.citusVersion ?? undefined,
    columnarVersion: declaresVersion(situation, COLUMNAR)
      ? undefined
      : (server(situation, node).settings.columnarVersion ?? undefined),
  };
}

function declaresVersion({ database }: Situation, name: string): boolean {
  return database.extensions.some((extension) => extension.name === name && extension.version !== undefined);
}
