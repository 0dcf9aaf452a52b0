import { quoteIdentifier } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import { type ObservedAccess, relationName } from './accessObserved.ts';
import type { Change } from './change.ts';
import { accessChange, NO_PROPAGATION, usersWithAccess } from './privileges.ts';
import { wording } from './wording.ts';

/**
 * MAINTAIN on what a superuser owns, which earlier versions granted. REFRESH MATERIALIZED VIEW runs the view's query, and
 * ANALYZE, REINDEX and CLUSTER what an index calls, as the owner (PostgreSQL 17 documentation, "Privileges"): an index of a
 * user's, on a table that such a view reads, would run with a superuser's rights as soon as that user refreshes the view.
 */

/** What is made later. */
export function takenDefaults(
  database: DatabaseSpec,
  observed: ObservedAccess | undefined,
  node: NodeSpec,
): readonly Change[] {
  const taken = (observed?.defaults ?? []).flatMap(({ role, kind, maintainers = [] }) =>
    database.users
      .filter(({ name }) => kind === 'r' && maintainers.includes(name))
      .map((user) => {
        const of = `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(role)}`;
        return { user, text: `${of} REVOKE MAINTAIN ON TABLES FROM ${quoteIdentifier(user.name)}` };
      }),
  );
  if (taken.length === 0) return [];
  return [
    accessChange({
      ...{ node, scope: 'database', statements: taken.map(({ text }) => text) },
      ...wording('take', `MAINTAIN on new tables of superusers from ${usersWithAccess(taken)}`),
      failure: 'Failed to take back MAINTAIN on new tables of superusers',
    }),
  ];
}

/** What is there; from the coordinator Citus takes it to the shards and to the workers. */
export function takenFromMaintainers(
  database: DatabaseSpec,
  observed: ObservedAccess | undefined,
  node: NodeSpec,
  /** undefined: the node is the coordinator, or there is no Citus. */
  coordinator?: ObservedAccess,
): readonly Change[] {
  const there = new Map(
    (coordinator?.relations ?? []).map((relation) => [relationName(relation), relation.maintainers]),
  );
  const taken = (observed?.relations ?? []).flatMap((relation) =>
    database.users
      .filter(({ name }) => relation.maintainers?.includes(name) === true)
      .filter(({ name }) => there.get(relationName(relation))?.includes(name) !== true)
      .map((user) => {
        const from = quoteIdentifier(user.name);
        return { user, text: `REVOKE MAINTAIN ON TABLE ${relationName(relation)} FROM ${from} CASCADE` };
      }),
  );
  if (taken.length === 0) return [];
  return [
    accessChange({
      ...{ node, scope: 'database' },
      ...wording('take', `MAINTAIN on tables and views of superusers from ${usersWithAccess(taken)}`),
      statements: [...(coordinator === undefined ? [] : [NO_PROPAGATION]), ...taken.map(({ text }) => text)],
      failure: 'Failed to take back MAINTAIN on tables and views of superusers',
    }),
  ];
}
