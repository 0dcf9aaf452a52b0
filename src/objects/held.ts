import { type Fragment, HAS_CITUS, HAS_SCHEMAS } from './observe.ts';

/**
 * What of a Citus database is there at all. A fresh session plans every query that it is asked, which takes a server longer
 * than to find nothing: what follows from these answers is not asked.
 */
export type Held = 'tables' | 'types' | 'definitions' | 'leftovers';

const KEY = 'held';

export function observeHeld(): readonly Fragment[] {
  const of = (...catalogs: readonly string[]) =>
    `pg_catalog.count(*) FILTER (WHERE classid IN (${catalogs.map((name) => `'pg_catalog.${name}'::pg_catalog.regclass`).join(', ')})) > 0`;
  return [
    {
      key: KEY,
      when: HAS_CITUS,
      value: `pg_catalog.jsonb_build_object('tables', EXISTS (SELECT FROM pg_catalog.pg_dist_partition))`,
    },
    {
      key: KEY,
      when: HAS_SCHEMAS,
      value: `observed -> '${KEY}' || (SELECT pg_catalog.jsonb_build_object(
        'types', ${of('pg_type')}, 'definitions', ${of('pg_proc', 'pg_class')},
        'leftovers', EXISTS (SELECT FROM pg_catalog.pg_dist_cleanup)) FROM pg_catalog.pg_dist_object)`,
    },
  ];
}

/** SQL condition: there may be some, as far as that was asked before. */
export function mayHold(what: Held): string {
  return `observed #> '{${KEY},${what}}' IS DISTINCT FROM 'false'`;
}

/** The digest of no line at all: md5(''). */
export const NOTHING_HELD = 'd41d8cd98f00b204e9800998ecf8427e';
