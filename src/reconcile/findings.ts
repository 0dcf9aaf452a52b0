import type { Refusal } from '../objects/change.ts';
import { Failure, type FailureDetails } from '../report/errors.ts';
import type { Finding, ReportedFinding } from './finding.ts';
import { contentFindings, serverFindings } from './findingsOfServers.ts';
import { metadataFindings, placementFindings, shardFindings } from './findingsOfShards.ts';
import { tableFindings } from './findingsOfTables.ts';
import { positionFindings } from './positions.ts';
import { isPlain, type Situation } from './situation.ts';

export function reported({ effect, node, kind, object, found, next }: Finding): ReportedFinding {
  return { node, kind, object, healable: effect === 'heal', blocks: effect !== 'warn', message: found, next };
}

/** What is wrong with a database that exists, as data. Pure: `plan`, `apply` and `verify` judge by the same list. */
export function findingsOf(situation: Situation): readonly Finding[] {
  return [
    ...(isPlain(situation)
      ? []
      : [
          ...metadataFindings(situation),
          ...shardFindings(situation),
          ...placementFindings(situation),
          ...tableFindings(situation),
          ...positionFindings(situation),
        ]),
    ...serverFindings(situation),
    ...contentFindings(situation),
  ];
}

/** What a person should know of though the database is usable, for the log. */
export function remarks(situation: Situation): readonly string[] {
  return findingsOf(situation).flatMap(({ effect, node, found, next }) =>
    effect === 'warn' ? [`${node}: ${found}. Next: ${next}`] : [],
  );
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
  const lost = refused.some(({ kind }) => kind === 'lostShard' || kind === 'setBack');
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
