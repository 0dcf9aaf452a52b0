import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import { forAll } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import { asFailure } from '../postgres/asFailure.ts';
import { meetsItAgain } from '../postgres/sqlstate.ts';
import { exitCode, Failure, Interrupted, worstKind } from '../report/errors.ts';
import { Sections } from '../report/sections.ts';
import type { DatabaseSpec } from '../spec/types.ts';

/** Of the commands that change nothing and report on each database. */
export interface ReportOptions {
  readonly output: 'text' | 'json';
  /** Each takes a connection to every node. Default 1. */
  readonly databasesAtOnce?: number;
}

/** The failures were reported database by database; this carries the exit code and the names. */
export class SomeFailed extends Failure {
  readonly failures: ReadonlyMap<string, unknown>;

  constructor(databases: readonly DatabaseSpec[], failures: ReadonlyMap<string, unknown>) {
    // In the order of the declaration, not in that in which they failed.
    const failed = databases.filter(({ name }) => failures.has(name)).map(({ name }) => `'${name}'`);
    super({
      kind: worstKind([...failures.values()]),
      what: `${failed.length} of ${databases.length} databases ${failed.length === 1 ? 'is' : 'are'} not ready: ${failed.join(', ')}`,
      next: 'Look above for the reason of each',
    });
    this.failures = failures;
  }
}

/** Whether a run that failed like this may succeed without a change; exit code 1 alone does not say so. */
export function worthAnotherAttempt(error: unknown): boolean {
  if (error instanceof SomeFailed) return [...error.failures.values()].some(worthAnotherAttempt);
  return exitCode(error) === 1 && error instanceof Failure && !meetsItAgain(error);
}

/**
 * Works on `atOnce` databases at a time. A failure is reported at once and does not stop the others. Throws the failure
 * itself when there is one database, else SomeFailed at the end. `make` gets the context with the database's own section of
 * the log.
 */
export async function forEachDatabase(
  context: Context,
  make: (database: DatabaseSpec, context: Context) => Promise<void>,
  atOnce = 1,
): Promise<void> {
  const { databases } = context.spec;
  // a spec for `configure` alone has none
  if (databases.length === 0) context.log.line('The spec declares no databases: there is nothing to do');
  const failures = new Map<string, Failure>();
  const sections = new Sections(context.log, databases.length);
  const ending: unknown[] = [];
  async function makeOne(database: DatabaseSpec): Promise<void> {
    // After a signal or a defect no other database is begun.
    if (ending.length > 0) return;
    throwIfInterrupted(context.signal);
    const section = sections.begin(database.name);
    try {
      await make(database, { ...context, log: section.log });
      section.end('done');
    } catch (thrown) {
      const error = asFailure(thrown, database.name);
      if (!(error instanceof Failure) || databases.length === 1) throw error;
      failures.set(database.name, error);
      section.log.about({ database: database.name }).error(`ERROR: ${error.message}`);
      section.end('failed');
    }
  }
  try {
    await forAll(databases, (database) => makeOne(database).catch((error: unknown) => ending.push(error)), atOnce);
  } finally {
    sections.close();
  }
  if (ending.length > 0) throw ending.find((error) => !(error instanceof Interrupted)) ?? ending[0];
  if (failures.size > 0) throw new SomeFailed(databases, failures);
}
