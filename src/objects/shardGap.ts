import { type Fragment, jsonRows } from './observe.ts';
import { CONSTRAINTS, OTHER_OWNER, POLICY, WITH_SHARDS } from './shardRelations.ts';

/** What one shard lacks, or has beside, as its table on the same node. */
export interface ShardGap {
  /** `schema.table`, quoted. */
  readonly table: string;
  /** `schema.table_102008`, quoted. */
  readonly shard: string;
  readonly kind: 'constraint' | 'index' | 'policy' | 'trigger' | 'column';
  readonly name: string;
  /** It keeps rows from becoming duplicates. */
  readonly unique: boolean;
  /** false: the table has no such thing. */
  readonly lacking: boolean;
  /** On the node: makes the shard like its table. */
  readonly statement: string;
  /** Whose table it is. null, or absent: a superuser's. */
  readonly owner?: string | null;
}

/** By what the objects of a shard and of its table, whose names differ by the number of the shard, are the same. */
const CONSTRAINT_KEY = (alias: string) =>
  `${alias}.contype::pg_catalog.text || pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(${alias}.oid), ' REFERENCES [^(]*\\(', ' REFERENCES (')`;
const INDEX_KEY = (alias: string) =>
  `${alias}.indisunique || pg_catalog."substring"(pg_catalog.pg_get_indexdef(${alias}.indexrelid), ' USING .*$')`;

const APPLY = 'SELECT pg_catalog.worker_apply_shard_ddl_command(%s, %L, %L);';
const APPLY_BETWEEN = 'SELECT pg_catalog.worker_apply_inter_shard_ddl_command(%s, %L, %s, %L, %L);';

/** The shard that a foreign key of shard `s` refers to: of the same range, or the only one of a reference table. */
const REFERENCED = `(SELECT r.shardid FROM pg_catalog.pg_dist_shard r, pg_catalog.pg_dist_shard o
  WHERE o.shardid = s.shardid AND r.logicalrelid = k.confrelid
    AND (r.shardminvalue IS NULL OR r.shardminvalue = o.shardminvalue) ORDER BY r.shardid LIMIT 1)`;

/**
 * Of shards whose constraints, indexes, policies and triggers are others than their table's. Citus' own functions execute
 * a statement on the table for one of its shards (Citus: worker_data_fetch_protocol.c, worker_apply_shard_ddl_command).
 */
