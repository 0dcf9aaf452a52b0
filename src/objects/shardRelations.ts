/** How SQL names the shards of a node, and what it reads of distributed tables and their shards. */

/** shard_name() leaves the schema `public` out, in each version of Citus. */
export const SHARD_NAME = `CASE n.nspname WHEN 'public' THEN 'public.' ELSE '' END || pg_catalog.shard_name(p.logicalrelid, s.shardid)`;
export const TABLE_NAME = "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)";
export const LOCAL_GROUP = '(SELECT groupid FROM pg_catalog.pg_dist_local_group)';

export const PLACEMENTS = `pg_catalog.pg_dist_placement l
      JOIN pg_catalog.pg_dist_shard s ON s.shardid = l.shardid
      JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid
      JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;
/** Active placements (Citus: relay_utility.h, SHARD_STATE_ACTIVE) of tables whose metadata every node has. */
export const ACTIVE = "l.shardstate = 1 AND p.partmethod IN ('h', 'n')";
/** Shards are tables, also partitioned or foreign ones; a view in the place of one is none. */
export const TABLE_KINDS = "('r', 'p', 'f')";
/**
 * What a shard is, its table is, too. Somebody else's partitioned table in the place of a plain one would have its key
 * evaluated by whoever reads it (PostgreSQL: partcache.c, RelationBuildPartitionKey()).
 */
export const OF_ITS_KIND = (shard: string, table: string) =>
  `(${shard}.relkind IN ${TABLE_KINDS} AND ${shard}.relkind = ${table}.relkind)`;
/** The number at the end of a shard's name, NULL where there is none (Citus: relay_event_utility.c, AppendShardIdToName()). */
export const SHARD_NUMBER = (relation: string) =>
  `pg_catalog."substring"(${relation}.relname::pg_catalog.text, '_([0-9]{1,18})$')::pg_catalog.int8`;
/** Citus: metadata_utility.h, DISTRIBUTE_BY_NONE, REPLICATION_MODEL_2PC. */
export const REFERENCE = "p.partmethod = 'n' AND p.repmodel = 't'";

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

/** {@link SHARD_NAME} of a row of `placements`. */
export const PLACED_NAME = `CASE p.nspname WHEN 'public' THEN 'public.' ELSE '' END || pg_catalog.shard_name(p.logicalrelid, p.shardid)`;

/**
 * Placements of this node, on the coordinator of all nodes; own shards; and own relations of distributed tables: the tables
 * themselves and the shards.
 */
export const WITH_SHARDS = `placements AS MATERIALIZED (
    SELECT l.groupid, s.shardid, p.logicalrelid, p.partmethod, p.repmodel, n.nspname, ${ACTIVE} AS active FROM ${PLACEMENTS}
    WHERE ${LOCAL_GROUP} IN (0, l.groupid)),
  own AS MATERIALIZED (
    SELECT o.relid, o.shardid, o.name, pg_catalog.to_regclass(o.name)::pg_catalog.oid AS oid
    FROM (SELECT p.logicalrelid::pg_catalog.oid AS relid, p.shardid, ${PLACED_NAME} AS name FROM placements p
      WHERE p.groupid = ${LOCAL_GROUP} AND p.active) o),
  relations AS MATERIALIZED (
    SELECT o.relid, o.shardid, o.name, c.oid, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity
    FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.oid JOIN pg_catalog.pg_class t ON t.oid = o.relid
    WHERE ${OF_ITS_KIND('c', 't')}
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

export const NAMED_STATES = `SELECT ${TABLE_NAME} AS name, t.rights FROM states t
      JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;

/** Whose table it is, for a relation of pg_class. NULL: a superuser's. */
export const OTHER_OWNER = (relation: string) =>
  `(SELECT w.rolname FROM pg_catalog.pg_roles w WHERE w.oid = ${relation}.relowner AND NOT w.rolsuper)`;
