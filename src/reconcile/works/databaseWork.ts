import { databaseNodes } from '../../cluster/topology.ts';
import type { Situation } from '../situation.ts';
import type { Work } from '../work.ts';

export type DatabaseWork = Work<Situation>;

export const onCoordinator: DatabaseWork['nodes'] = ({ topology }) => [[topology.coordinator]];
export const onWorkers: DatabaseWork['nodes'] = ({ topology }) => [topology.workers];
export const onDatabaseNodes: DatabaseWork['nodes'] = ({ topology }) => [databaseNodes(topology)];
