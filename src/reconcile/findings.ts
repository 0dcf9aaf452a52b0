import type { Refusal } from '../objects/change.ts';
import { type PlacedShard, repeatRights } from '../objects/shard.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { Failure, type FailureDetails } from '../report/errors.ts';
import { tablesWithOtherRights, uncopiedGroups } from './shardFaults.ts';
import { inside, isPlain, label, type Situation } from './situation.ts';
import { staleWorkers } from './steps.ts';

/** What is wrong with a database that exists, as data. Pure: `plan`, `apply` and `verify` judge by the same list. */
export interface Finding {
  readonly kind: 'lostShard' | 'missingCopy' | 'rights' | 'policies' | 'incomplete' | 'metadata';
  /** What the log calls the node. */
  readonly node: string;
  /** What is wrong, by its qualified name. */
  readonly object: string;
  /** heal: `apply` sets it right; refuse: only a person can; warn: the database is usable all the same. */
  readonly effect: 'heal' | 'refuse' | 'warn';
  /** A sentence without a full stop. */
  readonly found: string;
  readonly next: string;
}

/** As reports carry it. */
export interface ReportedFinding {
  readonly node: string;
  readonly kind: Finding['kind'];
  readonly object: string;
  readonly healable: boolean;
  readonly blocks: boolean;
  readonly message: string;
  readonly next: string;
}

export function reported({ effect, node, kind, object, found, next }: Finding): ReportedFinding {
  return { node, kind, object, healable: effect === 'heal', blocks: effect !== 'warn', message: found, next };
}

export function findingsOf(situation: Situation): readonly Finding[] {
  if (isPlain(situation)) return [];
  return [...metadataFindings(situation), ...shardFindings(situation), ...rightsFindings(situation)];
}

/** Workers whose metadata is not the coordinator's. */
function metadataFindings(situation: Situation): readonly Finding[] {
  return staleWorkers(situation).map(({ worker, reason }) => ({
    kind: 'metadata',
    node: label(situation, worker),
    object: `${worker.nodeName}:${worker.nodePort}`,
    effect: 'heal',
    found: `stale metadata: ${reason}`,
    next: APPLY,
  }));
}

function rightsFindings(situation: Situation): readonly Finding[] {
  return tablesWithOtherRights(situation.shardFaults, situation.topology.coordinator.group).flatMap(
    ({ wanted, found, groups }): readonly Finding[] => {
      const nodes = groups.map((group) => labelOf(situation, group)).join(', ');
      const place = { node: nodes, object: wanted.table };
      const policies = found.some((rights) => String(rights.policies) !== String(wanted.policies));
      return [
        ...(repeatRights(wanted, found).length === 0
          ? []
          : [
              {
                ...place,
                kind: 'rights',
                effect: 'heal',
                found: `${wanted.table} or a shard of it lacks the owner, the rights or the row security of the table`,
                next: APPLY,
              } as const,
            ]),
        ...(policies
          ? [
              {
                ...place,
                kind: 'policies',
                effect: 'refuse',
                found: `${wanted.table} or a shard of it has other policies of row security than the table on the coordinator`,
                next: `Give it the policies of the table on the coordinator again, on that node: ${MANUAL} CREATE POLICY`,
              } as const,
            ]
          : []),
        ...(found.some(({ constraints }) => constraints !== wanted.constraints)
          ? [
              {
                ...place,
                kind: 'incomplete',
                effect: 'refuse',
                found: `${wanted.table} or a shard of it has not the constraints of the table on the coordinator`,
                next: `Give it the constraints of the table on the coordinator again, on that node: ${MANUAL} ALTER TABLE ... ADD CONSTRAINT`,
              } as const,
            ]
          : []),
        ...(found.some(({ indexes }) => indexes !== wanted.indexes)
          ? [
              {
                ...place,
                kind: 'incomplete',
                effect: 'warn',
                found: `${wanted.table} or a shard of it has not the valid indexes of the table on the coordinator`,
                next: `Give it the indexes of the table on the coordinator again, on that node: ${MANUAL} CREATE INDEX, or REINDEX where one is invalid`,
              } as const,
            ]
          : []),
      ];
    },
  );
}

