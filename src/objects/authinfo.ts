import { createHash } from 'node:crypto';
import { quoteConninfoValue, quoteIdentifier } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { NodeSpec, SslSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { type Fragment, jsonRows } from './observe.ts';
import { wording } from './wording.ts';

/** A row of pg_dist_authinfo, with the SHA-256 of its secret in the secret's place. */
export interface ObservedAuthinfo {
  readonly nodeid: number;
  readonly rolename: string;
  readonly digest: string;
}

export function observeAuthinfo(): Fragment {
  return {
    key: 'authinfo',
    when: "pg_catalog.to_regclass('pg_catalog.pg_dist_authinfo') IS NOT NULL",
    value: jsonRows(`
      SELECT nodeid, rolename,
             pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(authinfo, 'UTF8')), 'hex') AS digest
      FROM pg_catalog.pg_dist_authinfo`),
  };
}

/**
 * Members of pg_read_all_data may read every table, and passwords are in clear text there. Row security without a policy
 * shows the rows to superusers alone; Citus itself looks them up by their index (Citus: metadata_cache.c,
 * GetAuthinfoViaCatalog()), which row security does not concern. Nor does it concern pg_statistic, where ANALYZE would put
 * the same passwords as the bounds of a histogram, for those members to read.
 */
export const HIDE_AUTHINFO =
  'ALTER TABLE pg_catalog.pg_dist_authinfo ENABLE ROW LEVEL SECURITY, ALTER COLUMN authinfo SET STATISTICS 0';

const AUTHINFO_COLUMN = `(SELECT a.attnum FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = 'pg_catalog.pg_dist_authinfo'::pg_catalog.regclass AND a.attname = 'authinfo')`;

/** ANALYZE leaves alone what it found out about the column before. */
const FORGET_AUTHINFO = `DELETE FROM pg_catalog.pg_statistic
  WHERE starelid = 'pg_catalog.pg_dist_authinfo'::pg_catalog.regclass AND staattnum = ${AUTHINFO_COLUMN}`;

/** Whether others than superusers could see what the rows hold. */
export function observeShownAuthinfo(): Fragment {
  return {
    key: 'authinfoShown',
    when: "pg_catalog.to_regclass('pg_catalog.pg_dist_authinfo') IS NOT NULL",
    value: `(SELECT NOT c.relrowsecurity OR a.attstattarget IS DISTINCT FROM 0
        OR EXISTS (SELECT FROM pg_catalog.pg_statistic s WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum)
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'authinfo'
      WHERE c.oid = 'pg_catalog.pg_dist_authinfo'::pg_catalog.regclass)`,
  };
}

/** Where this program did not create the extension, or an earlier version of it did. */
export function hideAuthinfo(node: NodeSpec): Change {
  return {
    kind: 'change',
    node,
    scope: 'database',
    ...wording(
      'set',
      'row security for pg_dist_authinfo, and no statistics of it, so that superusers alone read passwords',
    ),
    // Every new connection between nodes reads the table, and would wait behind this one.
    statements: [{ text: "SET LOCAL lock_timeout = '1s'" }, { text: HIDE_AUTHINFO }, { text: FORGET_AUTHINFO }],
    failure: 'Failed to hide the rows of pg_dist_authinfo',
    doneOnRetry: [],
    retryOn: [SQLSTATE.lockNotAvailable],
    secret: false,
  };
}

/**
 * What a role uses to log in from one node to another: conninfo with the keys password, sslcert and sslkey, the only
 * ones Citus takes (its constraint authinfo_valid). undefined: there is nothing to say.
 */
export function authinfoOf(password: string | undefined, ssl: SslSpec): string | undefined {
  const parts = [
    password === undefined ? [] : `password=${quoteConninfoValue(password)}`,
    ssl.enabled
      ? [
          `sslcert=${quoteConninfoValue(`${ssl.nodeDirectory}/${ssl.certificate}`)}`,
          `sslkey=${quoteConninfoValue(`${ssl.nodeDirectory}/${ssl.key}`)}`,
        ]
      : [],
  ].flat();
  return parts.length === 0 ? undefined : parts.join(' ');
}

/**
 * A row of more than 2,032 bytes, of which 96 are not this text, has it in a TOAST table (PostgreSQL:
 * TOAST_TUPLE_THRESHOLD), which row security does not concern: members of pg_read_all_data could read it there.
 */
const LONGEST_AUTHINFO = 1900;

export function authinfoProblems(role: string, authinfo: string | undefined): readonly Problem[] {
  const bytes = Buffer.byteLength(authinfo ?? '');
  if (bytes <= LONGEST_AUTHINFO) return [];
  return [
    {
      kind: 'invalid',
      what: `The password and certificate paths of role '${role}' would have ${bytes} bytes in pg_dist_authinfo, more than ${LONGEST_AUTHINFO}: others than superusers could read them there`,
      next: 'Choose a shorter password, or shorter paths (ssl.nodeDirectory)',
    },
  ];
}

/**
 * The row is needed on every node, in every database: Citus does not propagate pg_dist_authinfo, and each node logs in
 * to all others with its own rows. nodeid 0 stands for every node (Citus: connection_configuration.c, GetAuthinfo).
 */
export function diffAuthinfo(
  role: string,
  authinfo: string | undefined,
  observed: readonly ObservedAuthinfo[],
  node: NodeSpec,
): readonly Change[] {
  if (authinfo === undefined) return [];
  const digest = createHash('sha256').update(authinfo, 'utf8').digest('hex');
  const existing = observed.find((row) => row.nodeid === 0 && row.rolename === role);
  if (existing?.digest === digest) return [];
  return [
    {
      kind: 'change',
      node,
      scope: 'database',
      creates: existing === undefined,
      ...wording(
        existing === undefined ? 'write' : 'replace',
        `the pg_dist_authinfo row of role ${quoteIdentifier(role)}`,
      ),
      statements: [
        {
          text: `INSERT INTO pg_catalog.pg_dist_authinfo (nodeid, rolename, authinfo) VALUES (0, $1, $2)
                 ON CONFLICT (nodeid, rolename) DO UPDATE SET authinfo = EXCLUDED.authinfo`,
          values: [role, authinfo],
        },
      ],
      failure: `Failed to write pg_dist_authinfo for role '${role}'`,
      next: 'Citus accepts password, sslcert and sslkey there; look at the password file and the certificate paths',
      doneOnRetry: [],
      // A rejected row is printed whole in DETAIL.
      secret: true,
    },
  ];
}
