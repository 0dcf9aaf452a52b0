import { quoteLiteral } from '../postgres/quote.ts';
import { PIN_SEARCH_PATH } from './observe.ts';

/**
 * A restore point that several databases share. Citus' citus_create_restore_point() blocks the commit decisions of one
 * database alone; the locks here are the same, and are taken in all databases (Citus:
 * operations/citus_create_restore_point.c).
 *
 * Before Citus sends PREPARE TRANSACTION it writes its decision into pg_dist_transaction, and keeps the lock on that
 * table until it has committed locally (Citus: transaction/remote_transaction.c, StartRemoteTransactionPrepare;
 * transaction_recovery.c, LogTransactionRecord). So once the table is locked on every node that may coordinate
 * transactions, each distributed transaction is either committed there and prepared on all others, or not decided: Citus'
 * recovery completes the former and rolls back the latter.
 */

/** What is locked, in this order; see restorePointOrder.ts. */
export type RestorePointLock = 'metadata' | 'decisions';

const TABLES: Readonly<
  Record<RestorePointLock, { readonly coordinator: readonly string[]; readonly worker: readonly string[] }>
> = {
  // Nodes are added and removed on the coordinator alone.
  metadata: {
    coordinator: ['pg_catalog.pg_dist_node', 'pg_catalog.pg_dist_partition'],
    worker: ['pg_catalog.pg_dist_partition'],
  },
  decisions: { coordinator: ['pg_catalog.pg_dist_transaction'], worker: ['pg_catalog.pg_dist_transaction'] },
};

/** The server itself lets go of what a client holds that does not answer any more: so much later than the client would. */
const SERVER_GRACE_MS = 5_000;

/**
 * Begins the transaction that holds the locks. lock_timeout and idle_in_transaction_session_timeout are the server's own
 * limits (PostgreSQL documentation, "Client Connection Defaults").
 */
export function beginBlocking(waitMs: number): string {
  const limit = Math.ceil(waitMs) + SERVER_GRACE_MS;
  return `BEGIN; ${PIN_SEARCH_PATH}; SET LOCAL lock_timeout = ${limit}; SET LOCAL idle_in_transaction_session_timeout = ${limit}`;
}

/** In a transaction. LOCK TABLE waits for one table after the other. */
export function blockWrites(lock: RestorePointLock, coordinator: boolean): string {
  const tables = TABLES[lock][coordinator ? 'coordinator' : 'worker'];
  return `LOCK TABLE ${tables.join(', ')} IN EXCLUSIVE MODE`;
}

/** Ends the transaction that holds the locks; nothing was changed in it. */
export const LET_GO = 'ROLLBACK';

/** Whether a database has Citus; the session's search_path may be the database's own. */
export const DATABASE_HAS_CITUS = `${PIN_SEARCH_PATH};
  SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_node') IS NOT NULL AS citus`;

/** A primary node that takes part in distributed transactions. */
export interface RegisteredNode {
  readonly groupid: number;
  readonly nodename: string;
  readonly nodeport: number;
}

/** The name's own limit: MAXFNAMELEN (PostgreSQL: src/include/access/xlog_internal.h), as bytes. */
const LONGEST_NAME = 63;

/** Why a restore point cannot have that name. */
export function restorePointNameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (Buffer.byteLength(name) > LONGEST_NAME) return `it is longer than ${LONGEST_NAME} bytes`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: recovery_target_name is a line of a configuration file
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'it has a control character';
  return undefined;
}

export interface WalSettings {
  readonly walLevel: string;
  readonly archiveMode: string;
}

export const WAL_SETTINGS = `SELECT pg_catalog.current_setting('wal_level') AS "walLevel",
  pg_catalog.current_setting('archive_mode') AS "archiveMode"`;

export interface CreatedPoint {
  /** The end of the record (PostgreSQL documentation, "Backup Control Functions"). */
  readonly lsn: string;
  /** The segment that holds it. */
  readonly walFile: string;
}

/** The last byte of the record says which segment holds it: versions differ in what they make of a boundary. */
export function createRestorePoint(name: string): string {
  return `SELECT p.lsn::pg_catalog.text AS lsn, pg_catalog.pg_walfile_name(p.lsn - 1) AS "walFile"
    FROM pg_catalog.pg_create_restore_point(${quoteLiteral(name)}) AS p(lsn)`;
}

/** The segment of the restore point goes to the archive now, not when it is full. */
export const SWITCH_WAL = 'SELECT pg_catalog.pg_switch_wal()';

export interface ArchiverState {
  readonly archived: boolean;
  readonly lastFailed: string | null;
}

/** Segments of one timeline are archived in the order of their names. */
export function observeArchived(walFile: string): string {
  return `SELECT coalesce(a.last_archived_wal COLLATE "C" >= ${quoteLiteral(walFile)}, false) AS archived,
      CASE WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity') THEN a.last_failed_wal END AS "lastFailed"
    FROM pg_catalog.pg_stat_archiver a`;
}
