import { quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { type Fragment, HAS_CITUS, jsonRows, observationScript, textArray } from './observe.ts';
import { wording } from './wording.ts';

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
}

/** A shard that the coordinator places on a node. */
export interface PlacedShard {
  readonly group: number;
  /** `schema.table`, quoted. */
  readonly table: string;
  /** `schema.table_102008`, quoted. */
  readonly name: string;
  readonly shardid: number;
  /**
   * An empty table like this one can stand in its place: no partition, no partitions, no foreign keys, not of
   * a tenant schema.
   */
  readonly replaceable: boolean;
  /** Of a reference table: a copy of it belongs on every node. */
  readonly reference: boolean;
  /** Other groups that have a copy of it. */
  readonly others: readonly number[];
  /** Where a table of its name is, though nothing is placed there. */
  readonly elsewhere?: readonly number[];
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

/** Without it Citus refuses to change what is named like a shard, and sends DDL on (Citus documentation). */
export const MANUAL = 'SET citus.enable_manual_changes_to_shards = on; SET citus.enable_ddl_propagation = off;';

/** The digest (`present`, `placed`) of a node without shards. */
export const NO_SHARDS = 'd41d8cd98f00b204e9800998ecf8427e';

/** shard_name() leaves the schema `public` out, in each version of Citus. */
const SHARD_NAME = `CASE n.nspname WHEN 'public' THEN 'public.' ELSE '' END || pg_catalog.shard_name(p.logicalrelid, s.shardid)`;
const TABLE_NAME = "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)";
const LOCAL_GROUP = '(SELECT groupid FROM pg_catalog.pg_dist_local_group)';

const PLACEMENTS = `pg_catalog.pg_dist_placement l
      JOIN pg_catalog.pg_dist_shard s ON s.shardid = l.shardid
      JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid
      JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;
/** Active placements (Citus: relay_utility.h, SHARD_STATE_ACTIVE) of tables whose metadata every node has. */
const ACTIVE = "l.shardstate = 1 AND p.partmethod IN ('h', 'n')";
/** Shards are tables, also partitioned or foreign ones; a view in the place of one is none. */
const TABLE_KINDS = "('r', 'p', 'f')";
/** Citus: metadata_utility.h, DISTRIBUTE_BY_NONE, REPLICATION_MODEL_2PC. */
const REFERENCE = "p.partmethod = 'n' AND p.repmodel = 't'";

/** Keys, checks, exclusion constraints and foreign keys. */
export const CONSTRAINTS = "'c', 'f', 'p', 'u', 'x'";

/** A policy of row security as CREATE POLICY takes it, without its name and table; `p` is no alias here. */
export const POLICY = `pg_catalog.concat_ws(' ', CASE WHEN polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
      'FOR ' || CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      'TO ' || (SELECT pg_catalog.string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(role)) END, ', '
        ORDER BY pg_catalog.pg_get_userbyid(role)) FROM pg_catalog.unnest(polroles) AS r (role)),
      'USING (' || pg_catalog.pg_get_expr(polqual, polrelid) || ')',
      'WITH CHECK (' || pg_catalog.pg_get_expr(polwithcheck, polrelid) || ')')`;

/** Types of PostgreSQL's own have the same number everywhere; to write each out would take long. */
const COLUMN_TYPE = `CASE WHEN a.atttypid < 16384 THEN a.atttypid || ' ' || a.atttypmod
      ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END`;

/** Own shards, and own relations of distributed tables: the tables themselves and the shards. */
export const WITH_SHARDS = `own AS MATERIALIZED (
    SELECT o.relid, o.shardid, o.name, pg_catalog.to_regclass(o.name)::pg_catalog.oid AS oid
    FROM (SELECT p.logicalrelid::pg_catalog.oid AS relid, s.shardid, ${SHARD_NAME} AS name FROM ${PLACEMENTS}
      WHERE l.groupid = ${LOCAL_GROUP} AND ${ACTIVE}) o),
  relations AS MATERIALIZED (
    SELECT o.relid, o.shardid, o.name, c.oid, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity
    FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.oid WHERE c.relkind IN ${TABLE_KINDS}
    UNION ALL
    SELECT c.oid, NULL, NULL, c.oid, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity
    FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
    WHERE p.partmethod IN ('h', 'n')),
  policies AS MATERIALIZED (
    SELECT polrelid, pg_catalog.jsonb_agg(polname || ' ' || ${POLICY} ORDER BY polname COLLATE "C") AS names
    FROM pg_catalog.pg_policy GROUP BY 1),
  constraints AS MATERIALIZED (
    SELECT conrelid, pg_catalog.string_agg(contype::pg_catalog.text, '' ORDER BY contype) AS kinds
    FROM pg_catalog.pg_constraint WHERE contype IN (${CONSTRAINTS}) GROUP BY 1),
  indexes AS MATERIALIZED (
    SELECT indrelid, pg_catalog.string_agg(kind, ' ' ORDER BY kind) AS kinds
    FROM (SELECT indrelid, CASE WHEN indisunique THEN 'u' ELSE 'i' END || indnatts AS kind FROM pg_catalog.pg_index) x GROUP BY 1),
  columns AS MATERIALIZED (
    SELECT a.attrelid, pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, ${COLUMN_TYPE}, a.attnotnull),
      ',' ORDER BY a.attname)) AS digest
    FROM pg_catalog.pg_attribute a JOIN relations r ON r.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1),
  triggers AS MATERIALIZED (
    SELECT tgrelid, pg_catalog.string_agg(tgenabled::pg_catalog.text, '' ORDER BY tgenabled) AS kinds
    FROM pg_catalog.pg_trigger WHERE NOT tgisinternal GROUP BY 1),
  acls AS MATERIALIZED (
    SELECT d.relowner, d.relacl,
           (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('grantee', g.grantee,
                     'privilege', g.privilege_type, 'grantable', g.is_grantable)
                   ORDER BY g.grantee COLLATE "C", g.privilege_type COLLATE "C", g.is_grantable), '[]')
              FROM (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS grantee,
                           a.privilege_type, pg_catalog.bool_or(a.is_grantable) AS is_grantable
                    FROM pg_catalog.aclexplode(coalesce(d.relacl, pg_catalog.acldefault('r', d.relowner))) a GROUP BY 1, 2) g) AS grants
    FROM (SELECT DISTINCT relowner, relacl FROM relations) d),
  states AS MATERIALIZED (
    SELECT DISTINCT r.relid, pg_catalog.jsonb_build_object('owner', pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.relowner)), 'grants', a.grants,
             'rowSecurity', r.relrowsecurity, 'forced', r.relforcerowsecurity, 'policies', coalesce(y.names, '[]'),
             'constraints', coalesce(k.kinds, ''), 'indexes', coalesce(i.kinds, ''), 'triggers', coalesce(g.kinds, ''), 'columns', coalesce(n.digest, '')) AS rights
    FROM relations r JOIN acls a ON a.relowner = r.relowner AND a.relacl IS NOT DISTINCT FROM r.relacl
    LEFT JOIN policies y ON y.polrelid = r.oid LEFT JOIN constraints k ON k.conrelid = r.oid
    LEFT JOIN indexes i ON i.indrelid = r.oid LEFT JOIN triggers g ON g.tgrelid = r.oid
    LEFT JOIN columns n ON n.attrelid = r.oid)`;

const NAMED_STATES = `SELECT ${TABLE_NAME} AS name, t.rights FROM states t
      JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;

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
        SELECT l.groupid, pg_catalog.md5(pg_catalog.string_agg(${SHARD_NAME}, ',' ORDER BY s.shardid)) AS digest
        FROM ${PLACEMENTS} WHERE ${ACTIVE} AND ${LOCAL_GROUP} = 0 GROUP BY 1)
      SELECT pg_catalog.jsonb_build_object(
        'present', (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(r.name, ',' ORDER BY r.shardid), ''))
           FROM relations r WHERE r.shardid IS NOT NULL),
        'references', ${LOCAL_GROUP} = 0 AND EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE ${REFERENCE}),
        'withoutCopies', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT g.groupid), '[]') FROM (
             SELECT l.groupid FROM ${PLACEMENTS} WHERE p.partmethod = 'h'
             UNION ALL SELECT n.groupid FROM pg_catalog.pg_dist_node n
               WHERE n.groupid <> 0 AND n.noderole = 'primary' AND n.isactive) g
           WHERE ${LOCAL_GROUP} = 0
             AND EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE ${REFERENCE})
             AND g.groupid NOT IN (SELECT r.groupid FROM pg_catalog.pg_dist_placement r
               JOIN pg_catalog.pg_dist_shard s ON s.shardid = r.shardid
               JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid WHERE ${REFERENCE})),
        'placed', (SELECT coalesce(pg_catalog.jsonb_object_agg(groupid, digest), '{}') FROM placed),
        'rights', (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(r.line, E'\\n' ORDER BY r.line COLLATE "C"), ''))
           FROM (SELECT t.name || t.rights::pg_catalog.text AS line FROM (${NAMED_STATES}) t) r)))`,
  };
  return [without, withTables];
}

/** On the coordinator: every shard that it places on some groups. */
export function placedShardsScript(groups: readonly number[]): string {
  return observationScript([
    {
      key: 'placed',
      value: jsonRows(`
        SELECT l.groupid AS "group", ${TABLE_NAME} AS "table", ${SHARD_NAME} AS name, s.shardid,
               c.relkind = 'r' AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f
                 WHERE f.conrelid = c.oid AND f.contype = 'f')
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_schema t WHERE t.schemaid = c.relnamespace) AS replaceable,
               ${REFERENCE} AS reference,
               (SELECT coalesce(pg_catalog.jsonb_agg(e.groupid ORDER BY e.groupid), '[]') FROM pg_catalog.pg_dist_placement e
                 WHERE e.shardid = s.shardid AND e.groupid <> l.groupid AND e.shardstate = 1) AS others
        FROM ${PLACEMENTS} WHERE ${ACTIVE} AND l.groupid IN (${groups.join(', ')}) ORDER BY s.shardid, l.groupid`),
    },
  ]);
}

export function readPlacedShards(observed: string): readonly PlacedShard[] {
  return (JSON.parse(observed) as { placed: readonly PlacedShard[] }).placed;
}

/** Which of these shards are there as tables, whatever the node's own metadata says. */
export function existingShardsScript(names: readonly string[]): string {
  return observationScript([
    {
      key: 'existing',
      showsShards: true,
      value: `(SELECT coalesce(pg_catalog.jsonb_agg(w.name), '[]') FROM pg_catalog.unnest(${textArray(names)}) AS w (name)
        JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name) AND c.relkind IN ${TABLE_KINDS})`,
    },
  ]);
}

export function readExistingShards(observed: string): ReadonlySet<string> {
  return new Set((JSON.parse(observed) as { existing: readonly string[] }).existing);
}

/**
 * Shards of this node in whose place is something else than a table. Citus moves and copies a shard by reading it as
 * superuser (Citus: worker_copy_table_to_node_udf.c), which would run what is behind a view of its owner.
 */
export function falseShardsScript(): string {
  return observationScript([
    {
      key: 'false',
      when: HAS_SHARDS,
      showsShards: true,
      value: `(WITH ${WITH_SHARDS} SELECT coalesce(pg_catalog.jsonb_agg(o.name ORDER BY o.name), '[]')
        FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.oid WHERE c.relkind NOT IN ${TABLE_KINDS})`,
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
