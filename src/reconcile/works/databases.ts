import { bindToOid, recordIntent, recordOpening } from '../../objects/bookkeeping.ts';
import { type Change, type Item, note } from '../../objects/change.ts';
import { openDatabase, opensBeforeInitSql } from '../../objects/closedDatabase.ts';
import { diffDatabase } from '../../objects/database.ts';
import { entryOf } from '../../objects/entryOf.ts';
import type { ObservedParameters } from '../../objects/parameter.ts';
import { diffSuperuserSettings, isShared } from '../../objects/superuserSetting.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { identityItems } from '../identity.ts';
import { closedFor, inside, isOpen, label, origin, type Situation, server } from '../situation.ts';
import { line } from '../work.ts';
import { databaseAccessItems } from './databaseAccess.ts';
import { type DatabaseWork, onCoordinator, onDatabaseNodes, onWorkers } from './databaseWork.ts';
import { runsInitSql } from './initSql.ts';
import { joins } from './joining.ts';
import { roleItems } from './owners.ts';
import { lockingParameterItems } from './parameters.ts';

/** The database on each server: before it has extensions, and once more when others may be let in. */

/** Before anything is made: tells a half-made database of this program from one that existed before. */
export const intent: DatabaseWork = { name: 'intent', nodes: onCoordinator, items: intentItems, log: 'lines' };

/** Also which servers the cluster is made of. */
export function intentItems(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  const row = server(situation, coordinator).bookkeeping?.row ?? null;
  const known = origin(situation) !== 'absent' || row?.state === 'creating';
  return [...identityItems(situation), ...(known ? [] : [recordIntent(situation.database.name, coordinator)])];
}

export const workerDatabase: DatabaseWork = {
  name: 'database on workers',
  nodes: onWorkers,
  items: workerServerItems,
  log: 'lanes',
  before: (_, [name]) => [line(`Configuring worker: ${name}`), line(`Worker ${name} is ready!`, 2)],
};

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
    closedFor: closedFor(situation) ?? (joins(situation, worker) ? situation.spec.cluster.user : undefined),
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

export const coordinatorDatabase: DatabaseWork = {
  name: 'database on coordinator',
  nodes: onCoordinator,
  items: coordinatorDatabaseItems,
  log: 'lines',
};

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

/** Steps 1 and 2, right behind the database: before it has Citus, whose daemon starts with it. */
function superuserSettingItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { user, citus } = situation.spec.cluster;
  if (!citus || !isOpen(situation)) return [];
  const { userParameters, database } = server(situation, node);
  const { citusOwner } = inside(situation, node);
  const of = (role: string, settings: ObservedParameters) =>
    diffSuperuserSettings(situation.database, role, settings, database !== null, node);
  return [
    ...of(user, entryOf(userParameters, user) ?? {}),
    ...(citusOwner == null ? [] : of(citusOwner.name, citusOwner.settings)),
  ];
}

export const superuserSettings: DatabaseWork = {
  name: 'settings of the superuser',
  nodes: onDatabaseNodes,
  items: openedByInitSql,
  log: 'once',
  observe: (situation, { changed }) =>
    changed && runsInitSql(situation) && !isShared(situation.database, situation.spec.cluster.user)
      ? 'tableOwners'
      : undefined,
};

/** Step 7: initSQL may let others create objects; only what was observed after it tells. Before they may connect. */
function openedByInitSql(situation: Situation, node: NodeSpec): readonly Change[] {
  const { database, spec, tableOwners } = situation;
  if (tableOwners === undefined || isShared(database, spec.cluster.user)) return [];
  return superuserSettingItems(situation, node);
}

/**
 * Before that nobody but superusers gets in. Step 7: in front of initSQL where somebody else logs in for it, else after it.
 */
export const [openingFirst, openedFirst] = openings('before initSQL', true);
export const [opening, opened] = openings('', false);

function openings(when: string, beforeInitSql: boolean): readonly [DatabaseWork, DatabaseWork] {
  const isDue = (situation: Situation) => {
    const { database, spec } = situation;
    return closedFor(situation) !== undefined && opensBeforeInitSql(database, spec.cluster.user) === beforeInitSql;
  };
  return [
    {
      name: `opening ${when}`.trim(),
      nodes: onDatabaseNodes,
      items: (situation, node) => {
        const { user, citus } = situation.spec.cluster;
        return isDue(situation) ? [openDatabase(situation.database, user, citus, node)] : [];
      },
      log: 'once',
    },
    {
      name: `opened ${when}`.trim(),
      nodes: onCoordinator,
      items: (situation) =>
        isDue(situation) ? [recordOpening(situation.database.name, situation.topology.coordinator)] : [],
      log: 'lines',
    },
  ];
}
