import { type Joined, joinCluster } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import { CITUS_VERSION } from '../objects/citusExtension.ts';
import { type PlacedOnGroup, placedOn, removeNode, setShouldHaveShards } from '../objects/nodeShards.ts';
import { failingWith } from '../postgres/asFailure.ts';
import { LONG_MS, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { quoteIdentifier } from '../postgres/quote.ts';
import { inTurn, rebalance } from '../reconcile/rebalance.ts';
import { rebalanceTools } from '../reconcile/rebalanceTools.ts';
import { refuseCodeOfOthers, refuseUnpinned } from '../reconcile/refuseCodeOfOthers.ts';
import { refuseOtherServers } from '../reconcile/sameServers.ts';
import { serverDatabases } from '../reconcile/serverDatabases.ts';
import { Failure } from '../report/errors.ts';
import type { StepLog } from '../report/stepLog.ts';
import { REBALANCE_DEFAULTS } from '../spec/complete.ts';
import type { RebalanceOptions } from '../spec/types.ts';
import { refusePlain } from './rebalance.ts';

export interface DrainOptions {
  readonly group: number;
  readonly transferMode: RebalanceOptions['transferMode'];
}

/** Moves every shard away from a worker group, in every database, and removes it from their pg_dist_node. */
export async function drain(context: Context, { group, transferMode }: DrainOptions): Promise<void> {
  refusePlain(context);
  if (group === 0) {
    throw new Failure({
      kind: 'invalid',
      what: 'Group 0 is the coordinator, which stays',
      next: 'Name a worker group. shouldHaveShards keeps shards away from the coordinator',
    });
  }
  const { log, spec } = context;
  log.frame(`Draining worker group: ${group}`);
  const joined = await joinCluster(context);
  try {
    await refuseOtherServers(joined);
    const options = { ...REBALANCE_DEFAULTS, transferMode };
    const places = await placesOf(joined, group);
    refuseUnplaced(places, group);
    refuseLast(places, group);
    for (const database of places.keys()) {
      await refuseUnpinned(rebalanceTools(joined, database, { signal: context.signal, log }), 'drain');
      if (database !== MAINTENANCE_DATABASE) await joined.sessions.closeDatabase(database);
    }
    if (places.size === 0) log.line(`Group ${group} is not registered in any database`);
    for (const database of places.keys()) {
      await drainOne(context, joined, { database, group, options, log: log.about({ database }) });
    }
    const left = [...(await placesOf(joined, group)).keys()].filter((name) => name !== spec.cluster.database);
    if (left.length > 0) throw stillThere(group, left);
    log.frame(`No database has shards on group ${group} any more: it may leave the declared workers`);
    log.line(`Take it out of \`workers\` before the next apply, which refuses it, or registers it again.`);
    log.line(`In the chart's values, name it in \`retiredWorkerGroups\` as well. Its volumes stay.`);
  } finally {
    await joined.sessions.close();
  }
}

/** Every database of the servers in which the group is registered, declared or not. */
async function placesOf(joined: Joined, group: number): Promise<ReadonlyMap<string, PlacedOnGroup>> {
  const places = new Map<string, PlacedOnGroup>();
  const { open, closed } = await serverDatabases(joined);
  if (closed.length > 0) throw notSeen(group, closed);
  for (const name of open) {
    const session = await joined.sessions.get(joined.coordinator, name);
    const place = await placeIn(session, group);
    if (place !== undefined) places.set(name, place);
    if (name !== MAINTENANCE_DATABASE) await joined.sessions.closeDatabase(name, joined.coordinator);
  }
  return places;
}

async function placeIn(session: Session, group: number): Promise<PlacedOnGroup | undefined> {
  if ((await session.query(CITUS_VERSION)).rows.length === 0) return undefined;
  return (await session.query<PlacedOnGroup>(placedOn(group))).rows[0];
}

/** They may have shards there like any other. */
function notSeen(group: number, closed: readonly string[]): Failure {
  return new Failure({
    kind: 'refused',
    what: `Databases that accept no connections may have shards on group ${group}`,
    cause: `datallowconn is false: ${closed.join(', ')}`,
    next: `On the coordinator: ${closed.map((name) => `ALTER DATABASE ${quoteIdentifier(name)} WITH ALLOW_CONNECTIONS true`).join('; ')}; and run again. Or drop what nobody needs`,
  });
}

/** Their rows would be lost with the group, if they are there. */
function refuseUnplaced(places: ReadonlyMap<string, PlacedOnGroup>, group: number): void {
  const names = [...places].flatMap(([name, { unplaced }]) => (unplaced ? [`'${name}'`] : []));
  if (names.length === 0) return;
  throw new Failure({
    kind: 'refused',
    what: `Shards that pg_dist_placement places on no node may be on group ${group}`,
    cause: `Somebody deleted rows of it in: ${names.join(', ')}`,
    next: 'Declare these databases and run citus-databases verify: it names each shard, and where its table is. Then run again',
  });
}

/** Before anything is moved. */
function refuseLast(places: ReadonlyMap<string, PlacedOnGroup>, group: number): void {
  const stuck = [...places].filter(([, { others, placed }]) => others === 0 && tablesOf(placed).length > 0);
  if (stuck.length === 0) return;
  throw new Failure({
    kind: 'refused',
    what: `No other node takes the shards of group ${group}`,
    cause: stuck.map(([name, { placed }]) => `database '${name}': ${tablesOf(placed).join(', ')}`).join('\n'),
    next: 'Add a worker group to these databases, or let the coordinator have shards (shouldHaveShards), and run again. Nothing was moved',
  });
}

interface Draining {
  readonly database: string;
  readonly group: number;
  readonly options: RebalanceOptions;
  readonly log: StepLog;
}

async function drainOne(context: Context, joined: Joined, draining: Draining): Promise<void> {
  const { database, group, options, log } = draining;
  const { sessions, coordinator } = joined;
  const session = await sessions.get(coordinator, database);
  const tools = rebalanceTools(joined, database, { signal: context.signal, log });
  log.line(`Database '${database}':`);
  await inTurn(tools, async () => {
    const place = await placeIn(session, group);
    if (place === undefined) return;
    refuseUnplaced(new Map([[database, place]]), group);
    const filled = tablesOf(place.placed).length > 0;
    // What is refused has to be refused before the group stops taking shards, for that outlives this run.
    if (filled) await refuseCodeOfOthers(tools, session);
    if (place.takes) {
      await takeNoShards(session, place, draining);
      log.line(`✓ group ${group} takes no new shards (shouldhaveshards is false)`, 1);
    }
    if (filled) await rebalance(tools, options, 'drain');
    const left = tablesOf((await placeIn(session, group))?.placed ?? '[]');
    if (left.length > 0) throw stillPlaced(draining, left);
    // Patroni registers its groups in its own database as long as they run.
    if (database === context.spec.cluster.database) {
      log.line(`✓ holds no shards on group ${group}; Patroni keeps it registered here`, 1);
      return;
    }
    await remove(session, place, draining);
    log.line(`✓ group ${group} (${place.name}:${place.port}) is no longer registered`, 1);
  });
  await sessions.closeDatabase(database);
}

async function takeNoShards(session: Session, { name, port }: PlacedOnGroup, { database }: Draining): Promise<void> {
  const node = `${name}:${port}`;
  const words = {
    kind: 'failed',
    what: `Failed to set shouldhaveshards of ${node}`,
    database,
    next: 'Nothing of this database was moved. Remove the cause and run again',
  } as const;
  await failingWith(words, () => session.query(setShouldHaveShards(name, port, false)));
}

async function remove(session: Session, place: PlacedOnGroup, { database, group }: Draining): Promise<void> {
  const words = {
    kind: 'failed',
    what: `Failed to remove group ${group} from the metadata of database '${database}'`,
    database,
    next: 'Its shards are moved. Remove the cause and run again',
  } as const;
  await failingWith(words, async () => {
    // What moves have left behind on the node would be out of reach afterwards.
    await session.script('CALL pg_catalog.citus_cleanup_orphaned_resources()', { deadlineMs: LONG_MS });
    await session.query(removeNode(place));
  });
}

function stillPlaced({ database, group }: Draining, tables: readonly string[]): Failure {
  return new Failure({
    kind: 'refused',
    what: `Tables still have shards on group ${group}, which stays registered`,
    database,
    cause: tables.join('\n'),
    next: 'Citus does not move them by itself (append- and range-distributed tables, a strategy that forbids it). Move them with citus_move_shard_placement() and run again',
  });
}

function stillThere(group: number, databases: readonly string[]): Failure {
  return new Failure({
    kind: 'failed',
    what: `Group ${group} was registered again meanwhile, in: ${databases.join(', ')}`,
    next: 'Another apply still declares it. Let it end, and run again',
  });
}

function tablesOf(placed: string): readonly string[] {
  return JSON.parse(placed) as readonly string[];
}
