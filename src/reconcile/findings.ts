import type { Refusal } from '../objects/change.ts';
import type { PlacedShard } from '../objects/shard.ts';
import { Failure, type FailureDetails } from '../report/errors.ts';
import { label, type Situation } from './situation.ts';

/** What is wrong with a database that exists, as data. Pure: `plan`, `apply` and `verify` judge by the same list. */
export interface Finding {
  readonly kind: 'lostShard' | 'missingCopy';
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
  return shardFindings(situation);
}

/** One finding for each table on each node. */
function shardFindings(situation: Situation): readonly Finding[] {
  const tables = new Map<string, PlacedShard[]>();
  for (const shard of situation.shardFaults.missing) {
    const key = `${shard.group} ${shard.table} ${shard.others.length > 0}`;
    tables.set(key, [...(tables.get(key) ?? []), shard]);
  }
  return [...tables.values()].map((shards) => shardFinding(situation, shards));
}

function shardFinding(situation: Situation, shards: readonly PlacedShard[]): Finding {
  const [first] = shards;
  if (first === undefined) throw new Error('a finding without a shard');
  const node = labelOf(situation, first.group);
  const names = shards.map(({ name }) => name);
  const count = `${names.length} ${names.length === 1 ? 'shard' : 'shards'} of ${first.table}`;
  const which = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  const place = { node, object: first.table } as const;
  if (first.others.length > 0) {
    const others = first.others.map((group) => labelOf(situation, group)).join(', ');
    return {
      ...place,
      kind: 'missingCopy',
      effect: 'refuse',
      found: `${count} ${names.length === 1 ? 'has' : 'have'} no table on this node (${which}); ${others} ${first.others.length === 1 ? 'has' : 'have'} a copy`,
      next: `Restore ${node} from a backup, or remove the placement there and copy it again (citus_copy_shard_placement)`,
    };
  }
  const statements = names.map((name) => emptyShard(name, first));
  return {
    ...place,
    kind: 'lostShard',
    effect: 'refuse',
    found: `${count} ${names.length === 1 ? 'is' : 'are'} gone (${which}); no other node has a copy`,
    next: `Restore ${node} from a backup that has them. Only if their rows may be lost, on ${node} in database '${situation.database.name}': ${MANUAL} ${statements.join(' ')}`,
  };
}

/** Without it Citus refuses to change what is named like a shard, and sends DDL on (Citus documentation). */
const MANUAL = 'SET citus.enable_manual_changes_to_shards = on; SET citus.enable_ddl_propagation = off;';

/** An empty table in the place of a shard: its rows can be restored into it later, so that nothing becomes final. */
function emptyShard(name: string, { table, owner }: PlacedShard): string {
  return `CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL); ALTER TABLE ${name} OWNER TO ${owner};`;
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
