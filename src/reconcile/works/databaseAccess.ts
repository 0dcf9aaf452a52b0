import type { ObservedDatabaseGrants } from '../../objects/accessObserved.ts';
import type { Change } from '../../objects/change.ts';
import { diffDatabaseAccess } from '../../objects/databaseAccess.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { closedFor, inside, type Situation, server } from '../situation.ts';
import { type DatabaseWork, onDatabaseNodes } from './databaseWork.ts';
import { runsInitSql } from './initSql.ts';

/** Steps 1 and 2, once the database is there. */
export function databaseAccessItems(
  situation: Situation,
  node: NodeSpec,
  owners = tableOwners(situation),
): readonly Change[] {
  const { database, databaseGrants } = server(situation, node);
  // null: the database was not there when the server was last observed.
  const owner = database?.owner;
  const grants =
    databaseGrants === null ||
    owner === undefined ||
    owner === situation.database.owner ||
    closedFor(situation) !== undefined
      ? databaseGrants
      : withoutFormerOwner(databaseGrants, owner);
  return diffDatabaseAccess(situation.database, grants ?? undefined, node, owners).map((change) => ({
    ...change,
    starting: change.underWay,
  }));
}

/** ALTER DATABASE OWNER hands the rights of the former owner to the new one (PostgreSQL: aclnewowner()). */
function withoutFormerOwner(observed: ObservedDatabaseGrants, owner: string): ObservedDatabaseGrants {
  const { [owner]: _, ...grants } = observed.grants;
  return { ...observed, grants };
}

/** initSQL may have made distributed tables of other owners, and taken CONNECT from PUBLIC. */
export const tableOwnerRights: DatabaseWork = {
  name: 'rights of table owners',
  nodes: onDatabaseNodes,
  items: tableOwnerItems,
  log: 'once',
  observe: (situation, { changed }) =>
    changed && runsInitSql(situation) && situation.tableOwners === undefined ? 'tableOwners' : undefined,
};

/** Step 7, after initSQL. */
function tableOwnerItems(situation: Situation, node: NodeSpec): readonly Change[] {
  return situation.tableOwners === undefined ? [] : databaseAccessItems(situation, node);
}

/** Owners of distributed tables; those of tables that initSQL makes belong to the superuser. */
function tableOwners(situation: Situation): readonly string[] {
  const { cluster } = situation.spec;
  if (!cluster.citus) return [];
  const observed = situation.tableOwners ?? inside(situation, situation.topology.coordinator).tableOwners ?? [];
  return [cluster.user, ...observed];
}
