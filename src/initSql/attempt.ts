import {
  AS_OURSELVES,
  assertTrusted,
  type OwnTable,
  qualified,
  REVOKE_FROM_OTHERS,
  trusted,
} from '../objects/ownTable.ts';
import { SYSTEM_IDENTIFIER } from '../objects/server.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { LEDGER_TABLE } from './ledgerTable.ts';
import type { UnitKey } from './types.ts';

/**
 * Which transaction executes a unit under initSQLRole. That role must not be able to write the ledger, so statement and
 * row cannot commit together. Instead the number of the transaction, which it has from its beginning, is written down
 * before its first statement is sent; a run that finds it later asks the server what became of it (PostgreSQL
 * documentation, pg_xact_status()). The row commits with a later number than the one it holds, so a server that has lost
 * the end of its log in a failover can have lost the transaction alone, and never gives its number to another one while
 * the row is there.
 */
const ATTEMPT: OwnTable = {
  name: 'init_sql_transaction',
  columns: [
    ['hash', 'text'],
    ['occurrence', 'integer'],
    ['transaction', 'text'],
    ['server', 'text'],
  ],
};

const TABLE = qualified(ATTEMPT);

/** A copy of the database on another server knows nothing of the transactions of this one. */
const SERVER = SYSTEM_IDENTIFIER;

export const CREATE_ATTEMPTS = [
  `CREATE TABLE IF NOT EXISTS ${TABLE} (
    hash pg_catalog.text NOT NULL,
    occurrence pg_catalog.int4 NOT NULL,
    transaction pg_catalog.text NOT NULL,
    server pg_catalog.text NOT NULL,
    PRIMARY KEY (hash, occurrence))`,
  REVOKE_FROM_OTHERS,
  assertTrusted(ATTEMPT),
] as const;

/** Statements for the transaction of the intent. */
export function recordAttempt({ hash, occurrence }: UnitKey, transaction: string): readonly string[] {
  return [
    assertTrusted(ATTEMPT),
    `INSERT INTO ${TABLE} (hash, occurrence, transaction, server)
      VALUES (${quoteLiteral(hash)}, ${occurrence}, ${quoteLiteral(transaction)}, ${SERVER})
      ON CONFLICT (hash, occurrence) DO UPDATE SET transaction = EXCLUDED.transaction, server = EXCLUDED.server`,
  ];
}

export const THERE_ARE_ATTEMPTS = `SELECT ${trusted(ATTEMPT)} AS attempts`;

/**
 * One row `status` if the intent in the ledger is that of an attempt on this server: committed, aborted, in progress, or
 * NULL (too long ago). An intent of later, for the statement outside a transaction, has no number: it was not written by
 * the transaction that wrote the attempt. The caller has made sure that the ledger is to be trusted.
 */
export function statusOfAttempt({ hash, occurrence }: UnitKey): string {
  return `BEGIN;
${AS_OURSELVES.join(';\n')};
${assertTrusted(ATTEMPT)};
SELECT pg_catalog.pg_xact_status(a.transaction::pg_catalog.xid8) AS status
FROM ${TABLE} a JOIN ${LEDGER_TABLE} l ON l.hash = a.hash AND l.occurrence = a.occurrence AND l.xmin = a.xmin
WHERE a.hash = ${quoteLiteral(hash)} AND a.occurrence = ${occurrence} AND a.server = ${SERVER};
COMMIT`;
}

/** Ends the session in which the transaction still runs: that of a run that was killed. */
export function endAttempt({ hash, occurrence }: UnitKey): string {
  return `BEGIN;
${AS_OURSELVES.join(';\n')};
${assertTrusted(ATTEMPT)};
SELECT pg_catalog.pg_terminate_backend(s.pid) FROM pg_catalog.pg_stat_activity s, ${TABLE} a
WHERE a.hash = ${quoteLiteral(hash)} AND a.occurrence = ${occurrence}
  AND s.backend_xid::pg_catalog.text::pg_catalog.int8 = a.transaction::pg_catalog.int8 % 4294967296;
COMMIT`;
}
