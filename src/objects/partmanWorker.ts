import { quoteLiteral } from '../postgres/quote.ts';
import type { Fragment } from './observe.ts';

const SETTING = (name: string) => `pg_catalog.current_setting('pg_partman_bgw.${name}', true)`;

/**
 * Whether pg_partman's background worker calls the extension's functions in that database as superuser: the server has
 * its settings once its library is loaded (pg_partman: src/pg_partman_bgw.c). A role that is not there is taken for a superuser.
 */
export function observePartmanWorker(database: string): Fragment {
  return {
    key: 'partmanWorker',
    value: `coalesce(${SETTING('role')} IS NOT NULL AND EXISTS (
        SELECT FROM pg_catalog.regexp_split_to_table(${SETTING('dbname')}, ',') item
        WHERE ${quoteLiteral(database)} IN (pg_catalog.btrim(item, ' "'), pg_catalog.lower(pg_catalog.btrim(item))))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r
        WHERE r.rolname::pg_catalog.text = ${SETTING('role')} AND NOT r.rolsuper), false)`,
  };
}
