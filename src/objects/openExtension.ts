import { quoteLiteral } from '../postgres/quote.ts';
import { OWN_SCHEMAS } from './extensionSchema.ts';
import { type Fragment, jsonRows, NO_ROWS } from './observe.ts';
import { OF_SUPERUSER } from './openSchemas.ts';

/** An extension in whose schema others may create objects, or have made functions. */
export interface OpenExtension {
  readonly name: string;
  /** Quoted. */
  readonly schema: string;
  /** Who may create there, and is no superuser. Asked for those that a daemon calls as superuser. */
  readonly creators: readonly string[];
  /** Functions and operators of others. */
  readonly placed: readonly string[];
}

const NAMES = `(${[...OWN_SCHEMAS.keys()].map(quoteLiteral).join(', ')})`;

/** Where its library is loaded, a setting of the server says who pg_partman's worker is (pg_partman documentation, "Background Worker"). */
const WORKER_IS_SUPERUSER = `NOT EXISTS (SELECT FROM pg_settings s JOIN pg_roles w ON w.rolname = s.setting
  WHERE s.name = 'pg_partman_bgw.role' AND NOT w.rolsuper)`;

/** What others placed is not told of `public`, where applications have their functions. */
export function observeOpenExtensions(): Fragment {
  const own = `x.extname IN ${NAMES}`;
  const asked = `pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
    WHERE n.nspname <> 'pg_catalog' AND (n.nspname <> 'public' OR ${own})`;
  const placed = `ARRAY(SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = n.oid AND NOT ${OF_SUPERUSER('p.proowner')}
      UNION ALL SELECT o.oid::regoperator::text FROM pg_operator o
        WHERE o.oprnamespace = n.oid AND NOT ${OF_SUPERUSER('o.oprowner')} ORDER BY 1 LIMIT 10)`;
  const creators = `ARRAY(SELECT DISTINCT coalesce(r.rolname, 'PUBLIC')
      FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
        LEFT JOIN pg_roles r ON r.oid = CASE WHEN a.grantee = 'pg_database_owner'::regrole
          THEN (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database()) ELSE a.grantee END
      WHERE a.privilege_type = 'CREATE' AND NOT coalesce(r.rolsuper, false)
      UNION SELECT o.rolname FROM pg_roles o
      WHERE o.oid = n.nspowner AND NOT o.rolsuper AND o.rolname <> 'pg_database_owner' ORDER BY 1)`;
  return {
    key: 'openExtensions',
    when: `EXISTS (SELECT FROM ${asked})`,
    otherwise: NO_ROWS,
    value: jsonRows(`SELECT * FROM (
      SELECT x.extname AS name, quote_ident(n.nspname) AS schema,
        CASE n.nspname WHEN 'public' THEN '{}' ELSE ${placed} END AS placed,
        CASE WHEN ${own} AND ${WORKER_IS_SUPERUSER} THEN ${creators} ELSE '{}' END AS creators
      FROM ${asked} AND ${OF_SUPERUSER('x.extowner')} AND (${own} OR ${OF_SUPERUSER('n.nspowner')})) f
      WHERE f.creators <> '{}' OR f.placed <> '{}' ORDER BY f.name`),
  };
}