const APPLY = 'Run citus-databases apply';

/** One finding for each table on each node. */
function shardFindings(situation: Situation): readonly Finding[] {
  const tables = new Map<string, PlacedShard[]>();
  for (const shard of situation.shardFaults.missing) {
    const key = `${shard.group} ${shard.table} ${shard.others.length > 0}`;
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
  const which = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
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
  const statements = names.map((name) => emptyShard(name, first)).join(' ');
  const ifLost = first.replaceable
    ? `Only if their rows may be lost, ${situation.inside.has(first.group) ? '' : 'run citus-databases apply, which makes the database again, and then, '}on ${node} in database '${situation.database.name}': ${MANUAL} ${statements}`
    : `Only if all rows of ${first.table} may be lost, drop it on the coordinator and create it again`;
  return {
    ...place,
    kind: 'lostShard',
    effect: 'refuse',
    found: `${count} ${names.length === 1 ? 'is' : 'are'} gone (${which}); no other node has a copy`,
    next: `Restore ${node} from a backup that has them. ${ifLost}`,
  };
}

/** Without it Citus refuses to change what is named like a shard, and sends DDL on (Citus documentation). */
const MANUAL = 'SET citus.enable_manual_changes_to_shards = on; SET citus.enable_ddl_propagation = off;';

/** Into an empty table in the shard's place, from a node that has the rows; nobody may write meanwhile. */
function copyByHand(situation: Situation, shards: readonly PlacedShard[]): string {
  const [first] = shards;
  if (first === undefined) return APPLY;
  const [source = 0] = first.others;
  const { name: database } = situation.database;
  const nodeid = inside(situation, situation.topology.coordinator).metadata?.nodes.find(
    ({ groupid, noderole }) => groupid === first.group && noderole === 'primary',
  )?.nodeid;
  const empty = shards.map((shard) => emptyShard(shard.name, shard)).join(' ');
  const copy = shards
    .map(({ name }) => `SELECT worker_copy_table_to_node(${quoteLiteral(name)}::regclass, ${nodeid});`)
    .join(' ');
  return `While nobody writes to ${first.table}, on ${labelOf(situation, first.group)} in database '${database}': ${MANUAL} ${empty}\nThen, on ${labelOf(situation, source)} in database '${database}': ${copy}`;
}

/** An empty table in the place of a shard: its rows can be restored into it later, so that nothing becomes final. */
function emptyShard(name: string, { table, owner, accessMethod }: PlacedShard): string {
  const using = accessMethod === 'heap' ? '' : ` USING ${accessMethod}`;
  return `CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)${using}; ALTER TABLE ${name} OWNER TO ${owner};`;
}

function labelOf(situation: Situation, group: number): string {
  const nodes = [situation.topology.coordinator, ...situation.topology.workers, ...situation.topology.otherWorkers];
  const node = nodes.find((candidate) => candidate.group === group);
  return node === undefined ? `group ${group}` : label(situation, node);
}

/** What no run can set right, as the end of the work. */
export function damageItems(situation: Situation): readonly Refusal[] {
  const failure = damage(situation, 'Roles, databases and metadata are as declared by now');
  return failure === undefined ? [] : [{ kind: 'refusal', failure }];
}

/** For commands that change nothing. */
export function refuseDamage(situation: Situation, changed: string): void {
  const failure = damage(situation, changed);
  if (failure !== undefined) throw new Failure(failure);
}

function damage(situation: Situation, changed: string): FailureDetails | undefined {
  const refused = findingsOf(situation).filter(({ effect }) => effect === 'refuse');
  if (refused.length === 0) return undefined;
  const lost = refused.some(({ kind }) => kind === 'lostShard');
  const database = situation.database.name;
  return {
    kind: 'refused',
    what: `Database '${database}' is not ready: ${lost ? 'data is lost' : 'it is damaged in a way that no run can repair'}`,
    node: [...new Set(refused.map(({ node }) => node))].join(', '),
    database,
    cause: `\n${refused.map(({ node, found, next }) => `${node}: ${found}\n  Next: ${next}`).join('\n')}`,
    next: `Do that and run again. ${changed}`,
  };
}
