import { isDue } from '../executeItems.ts';
import { initSqlItems } from '../initSqlItems.ts';
import type { Situation } from '../situation.ts';
import { type DatabaseWork, onCoordinator } from './databaseWork.ts';

export const initSql: DatabaseWork = { name: 'initSQL', nodes: onCoordinator, items: initSqlItems, log: 'lines' };

export function runsInitSql(situation: Situation): boolean {
  return initSqlItems(situation, situation.topology.coordinator).some(isDue);
}
