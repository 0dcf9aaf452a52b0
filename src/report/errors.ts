import { oneLine, visible } from './visible.ts';

/** How a run can end badly; each kind has its exit code (see exitCode). */
export type FailureKind =
  /** A later run may succeed without a change. */
  | 'failed'
  /** The spec or the values are wrong: running again cannot help. */
  | 'invalid'
  /** Going on would destroy or contradict what exists. */
  | 'refused';

export interface FailureDetails {
  readonly kind: FailureKind;
  /** What failed, in one sentence, without a full stop. */
  readonly what: string;
  /** The node's name as the spec writes it (host, or host:port where hosts repeat). */
  readonly node?: string | undefined;
  readonly database?: string | undefined;
  /** PostgreSQL's or the system's own words, SQLSTATE included where there is one. Holds no secret. */
  readonly cause?: string | undefined;
  /** What to do next, in one or more sentences. */
  readonly next?: string | undefined;
}

/**
 * An error meant for the person who runs the program. It always says what failed, where, why and what to do next.
 * Anything else that is thrown is a defect of this program and is reported as such.
 */
export class Failure extends Error {
  readonly details: FailureDetails;

  constructor(details: FailureDetails, options?: { cause?: unknown }) {
    super(formatFailure(details), options);
    this.name = 'Failure';
    this.details = details;
  }
}

/** SIGPIPE stands for a standard output that nobody reads any more: Node ignores the signal itself and reports EPIPE. */
export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGPIPE';

/** Exit codes as a shell reports them: 128 and the number of the signal. */
const STOPPED: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 };

/** The run was stopped by a signal: not an error of its own, but nothing may be called ready. */
export class Interrupted extends Error {
  readonly signal: StopSignal;

  constructor(signal: StopSignal) {
    super(signal === 'SIGPIPE' ? 'Stopped because standard output was closed' : `Stopped by ${signal}`);
    this.name = 'Interrupted';
    this.signal = signal;
  }
}

/** `what` (node N, database D), then the cause and the next step on lines of their own, indented by two. */
export function formatFailure(details: FailureDetails): string {
  const place = [
    details.node === undefined ? [] : [`node ${oneLine(details.node)}`],
    details.database === undefined ? [] : [`database ${oneLine(details.database)}`],
  ].flat();
  // A name in it may hold a newline; what follows must not begin a line.
  const what = visible(details.what).replaceAll(/\n(?=\S)/g, '\n  ');
  const lines = [place.length === 0 ? what : `${what} (${place.join(', ')})`];
  if (details.cause !== undefined)
    lines.push(`  Cause: ${indentRest(details.cause)}`.replace(/^( {2}Cause:) \n/, '$1\n'));
  if (details.next !== undefined) lines.push(`  Next: ${indentRest(details.next)}`);
  return lines.join('\n');
}

function indentRest(text: string): string {
  return text.trimEnd().replaceAll('\n', '\n    ');
}

/** What several errors amount to: worth another run if any of them is, else refused if any is, else invalid. */
export function worstKind(errors: readonly unknown[]): FailureKind {
  const codes = errors.map(exitCode);
  if (codes.includes(1)) return 'failed';
  return codes.includes(3) ? 'refused' : 'invalid';
}

/** Exit codes of the program (README, "Exit codes"). */
export function exitCode(error: unknown): number {
  if (error instanceof Interrupted) return STOPPED[error.signal];
  if (error instanceof Failure) return error.details.kind === 'invalid' ? 2 : error.details.kind === 'refused' ? 3 : 1;
  return 1;
}
