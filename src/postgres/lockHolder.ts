import { quoteLiteral } from './quote.ts';

/**
 * What two runs take turns at. Advisory locks belong to the database of the session (PostgreSQL documentation,
 * "Advisory Locks"), so everybody has to take them in the coordinator's maintenance database.
 */
export interface LockKey {
  /** A signed 64-bit number in decimal. */
  readonly key: string;
  /** As in "… is held by another run". */
  readonly subject: string;
}

/** A bigint key shows in pg_locks as two halves, with objsubid 1 (PostgreSQL documentation, "pg_locks"). Parameter: the key. */
export const SAME_KEY = `l.locktype = 'advisory' AND l.objsubid = 1
    AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

export interface LockHolder {
  readonly pid: number;
  /** A prepared transaction, which has no session. */
  readonly gid?: string;
  readonly role: string;
  readonly applicationName: string;
  /** undefined: over a local socket. */
  readonly clientAddress: string | undefined;
  /** When the holder's session began. undefined: it is not shown to this role. */
  readonly since: Date | undefined;
}

export interface HolderRow {
  readonly pid: number;
  readonly role: string;
  readonly application_name: string | null;
  readonly client_addr: string | null;
  readonly since: Date | null;
}

export function holderOf(row: HolderRow): LockHolder {
  return {
    pid: row.pid,
    role: row.role,
    applicationName: row.application_name ?? '',
    clientAddress: row.client_addr ?? undefined,
    since: row.since ?? undefined,
  };
}

/** `held by citus-databases apply skymap (process 4711, from 10.0.0.7, since 2026-01-01T00:00:00.000Z)` */
export function describeHolder(holder: LockHolder): string {
  if (holder.gid !== undefined) {
    return `held by prepared transaction ${quoteLiteral(holder.gid)} of ${holder.role} (since ${holder.since?.toISOString()})`;
  }
  const name = holder.applicationName === '' ? 'a session without a name' : holder.applicationName;
  const session = `process ${holder.pid}`;
  // PostgreSQL shows neither of others to who is no superuser.
  if (holder.since === undefined) return `held by ${name} (${session}, of ${holder.role})`;
  const address = holder.clientAddress === undefined ? 'a local socket' : holder.clientAddress;
  return `held by ${name} (${session}, from ${address}, since ${holder.since.toISOString()})`;
}

export function endedLine(holder: LockHolder): string {
  if (holder.gid !== undefined) {
    return `Rolled back a prepared transaction that held up this run and is not a superuser's: lock ${describeHolder(holder)}`;
  }
  return `Ended a session that held up this run and is not a superuser's: lock ${describeHolder(holder)}`;
}
