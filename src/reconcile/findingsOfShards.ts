import type { Problem } from '../objects/change.ts';
import type { PlacedShard } from '../objects/placedShard.ts';
import { MANUAL } from '../objects/shardRepair.ts';
import { placeAgain } from '../objects/unplacedShard.ts';
import { integerLiteral, quoteLiteral } from '../postgres/quote.ts';
import { APPLY, at, type Finding, firstOf, labelOf } from './finding.ts';
import { type ShardFaults, uncopiedGroups } from './shardFaults.ts';
import { inside, label, type Situation } from './situation.ts';
import { staleWorkers, typesInConflict } from './staleWorkers.ts';
import { unknownShardProblems } from './unknownShardProblems.ts';

/** Workers whose metadata is not the coordinator's. */
export function metadataFindings(situation: Situation): readonly Finding[] {
  const conflicts = situation.topology.workers.flatMap((worker) => {
    const node = label(situation, worker);
    return typesInConflict(situation, worker).map(
      (type): Finding => ({
        kind: 'metadata',
        node,
        object: type,
        effect: 'refuse',
        found: `type ${type} is another one than on the coordinator, so that its metadata cannot be synced: columns of shards would keep the old type`,
        next: `Compare both (\\dT+, \\dD+). Give it there what it lacks, after SET citus.enable_ddl_propagation = off; or give the coordinator's what that one has beyond it (ALTER TYPE ... ADD VALUE IF NOT EXISTS)`,
      }),
    );
  });
  const stale = staleWorkers(situation).map(
    ({ worker, reason }): Finding => ({
      kind: 'metadata',
      node: label(situation, worker),
      object: `${worker.nodeName}:${worker.nodePort}`,
      effect: 'heal',
      found: `stale metadata: ${reason}`,
      next: APPLY,
    }),
  );
  return [...conflicts, ...stale, ...unknownFindings(situation)];
}

/** Shards of which workers alone know where they are. */
export function unknownProblems(situation: Situation): readonly Problem[] {
  return unknownShardProblems(situation.shardFaults.unknown, {
    database: situation.database.name,
    label: (group) => labelOf(situation, group),
  });
}

/** After a run: what appeared while it went on; before one they are problems (preflight.ts). */
function unknownFindings(situation: Situation): readonly Finding[] {
  return unknownProblems(situation).map(
    ({ what, node = '', next }): Finding => ({
      kind: 'metadata',
      node,
      object: firstOf([...new Set(situation.shardFaults.unknown.map(({ table }) => table))]),
      effect: 'refuse',
      found: what,
      next,
    }),
  );
}

/** One finding for each table on each node. */
export function shardFindings(situation: Situation): readonly Finding[] {
  const tables = new Map<string, PlacedShard[]>();
  for (const shard of situation.shardFaults.missing) {
    const key = `${shard.group} ${shard.table} ${shard.others.length > 0} ${shard.elsewhere?.join(' ')}`;
    tables.set(key, [...(tables.get(key) ?? []), shard]);
  }
  const healed = uncopiedGroups(situation.shardFaults);
  return [...tables.values()].map((shards) => shardFinding(situation, shards, healed));
}

function shardFinding(situation: Situation, shards: readonly PlacedShard[], healed: readonly number[]): Finding {
  const [first] = shards;
  if (first === undefined) throw new Error('a finding without a shard');
  const node = labelOf(situation, first.group);
  const names = shards.map(({ name }) => name);
  const count = `${names.length} ${names.length === 1 ? 'shard' : 'shards'} of ${first.table}`;
  const which = firstOf(names);
  const place = { node, object: first.table } as const;
  if (first.others.length > 0) {
    const heals = first.reference && healed.includes(first.group);
    const others = first.others.map((group) => labelOf(situation, group)).join(', ');
    return {
      ...place,
      kind: 'missingCopy',
      effect: heals ? 'heal' : 'refuse',
      found: `${count} ${names.length === 1 ? 'has' : 'have'} no table on this node (${which}); ${others} ${first.others.length === 1 ? 'has' : 'have'} a copy`,
      next: heals ? APPLY : copyByHand(situation, shards),
    };
  }
  const { elsewhere = [] } = first;
  if (elsewhere.length > 0) {
    const holders = elsewhere.map((group) => labelOf(situation, group)).join(', ');
    return {
      ...place,
      kind: 'lostShard',
      effect: 'refuse',
      found: `${count} ${names.length === 1 ? 'is' : 'are'} not on this node but on ${holders}, where nothing of the kind belongs (${which})`,
      next: `If ${node} and ${holders} have got each other's volumes or addresses, give each its own back. If not, that is what a move of shards left behind: restore ${node} from a backup that has them`,
    };
  }
  const statements = shards.map(emptyShard).join(' ');
  const ifLost = first.replaceable
    ? `Only if their rows may be lost, ${situation.inside.has(first.group) ? '' : 'run citus-databases apply, which makes the database again, and then, '}${at(situation, node, first.owner)} ${MANUAL} ${statements}`
    : `Only if all rows of ${first.table} may be lost, drop it on the coordinator and create it again`;
  return {
    ...place,
    kind: 'lostShard',
    effect: 'refuse',
    found: `${count} ${names.length === 1 ? 'is' : 'are'} gone (${which}); no other node has a copy`,
    next: `Restore ${node} from a backup that has them. ${ifLost}`,
  };
}

