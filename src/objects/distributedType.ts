import { entryOf } from './entryOf.ts';
import { mayHold } from './held.ts';
import { type Fragment, HAS_CITUS, HAS_SCHEMAS } from './observe.ts';

/** Digests of enums, composite types and domains that Citus distributes, by their names. */
export type ObservedTypes = Readonly<Record<string, string>>;

/**
 * Citus gives a node whose type is another one a new type, and renames the old one, which columns of shards keep
 * ("mood(citus_backup_0)"): then no statement that compares them works any more (Citus: worker_create_or_replace.c). So
 * types are compared one by one before anything is synced. Absent: there are none.
 */
export function observeDistributedTypes(): Fragment {
  return {
    key: 'distributedTypes',
    when: `${HAS_CITUS} AND ${HAS_SCHEMAS} AND ${mayHold('types')}`,
    value: `(SELECT coalesce(pg_catalog.jsonb_object_agg(f.name, f.digest), '{}') FROM (
      SELECT i.identity AS name, pg_catalog.md5(pg_catalog.concat_ws('|', t.typtype, t.typnotnull, t.typdefault,
          CASE WHEN t.typbasetype <> 0 THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
          (SELECT pg_catalog.string_agg(e.enumlabel, '|' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
          (SELECT pg_catalog.string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), '|' ORDER BY a.attnum)
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
          (SELECT pg_catalog.string_agg(d.conname || ' ' || pg_catalog.pg_get_constraintdef(d.oid), '|' ORDER BY d.conname COLLATE "C")
             FROM pg_catalog.pg_constraint d WHERE d.contypid = t.oid AND d.contype = 'c'))) AS digest
      FROM pg_catalog.pg_dist_object o JOIN pg_catalog.pg_type t ON t.oid = o.objid
      CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, o.objsubid) i
      WHERE o.classid = 'pg_catalog.pg_type'::pg_catalog.regclass) f)`,
  };
}

/** Types that both nodes have, and differently. */
export function conflictingTypes(own: ObservedTypes, coordinator: ObservedTypes): readonly string[] {
  return Object.entries(own).flatMap(([name, digest]) => {
    const other = entryOf(coordinator, name);
    return other === undefined || other === digest ? [] : [name];
  });
}
