import { quoteLiteral } from '../postgres/quote.ts';
import { NOTHING_HELD } from './held.ts';
import { type Fragment, HAS_CITUS, observationScript } from './observe.ts';
import { LOCAL_GROUP, NAMED_STATES, OF_ITS_KIND, PLACED_NAME, REFERENCE, WITH_SHARDS } from './shardRelations.ts';
import { HAS_UNPLACED } from './unplacedShard.ts';

/** The shards that a node holds, as its own metadata lists them. */
export interface ObservedShards {
  /** Digest of the names of this node's shards that are there as tables. */
  readonly present: string;
  /** On the coordinator: for each group, the digest of the shards that it places there. */
  readonly placed: Readonly<Record<string, string>>;
  /** Digest of owner, rights and row security of each distributed table and of its shards on this node. */
  readonly rights: string;
  /** On the coordinator: workers, and groups with shards of distributed tables, without a copy of any reference table. */
  readonly withoutCopies: readonly number[];
  /** On the coordinator: there are reference tables. */
  readonly references?: boolean;
  /** On the coordinator: of some shards it does not know where they are (unplacedShard.ts). */
  readonly unplaced?: boolean;
}

/** What one relation of a distributed table, itself or a shard, lets whom do, and what it holds its rows to. */
export interface TableRights {
  readonly table: string;
  readonly owner: string;
  readonly grants: readonly { readonly grantee: string; readonly privilege: string; readonly grantable: boolean }[];
  readonly rowSecurity: boolean;
  readonly forced: boolean;
  readonly policies: readonly string[];
  /** One letter for each key, check, exclusion constraint and foreign key (pg_constraint.contype). */
  readonly constraints: string;
  /** For each index whether it is unique, and how many columns it has. */
  readonly indexes: string;
  /** For each trigger whether it fires (pg_trigger.tgenabled). */
  readonly triggers: string;
  /** Digest of names and types. */
  readonly columns: string;
}

/** The digest (`present`, `placed`) of a node without shards. */
export const NO_SHARDS = NOTHING_HELD;

/**
 * Old versions, and the stand-in, have no shards that could be looked for by name. Nor are there names while the extension and the
 * library that is loaded are of different versions: shard_name() is refused then (Citus: citus.enable_version_checks), and the run
 * that updates the extension looks at shards afterwards.
 */
const HAS_SHARDS = `${HAS_CITUS} AND pg_catalog.to_regproc('pg_catalog.shard_name') IS NOT NULL
    AND (SELECT pg_catalog.split_part(e.extversion, '-', 1) FROM pg_catalog.pg_extension e WHERE e.extname = 'citus')
      IS NOT DISTINCT FROM pg_catalog.substring(pg_catalog.current_setting('citus.version', true), '^[0-9]+[.][0-9]+')`;

/** The digest of nothing. */
const NOTHING: ObservedShards = {
  present: NO_SHARDS,
  references: false,
  withoutCopies: [],
  placed: {},
  rights: NO_SHARDS,
};

/**
 * One digest each, so that the answer stays small however many shards there are. To plan the query takes a server 15 ms,
 * which a database without any distributed table need not wait for.
 */
export function observeShards(): readonly Fragment[] {
  const without: Fragment = {
    key: 'shards',
    when: HAS_SHARDS,
    value: `CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition)
      THEN ${quoteLiteral(JSON.stringify(NOTHING))}::pg_catalog.jsonb END`,
  };
  const withTables: Fragment = {
    key: 'shards',
    // A condition that names a table would not be planned where the table is missing.
    when: "observed -> 'shards' = 'null'",
    showsShards: true,
    value: `(WITH ${WITH_SHARDS},
      placed AS (
        SELECT p.groupid, pg_catalog.md5(pg_catalog.string_agg(${PLACED_NAME}, ',' ORDER BY p.shardid)) AS digest
        FROM placements p WHERE p.active AND ${LOCAL_GROUP} = 0 GROUP BY 1)
      SELECT pg_catalog.jsonb_build_object(
        'present', (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(r.name, ',' ORDER BY r.shardid), ''))
           FROM relations r WHERE r.shardid IS NOT NULL),
        'unplaced', ${LOCAL_GROUP} = 0 AND ${HAS_UNPLACED},
        'references', ${LOCAL_GROUP} = 0 AND EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE ${REFERENCE}),
        'withoutCopies', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT g.groupid), '[]') FROM (
             SELECT p.groupid FROM placements p WHERE p.partmethod = 'h'
             UNION ALL SELECT n.groupid FROM pg_catalog.pg_dist_node n
               WHERE n.groupid <> 0 AND n.noderole = 'primary' AND n.isactive) g
           WHERE ${LOCAL_GROUP} = 0
             AND EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE ${REFERENCE})
             AND g.groupid NOT IN (SELECT p.groupid FROM placements p WHERE ${REFERENCE})),
        'placed', (SELECT coalesce(pg_catalog.jsonb_object_agg(groupid, digest), '{}') FROM placed),
        'rights', (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(r.line, E'\\n' ORDER BY r.line COLLATE "C"), ''))
           FROM (SELECT t.name || t.rights::pg_catalog.text AS line FROM (${NAMED_STATES}) t) r)))`,
  };
  return [without, withTables];
}

/**
 * Shards of this node in whose place is something else than a table of its kind. Citus moves and copies a shard by reading it as
 * superuser (Citus: worker_copy_table_to_node_udf.c), which would run what is behind a view of its owner.
 */
export function falseShardsScript(): string {
  return observationScript([
    {
      key: 'false',
      when: HAS_SHARDS,
      showsShards: true,
      value: `(WITH ${WITH_SHARDS} SELECT coalesce(pg_catalog.jsonb_agg(o.name ORDER BY o.name), '[]')
        FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.oid JOIN pg_catalog.pg_class t ON t.oid = o.relid
        WHERE NOT ${OF_ITS_KIND('c', 't')})`,
    },
  ]);
}

export function readFalseShards(observed: string): readonly string[] {
  return (JSON.parse(observed) as { false?: readonly string[] }).false ?? [];
}

/** The rights of every distributed table and, where they differ, of its shards on this node. */
export function observeTableRights(): Fragment {
  return {
    key: 'rights',
    showsShards: true,
    value: `(WITH ${WITH_SHARDS} SELECT coalesce(pg_catalog.jsonb_agg(
        pg_catalog.jsonb_build_object('table', t.name) || t.rights ORDER BY t.name), '[]') FROM (${NAMED_STATES}) t)`,
  };
}