export function observeShardGaps(): Fragment {
  return {
    key: 'gaps',
    showsShards: true,
    value: `(WITH ${WITH_SHARDS},
      traits AS MATERIALIZED (
        SELECT r.relid, r.shardid, r.name, r.oid, pg_catalog.jsonb_build_array(y.names, k.kinds, i.kinds, g.kinds, n.digest) AS value
        FROM relations r LEFT JOIN policies y ON y.polrelid = r.oid LEFT JOIN constraints k ON k.conrelid = r.oid
        LEFT JOIN indexes i ON i.indrelid = r.oid LEFT JOIN triggers g ON g.tgrelid = r.oid
        LEFT JOIN columns n ON n.attrelid = r.oid),
      suspects AS MATERIALIZED (
        SELECT s.relid, s.shardid, s.name, s.oid, n.nspname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS "table",
          ${OTHER_OWNER('c')} AS owner
        FROM traits s JOIN traits t ON t.oid = s.relid AND t.value IS DISTINCT FROM s.value
        JOIN pg_catalog.pg_class c ON c.oid = s.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE s.shardid IS NOT NULL)
      SELECT ${jsonRows(`
        SELECT g.*, (SELECT u.owner FROM suspects u WHERE u.name = g.shard LIMIT 1) AS owner FROM (
        SELECT s."table", s.name AS shard, 'constraint' AS kind, k.conname AS name, false AS "unique", true AS lacking,
               CASE WHEN k.contype <> 'f' THEN pg_catalog.format('${APPLY}', s.shardid, s.nspname, d.statement)
                 ELSE pg_catalog.format('${APPLY_BETWEEN}', s.shardid, s.nspname, ${REFERENCED}, rn.nspname, d.statement) END AS statement
        FROM suspects s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.relid AND k.contype IN (${CONSTRAINTS})
        LEFT JOIN pg_catalog.pg_class rc ON rc.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace
        CROSS JOIN LATERAL (SELECT pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', s."table", k.conname,
          pg_catalog.pg_get_constraintdef(k.oid)) AS statement) d
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint h
          WHERE h.conrelid = s.oid AND h.contype = k.contype AND ${CONSTRAINT_KEY('h')} = ${CONSTRAINT_KEY('k')})
        UNION ALL
        SELECT s."table", s.name, 'constraint', h.conname, false, false,
               pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I;', s.name, h.conname)
        FROM suspects s JOIN pg_catalog.pg_constraint h ON h.conrelid = s.oid AND h.contype IN (${CONSTRAINTS})
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
          WHERE k.conrelid = s.relid AND k.contype = h.contype AND ${CONSTRAINT_KEY('h')} = ${CONSTRAINT_KEY('k')})
        UNION ALL
        SELECT s."table", s.name, 'index', c.relname, i.indisunique, true,
               pg_catalog.format('${APPLY}', s.shardid, s.nspname,
                 pg_catalog.replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '))
        FROM suspects s JOIN pg_catalog.pg_index i ON i.indrelid = s.relid
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = s.relid)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_index h WHERE h.indrelid = s.oid AND ${INDEX_KEY('h')} = ${INDEX_KEY('i')})
        UNION ALL
        SELECT s."table", s.name, 'index', c.relname, h.indisunique, false,
               pg_catalog.format('DROP INDEX %I.%I;', s.nspname, c.relname)
        FROM suspects s JOIN pg_catalog.pg_index h ON h.indrelid = s.oid
        JOIN pg_catalog.pg_class c ON c.oid = h.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = h.indexrelid AND k.conrelid = s.oid)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = s.relid AND ${INDEX_KEY('h')} = ${INDEX_KEY('i')})
        UNION ALL
        SELECT s."table", s.name, 'policy', p.polname, false, true,
               pg_catalog.format('${APPLY}', s.shardid, s.nspname, pg_catalog.format('CREATE POLICY %I ON %s %s', p.polname, s."table", p.definition))
        FROM suspects s JOIN (SELECT polrelid, polname, ${POLICY} AS definition FROM pg_catalog.pg_policy) p ON p.polrelid = s.relid
        WHERE NOT EXISTS (SELECT FROM (SELECT polrelid, polname, ${POLICY} AS definition FROM pg_catalog.pg_policy) h
          WHERE h.polrelid = s.oid AND h.polname = p.polname AND h.definition = p.definition)
        UNION ALL
        SELECT s."table", s.name, 'policy', h.polname, false, false,
               pg_catalog.format('DROP POLICY %I ON %s;', h.polname, s.name)
        FROM suspects s JOIN (SELECT polrelid, polname, ${POLICY} AS definition FROM pg_catalog.pg_policy) h ON h.polrelid = s.oid
        WHERE NOT EXISTS (SELECT FROM (SELECT polrelid, polname, ${POLICY} AS definition FROM pg_catalog.pg_policy) p
          WHERE p.polrelid = s.relid AND p.polname = h.polname AND h.definition = p.definition)
        UNION ALL
        SELECT s."table", s.name, 'trigger', t.tgname, false, true,
               pg_catalog.format('${APPLY}', s.shardid, s.nspname, pg_catalog.pg_get_triggerdef(t.oid))
        FROM suspects s JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relid AND NOT t.tgisinternal
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger h
          WHERE h.tgrelid = s.oid AND NOT h.tgisinternal AND h.tgfoid = t.tgfoid AND h.tgtype = t.tgtype)
        UNION ALL
        SELECT s."table", s.name, 'trigger', h.tgname, false, t.oid IS NOT NULL,
               CASE WHEN t.oid IS NULL THEN pg_catalog.format('DROP TRIGGER %I ON %s;', h.tgname, s.name)
                 ELSE pg_catalog.format('ALTER TABLE %s %s TRIGGER %I;', s.name, CASE t.tgenabled WHEN 'O' THEN 'ENABLE'
                   WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, h.tgname) END
        FROM suspects s JOIN pg_catalog.pg_trigger h ON h.tgrelid = s.oid AND NOT h.tgisinternal
        LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = s.relid AND NOT t.tgisinternal
          AND h.tgfoid = t.tgfoid AND h.tgtype = t.tgtype
        WHERE t.oid IS NULL OR t.tgenabled <> h.tgenabled
        UNION ALL
        SELECT s."table", s.name, 'column', c.attname, false, t.attname IS NOT NULL,
               CASE WHEN h.attname IS NULL THEN pg_catalog.format('${APPLY}', s.shardid, s.nspname,
                   pg_catalog.format('ALTER TABLE %s ADD COLUMN %I %s', s."table", c.attname, pg_catalog.format_type(t.atttypid, t.atttypmod)))
                 WHEN t.attname IS NULL THEN pg_catalog.format('ALTER TABLE %s DROP COLUMN %I;', s.name, c.attname)
                 WHEN t.attnotnull <> h.attnotnull THEN pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I %s NOT NULL;',
                   s.name, c.attname, CASE WHEN t.attnotnull THEN 'SET' ELSE 'DROP' END)
                 ELSE pg_catalog.format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE %3$s USING %2$I::pg_catalog.text::%3$s;',
                   s.name, c.attname, pg_catalog.format_type(t.atttypid, t.atttypmod)) END
        FROM suspects s
        CROSS JOIN LATERAL (SELECT DISTINCT a.attname FROM pg_catalog.pg_attribute a
          WHERE a.attrelid IN (s.relid, s.oid) AND a.attnum > 0 AND NOT a.attisdropped) c
        LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = s.relid AND t.attname = c.attname AND NOT t.attisdropped
        LEFT JOIN pg_catalog.pg_attribute h ON h.attrelid = s.oid AND h.attname = c.attname AND NOT h.attisdropped
        WHERE h.attname IS NULL OR t.attname IS NULL OR t.attnotnull <> h.attnotnull
          OR (t.atttypid, t.atttypmod) IS DISTINCT FROM (h.atttypid, h.atttypmod)) g
        -- what is too much goes first: a policy of the same name may come in its place
        ORDER BY 1, 2, lacking, 4`)})`,
  };
}
