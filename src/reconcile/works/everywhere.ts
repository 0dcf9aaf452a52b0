import { type Kind, observedOf } from '../../objects/kind.ts';
import { inside, server } from '../situation.ts';
import { type DatabaseWork, onDatabaseNodes } from './databaseWork.ts';

/** A kind of object that one file describes, on every node of the database. */
export function everywhere<Observed>(name: string, kind: Kind<Observed>): DatabaseWork {
  return {
    name,
    nodes: onDatabaseNodes,
    kind,
    items: (situation, node) => {
      const observation = kind.scope === 'server' ? server(situation, node) : inside(situation, node);
      return kind.diff(situation.database, observedOf(kind, observation), node);
    },
    log: 'once',
  };
}
