import type { Activity } from './activity.ts';
import type { Credentials } from './credentials.ts';
import type { ServerAddress } from './serverAddress.ts';

export interface ConnectTarget {
  readonly node: ServerAddress;
  readonly database: string;
}

export interface ConnectOptions {
  /** See applicationName() in startup.ts. */
  readonly applicationName?: string | undefined;
  /** false for sessions that run the user's own SQL. Default true. */
  readonly pinned?: boolean | undefined;
  /** Pinned, but for search_path. Default false. */
  readonly ownSearchPath?: boolean | undefined;
  /** Settings for the startup message, beside the pinned ones. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** For name resolution, TCP, TLS and authentication together. Default 10 seconds. */
  readonly connectTimeoutMs?: number | undefined;
  /** After this long without an answer the server is asked about the session. Default 30 seconds. */
  readonly probeAfterMs?: number | undefined;
  /** Who looks then. Default: whoever logs in; a role may have room for one session, or may not enter other databases. */
  readonly probeAs?: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called at each such check with what the session is doing. */
  readonly onProbe?: ((activity: Activity) => void) | undefined;
  /** See ProbeOptions. */
  readonly elsewhere?: ((backendPid: number, database: string) => Promise<Activity | undefined>) | undefined;
  readonly onNotice?: ((notice: Notice) => void) | undefined;
}

/** A NOTICE or WARNING of the server. */
export interface Notice {
  readonly severity: string;
  readonly message: string;
}
