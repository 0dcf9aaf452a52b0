import type { FailureDetails } from '../report/errors.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Wording } from './wording.ts';

export interface Statement {
  readonly text: string;
  /** Bound parameters; with any, the statement goes by the extended protocol. */
  readonly values?: readonly (string | number | null)[];
}

/**
 * One thing to do on one node, as data: it can be printed (`plan`) or executed (`apply`).
 */
export interface Change extends Wording {
  readonly kind: 'change';
  readonly node: NodeSpec;
  /** server: in the maintenance database; database: inside the database that is being made. */
  readonly scope: 'server' | 'database';
  /** Makes something new; without it, what exists is changed. For `plan`. */
  readonly creates?: boolean;
  /** Several statements form one transaction. */
  readonly statements: readonly Statement[];
  /** Log lines before and after. */
  readonly starting?: string;
  readonly done?: string;
  /** What a failure is called: "Failed to create extension postgis on worker". */
  readonly failure: string;
  readonly next?: string;
  /** The same for some SQLSTATEs. */
  readonly nextOn?: Readonly<Record<string, string>>;
  /**
   * SQLSTATEs that, on a second attempt after a lost connection, mean that the first attempt had succeeded
   * (duplicate_database after CREATE DATABASE).
   */
  readonly doneOnRetry: readonly string[];
  /** Fails unless what is there on that second attempt is what the first one would have made, and nobody else's. */
  readonly confirm?: string;
  /** SQLSTATEs that mean that the spec is wrong, so that running again is no use. */
  readonly invalidOn?: readonly string[];
  /** SQLSTATEs that are worth another attempt here, beside those that always are. */
  readonly retryOn?: readonly string[];
  /**
   * Each statement in a message and a transaction of its own: Citus sends the text of a whole message to its workers, who
   * take one command at a time.
   */
  readonly separately?: boolean;
  /** Neighbours of the same batch on the same node may go in one message, as one transaction (reconcile/batch.ts). */
  readonly batch?: string;
  /**
   * For a change that does many things at once, all or nothing: the same things one by one. When the whole fails they
   * are tried in turn, so that the failure names the one that is to blame.
   */
  readonly oneByOne?: readonly Change[];
  /** The statements carry a password or a verifier: nothing of them may reach the server's log or an error message. */
  readonly secret: boolean;
}

/** A line that tells something true about the step without changing anything. */
export interface Note {
  readonly kind: 'note';
  readonly text: string;
}

/** Something a person should know of; the run goes on. */
export interface Warning {
  readonly kind: 'warning';
  readonly text: string;
}

/** Work that is more than a list of statements, because what comes next depends on what a node answers. */
export interface Procedure {
  readonly kind: 'procedure';
  readonly name: 'initSql' | 'dropDatabase' | 'rebalance';
  readonly node: NodeSpec;
  /** For `plan`, as a change's. */
  readonly summaries: readonly string[];
}

/** The work ends here: what exists contradicts it, and only a person can decide. `plan` reports it as a finding. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly failure: FailureDetails;
}

export type Item = Change | Procedure | Note | Warning | Refusal;

export function note(text: string): Note {
  return { kind: 'note', text };
}

export function warning(text: string): Warning {
  return { kind: 'warning', text };
}

export function isChange(item: Item): item is Change {
  return item.kind === 'change';
}

/** Why a database cannot be made as declared; found before anything is changed. */
export interface Problem {
  readonly kind: 'failed' | 'invalid' | 'refused';
  readonly what: string;
  readonly node?: string;
  readonly next: string;
}
