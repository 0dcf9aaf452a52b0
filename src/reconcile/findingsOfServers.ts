import { databaseNodes } from '../cluster/topology.ts';
import { REMOVE_LEFTOVERS } from '../objects/cleanup.ts';
import { repairIndexes } from '../objects/invalidIndex.ts';
import type { OpenExtension } from '../objects/openExtension.ts';
import { settlePrepared } from '../objects/preparedTransaction.ts';
import { MANUAL } from '../objects/shardRepair.ts';
import { at, type Finding, labelOf } from './finding.ts';
import { inside, isPlain, label, type Situation, server } from './situation.ts';

/** Transactions that were prepared and left. */
export function serverFindings(situation: Situation): readonly Finding[] {
  return databaseNodes(situation.topology).flatMap((node) => {
    const name = label(situation, node);
    return (server(situation, node).preparedTransactions ?? []).map((prepared): Finding => {
      const { gid, owner, seconds, waiting } = prepared;
      const waits =
        waiting.length === 0
          ? 'nobody waits for it'
          : `${waiting.join(', ')} ${waiting.length === 1 ? 'waits' : 'wait'} for it`;
      return {
        kind: 'preparedTransaction',
        node: name,
        object: gid,
        effect: 'warn',
        found: `prepared transaction ${gid} of ${owner} is ${seconds} s old; it keeps its locks and holds VACUUM back, and ${waits}`,
        next: `Let the application that prepared it end it, or, ${at(situation, name)} ${settlePrepared(prepared)}`,
      };
    });
  });
}

/** What failed operations left in the database. */
export function contentFindings(situation: Situation): readonly Finding[] {
  return databaseNodes(situation.topology).flatMap((node) => {
    const { invalidIndexes, leftovers = [], openExtensions = [] } = inside(situation, node);
    const name = label(situation, node);
    return [
      ...(invalidIndexes === undefined || invalidIndexes.count === 0
        ? []
        : [invalidIndexFinding(situation, name, node.group, invalidIndexes)]),
      ...leftovers.map(
        ({ group, count, name: object }): Finding => ({
          kind: 'leftovers',
          node: labelOf(situation, group),
          object,
          effect: 'warn',
          found: `${count} ${count === 1 ? 'object' : 'objects'} of moves or splits of shards that failed ${count === 1 ? 'is' : 'are'} still there (pg_dist_cleanup: ${object}${count > 1 ? ' and others' : ''})`,
          next: `Remove ${count === 1 ? 'it' : 'them'}, ${at(situation, name)} ${REMOVE_LEFTOVERS}`,
        }),
      ),
      ...openExtensions.flatMap((extension) => openExtensionFindings(situation, name, extension)),
    ];
  });
}

/** Two dangers: what others placed, and that they may. */
function openExtensionFindings(
  situation: Situation,
  node: string,
  { name, schema, creators, placed }: OpenExtension,
): readonly Finding[] {
  const finding = { kind: 'openExtension', node, object: name, effect: 'warn' } as const;
  return [
    ...(creators.length === 0
      ? []
      : [
          {
            ...finding,
            found: `extension ${name} is in schema ${schema}, in which ${creators.join(', ')} may create objects: its functions look up names there, and its background worker calls them as superuser`,
            next: `Set pg_partman_bgw.role to the role that owns the partitioned tables (in the chart, patroni.postgresql.parameters), or have the extension in a schema that is the superuser's alone`,
          },
        ]),
    ...(placed.length === 0
      ? []
      : [
          {
            ...finding,
            found: `others have made ${placed.slice(0, 3).join(', ')}${placed.length > 3 ? ' and more' : ''} in schema ${schema}, where the functions of extension ${name} look up names, whoever calls them`,
            next: `Read what ${placed.length === 1 ? 'it does' : 'they do'} and drop ${placed.length === 1 ? 'it' : 'them'}, ${at(situation, node)} DROP FUNCTION or DROP OPERATOR`,
          },
        ]),
  ];
}

function invalidIndexFinding(
  situation: Situation,
  node: string,
  group: number,
  invalid: Parameters<typeof repairIndexes>[0],
): Finding {
  const { count, first } = invalid;
  const names = first.slice(0, 3).map(({ name, table }) => `${name} of ${table}`);
  // On the coordinator Citus carries the statement to the shards.
  const manual = isPlain(situation)
    ? ''
    : group === 0
      ? 'SET citus.enable_manual_changes_to_shards = on; '
      : `${MANUAL} `;
  return {
    kind: 'invalidIndex',
    node,
    object: first[0]?.name ?? '',
    effect: 'warn',
    found: `${count} ${count === 1 ? 'index is' : 'indexes are'} invalid, so that no query uses ${count === 1 ? 'it' : 'them'}: ${names.join(', ')}${count > 3 ? ' and others' : ''}`,
    next: `Rebuild ${count === 1 ? 'it' : 'them'}, ${at(situation, node)} ${manual}${repairIndexes(invalid).join(' ')}`,
  };
}