/** Shards of which the coordinator does not know where they are; one finding for each table. */
export function placementFindings(situation: Situation): readonly Finding[] {
  const tables = new Map<string, ShardFaults['unplaced'][number][]>();
  for (const shard of situation.shardFaults.unplaced) {
    const key = `${shard.table} ${shard.group} ${shard.on.length}`;
    tables.set(key, [...(tables.get(key) ?? []), shard]);
  }
  return [...tables.values()].map((shards) => placementFinding(situation, shards));
}

function placementFinding(situation: Situation, shards: ShardFaults['unplaced']): Finding {
  const [first] = shards;
  if (first === undefined) throw new Error('a finding without a shard');
  const node = label(situation, situation.topology.coordinator);
  const one = shards.length === 1;
  const count = `${shards.length} ${one ? 'shard' : 'shards'} of ${first.table} ${one ? 'is' : 'are'}`;
  const which = firstOf(shards.map(({ name }) => name));
  const place = first.group === null ? 'on any node' : `on ${labelOf(situation, first.group)}`;
  return {
    kind: 'metadata',
    node,
    object: first.table,
    effect: 'refuse',
    found: `${count} not placed ${place} by pg_dist_placement (${which}): somebody deleted rows of it`,
    next: placementCure(situation, shards, node),
  };
}

function placementCure(situation: Situation, shards: ShardFaults['unplaced'], coordinator: string): string {
  if (shards.every(({ on }) => on.length === 1)) {
    const rows = shards.flatMap(({ shardid, on }) => on.map((group) => ({ shardid, group })));
    return `Their tables are there. To say again where, ${at(situation, coordinator)} ${placeAgain(rows)}`;
  }
  const holders = [...new Set(shards.flatMap(({ on }) => on))].map((group) => labelOf(situation, group)).join(', ');
  const found = holders === '' ? 'No table of that name is there' : `Tables of that name are on ${holders}`;
  return `${found}: find out where the rows are, and restore pg_dist_placement on ${coordinator} from a backup`;
}

/** Into an empty table in the shard's place, from a node that has the rows; nobody may write meanwhile. */
function copyByHand(situation: Situation, shards: readonly PlacedShard[]): string {
  const [first] = shards;
  if (first === undefined) return APPLY;
  const [source = 0] = first.others;
  const nodeid = inside(situation, situation.topology.coordinator).metadata?.nodes.find(
    ({ groupid, noderole }) => groupid === first.group && noderole === 'primary',
  )?.nodeid;
  const to = nodeid === undefined ? 'NODEID' : integerLiteral(nodeid);
  const empty = shards.map(emptyShard).join(' ');
  const copy = shards
    .map(({ name }) => `SELECT worker_copy_table_to_node(${quoteLiteral(name)}::regclass, ${to});`)
    .join(' ');
  const on = (group: number) => at(situation, labelOf(situation, group), first.owner);
  return `While nobody writes to ${first.table}, ${on(first.group)} ${MANUAL} ${empty}\nThen, ${on(source)} ${copy}`;
}

/**
 * An empty table in the place of a shard: its rows can be restored into it later, so that nothing becomes final. By the
 * commands with which Citus itself creates shards, so that indexes and constraints have the names that it expects when
 * it passes on DDL (Citus: operations/node_protocol.c, master_get_table_ddl_events).
 */
function emptyShard({ table, shardid }: PlacedShard): string {
  const relation = quoteLiteral(table);
  return `SELECT worker_apply_shard_ddl_command(${integerLiteral(shardid)}, n.nspname, command) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, master_get_table_ddl_events(${relation}) command WHERE c.oid = ${relation}::regclass;`;
}
