import { PIN_SEARCH_PATH, textArray } from '../objects/observe.ts';
import { quoteLiteral } from '../postgres/quote.ts';

/** Of a class of its own, which no server uses. */
export const EXTENSION_DROPPED = 'CDX01';

/** Statements that fail when one of the extensions is gone (DROP SCHEMA … CASCADE takes along those that live there). */
export function assertExtensions(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const body = `
DECLARE gone pg_catalog.text := (SELECT pg_catalog.string_agg(wanted, ', ') FROM pg_catalog.unnest(${textArray(names)}) wanted
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname::pg_catalog.text = wanted));
BEGIN
  IF gone IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '${EXTENSION_DROPPED}', MESSAGE = 'initSQL dropped the extension ' || gone;
  END IF;
END`;
  return [PIN_SEARCH_PATH, `DO ${quoteLiteral(body)}`];
}

/**
 * Within the transaction that drops it, Citus is still loaded and fails at whatever comes next, for want of its catalog
 * (Citus: metadata/metadata_cache.c); elog() messages are not translated. What it means is said instead.
 */
export function nameDroppedCitus(error: unknown): unknown {
  if (!(error instanceof Error) || !/^cache lookup failed for pg_dist_\w+, called too early\?$/.test(error.message)) {
    return error;
  }
  return Object.assign(new Error('initSQL dropped the extension citus', { cause: error }), { code: EXTENSION_DROPPED });
}
