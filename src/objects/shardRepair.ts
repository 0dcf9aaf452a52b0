import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import type { TableRights } from './shard.ts';
import { REFERENCE } from './shardRelations.ts';
import { wording } from './wording.ts';

/** Without it Citus refuses to change what is named like a shard, and sends DDL on (Citus documentation). */
export const MANUAL = 'SET citus.enable_manual_changes_to_shards = on; SET citus.enable_ddl_propagation = off;';

/**
 * Copies of reference tables on a node that has none of them left. Citus copies all of them, and only to nodes where its
 * metadata has none (Citus: reference_table_utils.c, EnsureReferenceTablesExistOnAllNodesExtended), so the metadata has
 * to say first what is so.
 */
export function forgetCopies(coordinator: NodeSpec, group: number, name: string): Change {
  return {
    ...{ kind: 'change', node: coordinator, scope: 'database', doneOnRetry: [], secret: false },
    ...wording('enter', `in the metadata that ${name} has lost its copies of reference tables`),
    statements: [
      {
        text: `DELETE FROM pg_catalog.pg_dist_placement l USING pg_catalog.pg_dist_shard s, pg_catalog.pg_dist_partition p
          WHERE l.groupid = ${group} AND s.shardid = l.shardid AND p.logicalrelid = s.logicalrelid AND ${REFERENCE}`,
      },
      { text: 'SELECT pg_catalog.start_metadata_sync_to_all_nodes()' },
    ],
    failure: `Failed to enter in the metadata that ${name} has lost its copies of reference tables`,
  };
}

export function copyReferenceTables(coordinator: NodeSpec, names: readonly string[]): Change {
  return {
    ...{ kind: 'change', node: coordinator, scope: 'database', doneOnRetry: [], secret: false },
    creates: true,
    ...wording('copy', `reference tables to ${names.join(', ')}`),
    // Logical replication would need a replica identity on each table; writes wait for the time of the copy.
    statements: [{ text: "SELECT pg_catalog.replicate_reference_tables('block_writes')" }],
    starting: `Copying reference tables to ${names.join(', ')}...`,
    failure: `Failed to copy reference tables to ${names.join(', ')}`,
  };
}

/** Statements on the coordinator that give every shard of a table what the table itself has, once more: Citus hands them on. */
export function repeatRights(wanted: TableRights, found: readonly TableRights[]): readonly string[] {
  const { table } = wanted;
  const differ = (same: (rights: TableRights) => boolean) => found.some((rights) => !same(rights));
  // A change of the owner merges the rights of both owners (PostgreSQL: acl.c, aclnewowner), so that all are given again.
  const otherOwner = differ(({ owner }) => owner === wanted.owner);
  const lacking = wanted.grants.filter(
    ({ grantee, privilege, grantable }) =>
      otherOwner ||
      differ(({ grants }) =>
        grants.some(
          (grant) => grant.grantee === grantee && grant.privilege === privilege && (grant.grantable || !grantable),
        ),
      ),
  );
  return [
    ...(otherOwner ? [`ALTER TABLE ${table} OWNER TO ${wanted.owner}`] : []),
    ...lacking.map(
      ({ grantee, privilege, grantable }) =>
        `GRANT ${privilege} ON ${table} TO ${grantee}${grantable ? ' WITH GRANT OPTION' : ''}`,
    ),
    ...(differ(({ rowSecurity }) => rowSecurity === wanted.rowSecurity)
      ? [`ALTER TABLE ${table} ${wanted.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`]
      : []),
    ...(differ(({ forced }) => forced === wanted.forced)
      ? [`ALTER TABLE ${table} ${wanted.forced ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`]
      : []),
  ];
}
