import { CITUS_AS_IT_COMES } from '../../../src/postgres/citusSettings.ts';

/** What sessions of the superuser start with where others may create objects. */
export const PINNED = Object.entries({ role: 'none', search_path: 'pg_catalog', ...CITUS_AS_IT_COMES })
  .map((setting) => setting.join('='))
  .toSorted();
