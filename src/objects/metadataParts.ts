import { type Held, mayHold, NOTHING_HELD } from './held.ts';
import { type Fragment, HAS_CITUS, HAS_SCHEMAS } from './observe.ts';

/**
 * What a node believes of a Citus database beside pg_dist_node. The coordinator sends all of it to every worker (Citus:
 * metadata_sync.c), so each part has to be the same on all nodes. Append- and range-distributed tables are left out:
 * Citus keeps their metadata on the coordinator (metadata_sync.c, ShouldSyncTableMetadata).
 */
export type MetadataPart =
  | 'tables'
  | 'shards'
  | 'placements'
  | 'colocation'
  | 'schemas'
  | 'objects'
  | 'definitions'
  | 'columns'
  | 'structure';

/** One digest for each part that this version of Citus has. */
export type MetadataDigests = Partial<Readonly<Record<MetadataPart, string>>>;

/** For messages: what a node knows differently. */
const WORDS: Readonly<Record<MetadataPart, string>> = {
  tables: 'other distributed tables (pg_dist_partition)',
  shards: 'other shards (pg_dist_shard)',
  placements: 'other placements of shards (pg_dist_placement)',
  colocation: 'other colocation groups (pg_dist_colocation)',
  schemas: 'other tenant schemas (pg_dist_schema)',
  objects: 'other distributed objects (pg_dist_object)',
  definitions: 'other definitions of distributed functions or views',
  columns: 'other columns of distributed tables',
  structure: 'other constraints, indexes, policies or triggers of distributed tables',
};

/** The parts of which a node believes something else than the coordinator. */
export function differingParts(own: MetadataDigests, coordinator: MetadataDigests): readonly MetadataPart[] {
  return (Object.keys(WORDS) as MetadataPart[]).filter((part) => own[part] !== coordinator[part]);
}

export function describeParts(parts: readonly MetadataPart[]): string {
  return parts.map((part) => WORDS[part]).join(', ');
}

const SYNCED = "p.partmethod IN ('h', 'n')";
/** Tables whose metadata is synced, for all queries of one script: to plan the same joins for each of them takes longest. */
const SYNCED_TABLES = `t AS MATERIALIZED (
      SELECT c.oid, n.nspname, c.relname, c.relispartition, p.partmethod, p.colocationid, p.repmodel,
        pg_catalog.concat_ws('.', pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname)) AS name
      FROM pg_catalog.pg_dist_partition p
      JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE ${SYNCED})`;
/** Roles and databases belong to the server; extensions are compared by their versions. */
const OBJECT = `pg_catalog.pg_dist_object o
      CROSS JOIN LATERAL pg_catalog.pg_identify_object_as_address(o.classid, o.objid, o.objsubid) i`;
const OF_DATABASE = `o.classid NOT IN ('pg_catalog.pg_authid'::pg_catalog.regclass, 'pg_catalog.pg_database'::pg_catalog.regclass)`;

interface Lines {
  readonly when: string;
  /** Without it there is no line. */
  readonly of?: Held;
  readonly query: string;
}

