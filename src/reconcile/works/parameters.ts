import { type Change, type Item, warning } from '../../objects/change.ts';
import { entryOf } from '../../objects/entryOf.ts';
import { lockingParameters } from '../../objects/harmfulSetting.ts';
import { diffParameters, parameterWarnings } from '../../objects/parameter.ts';
import { diffSettings, type ObservedSetting } from '../../objects/setting.ts';
import { diffUserParameters } from '../../objects/userParameter.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { type Situation, server } from '../situation.ts';
import { line } from '../work.ts';
import { type DatabaseWork, onCoordinator, onDatabaseNodes } from './databaseWork.ts';

/**
 * A library that is not there keeps every session out, and transactions that are read-only keep Citus from writing: what
 * the database itself has of that kind is set right first.
 */
export function lockingParameterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { parameters, harmfulSettings = [] } = server(situation, node);
  const locking = lockingParameters(situation.database, harmfulSettings);
  return [
    ...healedSettings(situation, node, 'first'),
    ...diffParameters({ ...situation.database, parameters: locking }, parameters, node),
  ].map((change) => ({ ...change, starting: change.underWay }));
}

export const parameterNotices: DatabaseWork = {
  name: 'parameters that a database cannot hold',
  nodes: onCoordinator,
  items: parameterWarningItems,
  log: 'lines',
};

function parameterWarningItems(situation: Situation): readonly Item[] {
  return parameterWarnings(situation.database).map(warning);
}

export const parameters: DatabaseWork = {
  name: 'parameters',
  nodes: onDatabaseNodes,
  items: parameterItems,
  log: 'once',
  summaries: 'withoutNodes',
  // Extensions and initSQL may have changed the settings of the database; after initSQL they were observed already.
  observe: (situation, { changed }) =>
    changed && declaresParameters(situation) && situation.tableOwners === undefined ? 'parameters' : undefined,
  after: (_, names) => [line(`Database parameters set on ${names.join(', ')}!`)],
  nothing: (situation) =>
    declaresParameters(situation) ? 'Database parameters are already set' : 'No database parameters specified',
};

/** Step 8, on one node: ALTER DATABASE SET belongs to the server, so every node gets it. */
function parameterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { parameters, harmfulSettings = [] } = server(situation, node);
  const early = lockingParameters(situation.database, harmfulSettings);
  const later = Object.fromEntries(
    Object.entries(situation.database.parameters).filter(([name]) => entryOf(early, name) === undefined),
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

/** Step 8, on one node. */
function userParameterItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return diffUserParameters(situation.database, server(situation, node).userParameters, node);
}

function declaresParameters({ database }: Situation): boolean {
  return [database, ...database.users].some((declared) => Object.keys(declared.parameters).length > 0);
}
