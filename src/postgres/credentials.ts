import type { Statement } from './statement.ts';
import type { TlsSettings } from './tls.ts';

/** What it takes to log in on a server. */
export interface Credentials {
  readonly user: string;
  /** undefined: by certificate, or trusted. */
  readonly password: string | undefined;
  readonly tls: TlsSettings;
  /** Goes on where a server has proved nothing: see proof.ts. */
  readonly acceptServerWithoutProof: boolean;
  /** Hears of every statement of every session, for `--log-level debug`. */
  readonly onStatement?: ((statement: Statement) => void) | undefined;
}
