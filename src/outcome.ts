import type { Context } from './context.ts';
import { asFailure } from './execute/asFailure.ts';
import { throwIfInterrupted } from './execute/run.ts';
import { Failure, Interrupted, worstKind } from './report/errors.ts';
import type { DatabaseSpec } from './spec/types.ts';

/** Databases that failed were reported one by one; this only carries the exit code and names them. */
export class SomeFailed extends Failure {
  readonly failures: ReadonlyMap<string, unknown>;

  constructor(total: number, failures: ReadonlyMap<string, unknown>) {
    const names = [...failures.keys()].map((name) => `'${name}'`).join(', ');
    super({
      kind: worstKind([...failures.values()]),
      what: `${failures.size} of ${total} databases ${failures.size === 1 ? 'is' : 'are'} not ready: ${names}`,
      next: 'Look above for the reason of each',
    });
    this.failures = failures;
  }
}

/**
 * One database after the other; what fails is told at once and does not stop the others. Throws the failure itself when
 * there is one database, else SomeFailed at the end.
 */
export async function reportOutcome(context: Context, make: (database: DatabaseSpec) => Promise<void>): Promise<void> {
  const { databases } = context.spec;
  // a spec for `configure` alone has none
  if (databases.length === 0) context.log.line('The spec declares no databases: there is nothing to do');
  const failures = new Map<string, unknown>();
  for (const database of databases) {
    throwIfInterrupted(context.signal);
    try {
      await make(database);
    } catch (thrown) {
      const error = asFailure(thrown, database.name);
      if (error instanceof Interrupted || databases.length === 1) throw error;
      if (!(error instanceof Failure)) throw error;
      failures.set(database.name, error);
      context.log.about({ database: database.name }).error(`ERROR: ${error.message}`);
    }
  }
  if (failures.size > 0) throw new SomeFailed(databases.length, failures);
}
