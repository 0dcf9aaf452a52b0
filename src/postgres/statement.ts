import type { ServerAddress } from './serverAddress.ts';

/** One message to a server, once it has been answered. */
export interface Statement {
  readonly node: ServerAddress;
  readonly database: string;
  /** As it was sent; values of parameters are not part of it. */
  readonly text: string;
  /** From the moment it was sent; of a pipeline, from the moment the whole of it was. */
  readonly milliseconds: number;
  /** SQLSTATE, or the system's code where the connection broke; undefined: it succeeded. */
  readonly failedWith: string | undefined;
}
