import { quoteLiteral } from '../postgres/quote.ts';
import { FOUND } from './carriedQuery.ts';
import type { Change, Problem } from './change.ts';
import { HAS_CITUS, jsonRows, observationScript, tableVisibility } from './observe.ts';
import { OF_SUPERUSER } from './openSchemas.ts';

/**
 * What Citus would evaluate as superuser on a node that it registers or syncs. It creates the objects there again and copies
 * the rows of reference tables, all as the superuser (Citus: metadata_sync.c; reference_table_utils.c,
 * CitusExtensionOwnerName()). A function in a CHECK constraint, generated column or index then runs for each row; one in a
 * partition's constraint or key when the partition is attached; one in a domain's constraint wherever a literal of the
 * domain is read (CREATE AGGREGATE … INITCOND, a partition's bound). Planning the copy of a shard evaluates what is constant in
 * its indexes and statistics (PostgreSQL: optimizer/util/plancat.c, get_relation_info()), those that its table lacks as well.
 */
export interface CarriedCode {
  /** As in "constraint c_check of table t". */
  readonly object: string;
  /** The function, with the types of its arguments; `a call of` a superuser's. */
  readonly code: string;
  /** Whose function it is, or who has a superuser's called. */
  readonly owner: string;
}

/** Where all functions and all tables are superusers', nothing is carried; shards are counted by their names, which takes time. */
const OTHERS_OWN = `(
    EXISTS (SELECT FROM pg_catalog.pg_proc f WHERE NOT ${OF_SUPERUSER('f.proowner')})
    OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE NOT ${OF_SUPERUSER('c.relowner')})
    OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE NOT ${OF_SUPERUSER('t.typowner')}))`;

/** For every node: Citus carries over what the coordinator's catalogs hold, and reads shards where they are. */
export function carriedCodeScript(): string {
  return observationScript([
    {
      key: 'carriedCode',
      when: `${HAS_CITUS} AND ${OTHERS_OWN}`,
      showsShards: true,
      value: jsonRows(`SELECT * FROM (${FOUND}) f ORDER BY 1, 2`),
    },
  ]);
}

export function readCarriedCode(observed: string): readonly CarriedCode[] {
  return (JSON.parse(observed) as { readonly carriedCode?: readonly CarriedCode[] }).carriedCode ?? [];
}

/** `due`: what Citus is about to do, as in "Registering node w2". What several nodes have is named once. */
export function carriedCodeProblems(
  nodes: readonly { readonly label: string; readonly found: readonly CarriedCode[] }[],
  due: string,
): readonly Problem[] {
  const named = new Map<string, CarriedCode & { readonly label: string }>();
  for (const { label, found } of nodes) {
    for (const carried of found) {
      const key = `${carried.code} for ${carried.object}`;
      if (!named.has(key)) named.set(key, { ...carried, label });
    }
  }
  return [...named.values()].map(({ object, code, owner, label }) => ({
    kind: 'refused',
    what: `${due} would run ${code} of '${owner}' as superuser, for ${object}`,
    node: label,
    next:
      'In one transaction, so that its owner cannot replace it meanwhile: give it to a superuser (ALTER … OWNER TO), read its text and what ' +
      'it calls, and only then COMMIT. Or drop it (a call: the table or the domain, or its constraint; a cast of a type: that cast); or have Citus do that step ' +
      'yourself, which runs it (docs/SECURITY.md)',
  }));
}

/** The same, asserted in the transaction of the step itself: the owner may have come in between. */
export function assertingNothingCarried(change: Change): Change {
  const assertion = `DO ${quoteLiteral(`
DECLARE
  carried record;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
  ${tableVisibility('off')}
  SELECT * INTO carried FROM (${FOUND}) c LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'this would run ' || carried.code || ' of ' || carried.owner || ' as superuser, for ' || carried.object;
  END IF;
  ${tableVisibility('on')}
END`)}`;
  return {
    ...change,
    statements: [{ text: assertion }, ...change.statements],
    ...(change.oneByOne === undefined ? {} : { oneByOne: change.oneByOne.map(assertingNothingCarried) }),
  };
}
