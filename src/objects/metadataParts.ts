import { type Fragment, HAS_CITUS } from './observe.ts';

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

/** pg_dist_schema came with Citus 12.0; what the stand-in leaves out is missing there as well. */
const HAS_SCHEMAS = "pg_catalog.to_regclass('pg_catalog.pg_dist_schema') IS NOT NULL";

const RELATION = "pg_catalog.concat_ws('.', pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname))";
const SYNCED_TABLES = `pg_catalog.pg_dist_partition p
      JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;
const SYNCED = "p.partmethod IN ('h', 'n')";
/** Roles and databases belong to the server; extensions are compared by their versions. */
const OBJECT = `pg_catalog.pg_dist_object o
      CROSS JOIN LATERAL pg_catalog.pg_identify_object_as_address(o.classid, o.objid, o.objsubid) i`;
const OF_DATABASE = `o.classid NOT IN ('pg_catalog.pg_authid'::pg_catalog.regclass, 'pg_catalog.pg_database'::pg_catalog.regclass)`;

/** Queries of one column `line`, the same on every node whose metadata is the coordinator's. */
const LINES: Readonly<Record<MetadataPart, { readonly when: string; readonly query: string }>> = {
  tables: {
    when: HAS_CITUS,
    query: `SELECT pg_catalog.concat_ws('|', ${RELATION}, p.partmethod, p.colocationid, p.repmodel) AS line
      FROM ${SYNCED_TABLES} WHERE ${SYNCED}`,
  },
  shards: {
    when: HAS_CITUS,
    query: `SELECT pg_catalog.concat_ws('|', s.shardid, n.nspname, c.relname, s.shardminvalue, s.shardmaxvalue) AS line
      FROM pg_catalog.pg_dist_shard s JOIN ${SYNCED_TABLES} ON p.logicalrelid = s.logicalrelid WHERE ${SYNCED}`,
  },
  placements: {
    when: HAS_CITUS,
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
    query: `SELECT pg_catalog.concat_ws('|', ${RELATION}, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
        a.attnotnull, a.attidentity, a.attgenerated) AS line
      FROM ${SYNCED_TABLES} JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE ${SYNCED}`,
  },
  // By their names. What partitions inherit may be named differently on each node.
  structure: {
    when: HAS_SCHEMAS,
    query: `SELECT pg_catalog.concat_ws('|', ${RELATION}, k.contype, k.conname) AS line
      FROM ${SYNCED_TABLES} JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
      WHERE ${SYNCED} AND NOT c.relispartition
      UNION ALL
      SELECT pg_catalog.concat_ws('|', ${RELATION}, 'i', x.relname, i.indisunique)
      FROM ${SYNCED_TABLES} JOIN pg_catalog.pg_index i ON i.indrelid = c.oid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      WHERE ${SYNCED} AND NOT c.relispartition
      UNION ALL
      SELECT pg_catalog.concat_ws('|', ${RELATION}, 'y', y.polname) FROM ${SYNCED_TABLES}
      JOIN pg_catalog.pg_policy y ON y.polrelid = c.oid WHERE ${SYNCED}
      UNION ALL
      SELECT pg_catalog.concat_ws('|', ${RELATION}, 't', t.tgname) FROM ${SYNCED_TABLES}
      JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal WHERE ${SYNCED} AND NOT c.relispartition`,
  },
};

/** One digest a part: the same text is sent whatever a database holds, and the answer stays small. */
export function observeMetadataParts(): readonly Fragment[] {
  return (Object.keys(LINES) as MetadataPart[]).map((part) => {
    const { when, query } = LINES[part];
    return {
      key: 'metadataParts',
      when,
      value: `coalesce(observed -> 'metadataParts', '{}') || pg_catalog.jsonb_build_object('${part}',
        (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(found.line, E'\\n' ORDER BY found.line COLLATE "C"), ''))
         FROM (${query}) found))`,
    };
  });
}
