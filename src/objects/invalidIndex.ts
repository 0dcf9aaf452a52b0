import { type Fragment, NO_ROWS } from './observe.ts';

/** An index that queries do not use: what CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY leaves behind when it fails. */
export interface InvalidIndex {
  /** `schema.index`, quoted. */
  readonly name: string;
  /** `schema.table`, quoted. */
  readonly table: string;
  /** A half-made copy of another index (PostgreSQL documentation, REINDEX, "Rebuilding Indexes Concurrently"). */
  readonly copy: boolean;
}

export interface InvalidIndexes {
  readonly count: number;
  /** The first ones by name. */
  readonly first: readonly InvalidIndex[];
}

const NAMED = 10;

const INVALID = 'NOT (i.indisvalid AND i.indisready AND i.indislive)';

/**
 * Without those that are being built at this moment. Indexes of partitioned tables are left out: CREATE INDEX ON ONLY
 * makes them invalid on purpose, and each partition's own index is there to be judged.
 */
export function observeInvalidIndexes(): Fragment {
  return {
    key: 'invalidIndexes',
    when: `EXISTS (SELECT FROM pg_catalog.pg_index i WHERE ${INVALID})`,
    otherwise: `pg_catalog.jsonb_build_object('count', 0, 'first', ${NO_ROWS})`,
    showsShards: true,
    value: `(WITH invalid AS MATERIALIZED (
      SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
             pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.relname) AS "table",
             c.relname ~ '_cc(new|old)[0-9]*$' AS copy
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE ${INVALID} AND c.relkind = 'i' AND c.relpersistence <> 't'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
          WHERE p.datname = pg_catalog.current_database() AND p.relid = i.indrelid))
      SELECT pg_catalog.jsonb_build_object('count', (SELECT pg_catalog.count(*) FROM invalid),
        'first', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f)), '[]')
          FROM (SELECT * FROM invalid ORDER BY name COLLATE "C" LIMIT ${NAMED}) f)))`,
  };
}

/** What makes them valid, or takes away what is only a copy. */
export function repairIndexes({ first }: InvalidIndexes): readonly string[] {
  return first.map(({ name, copy }) => (copy ? `DROP INDEX ${name};` : `REINDEX INDEX ${name};`));
}