/** Queries of one column `line`, the same on every node whose metadata is the coordinator's. */
const LINES: Readonly<Record<MetadataPart, Lines>> = {
  tables: {
    when: HAS_CITUS,
    of: 'tables',
    query: "SELECT pg_catalog.concat_ws('|', t.name, t.partmethod, t.colocationid, t.repmodel) AS line FROM t",
  },
  shards: {
    when: HAS_CITUS,
    of: 'tables',
    query: `SELECT pg_catalog.concat_ws('|', s.shardid, t.nspname, t.relname, s.shardminvalue, s.shardmaxvalue) AS line
      FROM pg_catalog.pg_dist_shard s JOIN t ON t.oid = s.logicalrelid`,
  },
  placements: {
    when: HAS_CITUS,
    of: 'tables',
    query: `SELECT pg_catalog.concat_ws('|', l.shardid, l.groupid, l.shardstate) AS line
      FROM pg_catalog.pg_dist_placement l JOIN pg_catalog.pg_dist_shard s ON s.shardid = l.shardid
      JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid WHERE ${SYNCED}`,
  },
  colocation: {
    when: HAS_SCHEMAS,
    query: `SELECT pg_catalog.concat_ws('|', g.colocationid, g.shardcount, g.replicationfactor,
        pg_catalog.format_type(g.distributioncolumntype, NULL)) AS line FROM pg_catalog.pg_dist_colocation g`,
  },
  schemas: {
    when: HAS_SCHEMAS,
    query: `SELECT pg_catalog.concat_ws('|', t.schemaid::pg_catalog.regnamespace, t.colocationid) AS line
      FROM pg_catalog.pg_dist_schema t`,
  },
  objects: {
    when: HAS_SCHEMAS,
    query: `SELECT pg_catalog.concat_ws('|', i.type, i.object_names, i.object_args,
        o.distribution_argument_index, o.colocationid, o.force_delegation) AS line
      FROM ${OBJECT} WHERE ${OF_DATABASE}`,
  },
  definitions: {
    when: HAS_SCHEMAS,
    of: 'definitions',
    query: `SELECT pg_catalog.concat_ws('|', i.type, i.object_names, i.object_args,
        pg_catalog.md5(f.prosrc), f.provolatile, f.prosecdef, f.proconfig, pg_catalog.pg_get_userbyid(f.proowner)) AS line
      FROM ${OBJECT} JOIN pg_catalog.pg_proc f ON f.oid = o.objid
      WHERE o.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      UNION ALL
      SELECT pg_catalog.concat_ws('|', i.type, i.object_names, pg_catalog.md5(pg_catalog.pg_get_viewdef(v.oid)),
        pg_catalog.pg_get_userbyid(v.relowner))
      FROM ${OBJECT} JOIN pg_catalog.pg_class v ON v.oid = o.objid AND v.relkind = 'v'
      WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass`,
  },
  columns: {
    when: HAS_SCHEMAS,
    of: 'tables',
    query: `SELECT pg_catalog.concat_ws('|', t.name, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
        a.attnotnull, a.attidentity, a.attgenerated) AS line
      FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped`,
  },
  // By their names. What partitions inherit may be named differently on each node.
  structure: {
    when: HAS_SCHEMAS,
    of: 'tables',
    query: `SELECT pg_catalog.concat_ws('|', t.name, k.contype, k.conname) AS line
      FROM t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
      WHERE NOT t.relispartition
      UNION ALL
      SELECT pg_catalog.concat_ws('|', t.name, 'i', x.relname, i.indisunique)
      FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      WHERE NOT t.relispartition
      UNION ALL
      SELECT pg_catalog.concat_ws('|', t.name, 'y', y.polname) FROM t JOIN pg_catalog.pg_policy y ON y.polrelid = t.oid
      UNION ALL
      SELECT pg_catalog.concat_ws('|', t.name, 't', g.tgname)
      FROM t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal WHERE NOT t.relispartition`,
  },
};

/**
 * One digest a part: the same text is sent whatever a database holds, and the answer stays small. Parts with the same condition are
 * one query. To be asked behind observeHeld(); what is not held has the digest of nothing.
 */
export function observeMetadataParts(): readonly Fragment[] {
  return [HAS_CITUS, HAS_SCHEMAS].flatMap((when) => {
    const parts = (Object.keys(LINES) as MetadataPart[]).filter((part) => LINES[part].when === when);
    const conditions = new Set(parts.map((part) => LINES[part].of));
    return [
      digests(
        when,
        parts.map((part) => [part, `'${NOTHING_HELD}'`]),
      ),
      ...[...conditions].map((of) =>
        digests(
          of === undefined ? when : `${when} AND ${mayHold(of)}`,
          parts.filter((part) => LINES[part].of === of).map((part) => [part, digestOf(LINES[part].query)]),
          of === 'tables' ? `WITH ${SYNCED_TABLES} ` : '',
        ),
      ),
    ];
  });
}

function digests(
  when: string,
  parts: readonly (readonly [part: MetadataPart, digest: string])[],
  queries = '',
): Fragment {
  const pairs = parts.map(([part, digest]) => `'${part}', ${digest}`).join(', ');
  const built = `pg_catalog.jsonb_build_object(${pairs})`;
  return {
    key: 'metadataParts',
    when,
    value: `coalesce(observed -> 'metadataParts', '{}') || ${queries === '' ? built : `(${queries}SELECT ${built})`}`,
  };
}

function digestOf(query: string): string {
  return `(SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(found.line, E'\\n' ORDER BY found.line COLLATE "C"), ''))
         FROM (${query}) found)`;
}
