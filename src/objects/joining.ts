import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import { assertingNothingCarried } from './carriedCode.ts';
import type { Change } from './change.ts';
import type { ObservedDatabase } from './database.ts';
import { wording } from './wording.ts';

/**
 * The database on a worker that joins lets nobody but superusers in until the worker is registered: whoever gets in before
 * could place there what Citus' statements then meet, a cast above all (carriedCode.ts). Citus connects as superuser so long.
 */
export function closeUntilRegistered(
  name: string,
  /** null: it has been made in this run, and is closed. */
  observed: ObservedDatabase | null,
  superuser: string,
  node: NodeSpec,
): readonly Change[] {
  const database = quoteIdentifier(name);
  const base = { kind: 'change', node, doneOnRetry: [], secret: false } as const;
  const isClosed = observed === null || (observed.owner === superuser && observed.connectionLimit === 0);
  const closing: Change = {
    ...base,
    scope: 'server',
    ...wording('change', `database ${database} to let nobody but superusers in until the worker is registered`),
    statements: [
      // An owner may lift the limit from any other database.
      { text: `ALTER DATABASE ${database} OWNER TO ${quoteIdentifier(superuser)}` },
      { text: `ALTER DATABASE ${database} WITH CONNECTION LIMIT 0` },
    ],
    failure: `Failed to close database '${name}' until the worker is registered`,
  };
  const looking = lookForOthersCode(name, 'the worker is registered', node);
  return [...(isClosed ? [] : [closing]), { ...looking, statements: [{ text: END_SESSIONS }, ...looking.statements] }];
}

/** On a node that Citus is about to send something to: the change itself asks the coordinator alone. */
export function lookForOthersCode(name: string, when: string, node: NodeSpec): Change {
  return assertingNothingCarried({
    ...{ kind: 'change', node, scope: 'database', doneOnRetry: [], secret: false },
    ...wording(
      'make',
      `sure that nothing of others in database ${quoteIdentifier(name)} runs as superuser when ${when}`,
    ),
    statements: [],
    failure: `Something of others in database '${name}' would run as superuser when ${when}`,
    next: 'Give it to a superuser, read it, or drop it, and run again: what is done stays done',
  });
}

/** From before it was closed. pg_terminate_backend() does not wait (PostgreSQL documentation, "Server Signaling Functions"). */
const END_SESSIONS = `DO ${quoteLiteral(`
BEGIN
  FOR attempt IN 1..100 LOOP
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    PERFORM pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
      WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND NOT r.rolsuper;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    PERFORM pg_catalog.pg_sleep(0.1);
  END LOOP;
  RAISE object_in_use USING MESSAGE = 'sessions of others do not end';
END`)}`;
