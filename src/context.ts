import type { LiveLines } from './report/liveLines.ts';
import type { StepLog } from './report/stepLog.ts';
import type { Access } from './secrets/credentials.ts';
import type { Spec } from './spec/types.ts';

/** What every command gets: the validated spec, a way into the nodes, the log, and the signal that stops it. */
export interface Context {
  readonly command: string;
  readonly spec: Spec;
  readonly access: Access;
  readonly log: StepLog;
  /** On a terminal. */
  readonly live?: LiveLines | undefined;
  /** The longest to wait for nodes, where no database of the spec says it. */
  readonly timeoutSeconds?: number | undefined;
  /** Aborted with an Interrupted as its reason. */
  readonly signal: AbortSignal;
  /** Where reports (`plan`, `verify`) go; the log goes elsewhere when they are JSON. */
  readonly print: (text: string) => void;
}
