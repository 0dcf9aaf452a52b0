import type { TableRights } from '../objects/shard.ts';
import type { ShardGap } from '../objects/shardGap.ts';
import { MANUAL, repeatRights } from '../objects/shardRepair.ts';
import { APPLY, at, type Finding, labelOf } from './finding.ts';
import { tablesWithOtherRights } from './shardFaults.ts';
import type { Situation } from './situation.ts';
import { staleWorkers } from './staleWorkers.ts';

/** Distributed tables of which a node, in the table itself or in a shard, has something else than the coordinator. */
export function tableFindings(situation: Situation): readonly Finding[] {
  const { shardFaults, topology } = situation;
  // Shards are compared with their table on the same node: not before that is the coordinator's.
  const stale = staleWorkers(situation).map(({ worker }) => worker.group);
  const gaps = gapFindings(situation, stale);
  const others = tablesWithOtherRights(shardFaults, topology.coordinator.group).flatMap(
    ({ wanted, found, groups }): readonly Finding[] => {
      const place = { node: groups.map((group) => labelOf(situation, group)).join(', '), object: wanted.table };
      const rights: Finding = {
        ...place,
        kind: 'rights',
        effect: 'heal',
        found: `${wanted.table} or a shard of it lacks the owner, the rights or the row security of the table`,
        next: APPLY,
      };
      const structure: Finding = {
        ...place,
        kind: 'incomplete',
        effect: 'refuse',
        found: `${wanted.table} has other columns, policies, constraints, indexes or triggers than the table on the coordinator`,
        next: `Compare the table with that of the coordinator and, logged in as its owner, make it the same, on that node: ${MANUAL} ALTER TABLE`,
      };
      // What is said of single shards is said already; a table of stale metadata is made anew.
      const known =
        gaps.some(({ object }) => object === wanted.table) || groups.every((group) => stale.includes(group));
      const differs = found.some((table) => structureOf(table) !== structureOf(wanted));
      return [...(repeatRights(wanted, found).length === 0 ? [] : [rights]), ...(differs && !known ? [structure] : [])];
    },
  );
  return [...others, ...gaps];
}

function structureOf({ policies, constraints, indexes, triggers, columns }: TableRights): string {
  return JSON.stringify([policies, constraints, indexes, triggers, columns]);
}

/** One finding for each table on each node and each kind of object. */
function gapFindings(situation: Situation, stale: readonly number[]): readonly Finding[] {
  const findings = new Map<string, { readonly group: number; readonly gaps: ShardGap[] }>();
  for (const [group, gaps] of situation.shardFaults.gaps) {
    if (stale.includes(group)) continue;
    for (const gap of gaps) {
      const key = `${group} ${gap.kind} ${effectOf(gap)} ${gap.table}`;
      const known = findings.get(key)?.gaps ?? [];
      findings.set(key, { group, gaps: [...known, gap] });
    }
  }
  return [...findings.values()].flatMap(({ group, gaps }) => gapFinding(situation, group, gaps));
}

const WORDS: Readonly<Record<ShardGap['kind'], readonly [one: string, several: string]>> = {
  constraint: ['constraint', 'constraints'],
  index: ['index', 'indexes'],
  policy: ['policy', 'policies'],
  trigger: ['trigger', 'triggers'],
  column: ['column', 'columns'],
};

/** A shard without a plain index is slow, and right. */
function effectOf({ kind, unique }: ShardGap): Finding['effect'] {
  return kind === 'index' && !unique ? 'warn' : 'refuse';
}

/** So many statements in one message; the next run tells the rest. */
const STATEMENTS = 20;

function gapFinding(situation: Situation, group: number, gaps: readonly ShardGap[]): readonly Finding[] {
  const [first] = gaps;
  if (first === undefined) return [];
  const node = labelOf(situation, group);
  const shards = [...new Set(gaps.map(({ shard }) => shard))];
  const names = [...new Set(gaps.map(({ name }) => name))];
  const [one, several] = WORDS[first.kind];
  const which = `${names.length === 1 ? one : several} ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' and others' : ''}`;
  const alone = shards.length === 1;
  const count = `${shards.length} ${alone ? 'shard' : 'shards'}`;
  const list = `${shards.slice(0, 3).join(', ')}${shards.length > 3 ? ' and others' : ''}`;
  const beside = !gaps.some(({ lacking }) => lacking);
  const told = gaps.slice(0, STATEMENTS).map(({ statement }) => statement);
  const loses = told.some((statement) => / (?:ADD|DROP) COLUMN /.test(statement));
  const rest = gaps.length > told.length ? `\nThen run again: ${gaps.length - told.length} more follow` : '';
  return [
    {
      node,
      kind: first.kind === 'policy' ? 'policies' : 'incomplete',
      object: first.table,
      effect: effectOf(first),
      found: beside
        ? `${count} of ${first.table} (${list}) ${alone ? 'has' : 'have'} ${which}, which the table lacks`
        : `${count} of ${first.table} (${list}) ${alone ? 'differs from its' : 'differ from their'} table in ${which}`,
      next: `${loses ? `Restore ${node} from a backup. Only if the values of these columns may be lost, make` : 'Make'} ${alone ? 'it like its table' : 'them like their table'}, ${at(situation, node, first.owner)} ${MANUAL} ${told.join(' ')}${rest}`,
    },
  ];
}
