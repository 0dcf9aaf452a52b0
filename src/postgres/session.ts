import type { LockBudget } from './lockBudget.ts';
import type { SendAhead } from './sendAhead.ts';
import type { ServerAddress } from './serverAddress.ts';

export interface QueryResult<Row> {
  readonly rows: readonly Row[];
  /** 0 for statements that count nothing. */
  readonly rowCount: number;
  readonly command: string;
}

/** For CREATE DATABASE, CREATE EXTENSION, rows that Citus copies. */
export const LONG_MS = 24 * 3_600_000;
/** For SQL of the user's, whose length nobody knows. A server that is gone, or has nothing left to do for it, is found all the same. */
export const UNLIMITED = Number.POSITIVE_INFINITY;

export interface QueryOptions {
  /**
   * After so long the statement is cancelled and the call fails, whatever the server says that it is doing. Default half an
   * hour, and as long as it may wait for a lock; for pipeline and sendAhead, which send the user's SQL, {@link UNLIMITED}.
   */
  readonly deadlineMs?: number | undefined;
  /**
   * By performance.now(). A statement that still waits for a lock then is cancelled, and the call fails with who holds
   * it; one that works may go on. It is looked at every half minute.
   */
  readonly lockDeadline?: number | undefined;
  /** The same for all statements that share it. */
  readonly lockBudget?: LockBudget | undefined;
  /** Cancels the statement. It is waited for, so that what it did or did not do is known. */
  readonly signal?: AbortSignal | undefined;
}

export interface ScriptOptions extends QueryOptions {
  /** The script may stand in a transaction behind statements of the session's own. Default false. */
  readonly joinable?: boolean | undefined;
  /** The caller reads no rows: what comes of them is dropped. Default false. */
  readonly dropsRows?: boolean | undefined;
}

export interface PipelineOptions extends QueryOptions {
  /** Called for each message that succeeded, in their order; what was called last tells which message failed. */
  readonly onDone?: ((index: number) => void) | undefined;
}

/** One connection to one database of one node. Calls wait for each other; none is sent before the last has ended. */
export interface Session {
  readonly node: ServerAddress;
  readonly database: string;
  readonly backendPid: number;
  readonly serverMajor: number;
  readonly encrypted: boolean;
  /** Somebody in between may have declined TLS, or speak it in the server's place (ssl.mode: prefer). */
  readonly mayBeOverheard: boolean;
  /** As the server said when it let us in; undefined before PostgreSQL 14, which does not say. */
  readonly inRecovery?: boolean | undefined;
  /** Round trips that the callers asked for. */
  readonly queries: number;
  readonly isAlive: boolean;
  /** As after the last statement: idle, in a transaction, in a failed one. */
  readonly transactionStatus: 'I' | 'T' | 'E';
  /** One statement, by the extended protocol. */
  query<Row = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<QueryResult<Row>>;
  /** Any number of statements, by the simple protocol; without BEGIN of their own they are one transaction. */
  script<Row = Record<string, unknown>>(text: string, options?: ScriptOptions): Promise<readonly QueryResult<Row>[]>;
  /**
   * Messages of one statement each, by the simple protocol, sent without waiting for the answers. All of them reach the
   * server: after an error it is the transaction that keeps the rest from taking effect. Fails with the first error, once
   * the server has answered all of them.
   */
  pipeline(messages: readonly string[], options?: PipelineOptions): Promise<void>;
  /**
   * Groups of steps by the extended protocol, sent ahead of their answers. Nothing behind the first error takes effect;
   * fails with that error, once the server has answered.
   */
  sendAhead(task: SendAhead, options?: QueryOptions): Promise<void>;
  /** Cancels the statement under way, over a connection of its own; without one it does nothing. */
  cancel(): Promise<void>;
  /** Never throws, never hangs. */
  close(): Promise<void>;
}

/** The connection broke under a statement, or before it. Whether the statement took effect is not known. */
export class ConnectionLost extends Error {
  readonly code = 'ECONNRESET';
}
