import { quoteLiteral } from '../postgres/quote.ts';
import { jsonRows, observationScript, textArray } from './observe.ts';
import { AS_OURSELVES, assertTrusted, ensureOwnTable, type OwnTable, qualified, trusted } from './ownTable.ts';
import { observeOwnTables } from './ownTableObserved.ts';

/**
 * Which scripts of initSQL have been read (initSql/readBefore.ts), in the coordinator's maintenance database. A row says
 * nothing about what was executed: it only spares reading the script to learn which ledger it leads to. So it may be lost
 * or late at any time.
 */
export interface ReadScript {
  /** The database. */
  readonly name: string;
  /** The fingerprint of its scripts. */
  readonly script: string;
  /** The digest of a ledger that has all of their statements as executed (initSql/ledger.ts). */
  readonly ledger: string;
}

/** For asking and for writing: nothing depends on the answer. */
export const READ_SCRIPT_DEADLINE_MS = 4_000;

const READ: OwnTable = {
  name: 'read_script',
  columns: [
    ['name', 'text'],
    ['script', 'text'],
    ['ledger', 'text'],
    ['read_at', 'timestamp with time zone'],
  ],
};
const TABLE = qualified(READ);

/** A table that is not to be trusted counts as none. */
export function readScriptsScript(databases: readonly string[]): string {
  return observationScript(
    observeOwnTables([
      {
        key: 'scripts',
        table: READ,
        value: jsonRows(`SELECT name, script, ledger FROM ${TABLE} WHERE name = ANY (${textArray(databases)})`),
      },
    ]),
  );
}

export function readReadScripts(observed: string): readonly ReadScript[] {
  const { scripts = [] }: { readonly scripts?: readonly ReadScript[] } = JSON.parse(observed);
  return scripts;
}

export function recordReadScript({ name, script, ledger }: ReadScript): string {
  return [
    ...AS_OURSELVES,
    ...ensureOwnTable(`${TABLE} (
      name pg_catalog.text PRIMARY KEY,
      script pg_catalog.text NOT NULL,
      ledger pg_catalog.text NOT NULL,
      read_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now())`),
    assertTrusted(READ),
    `INSERT INTO ${TABLE} (name, script, ledger) VALUES (${[name, script, ledger].map(quoteLiteral).join(', ')})
      ON CONFLICT (name) DO UPDATE SET script = EXCLUDED.script, ledger = EXCLUDED.ledger, read_at = pg_catalog.now()`,
  ].join(';\n');
}

/** For the transaction in which the database is forgotten. */
export function forgetReadScript(database: string): string {
  return `DO ${quoteLiteral(`BEGIN
  IF ${trusted(READ)} THEN
    DELETE FROM ${TABLE} WHERE name = ${quoteLiteral(database)};
  END IF;
END`)}`;
}
