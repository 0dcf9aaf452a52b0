import { OWN_SCHEMA } from '../objects/bookkeeping.ts';
import type { Problem } from '../objects/change.ts';
import { type Fragment, jsonRows } from '../objects/observe.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import type { LedgerRow } from './types.ts';

/**
 * The ledger of initSQL, in the database itself, so that a statement and its row commit together (and a dump or a
 * backup of the database takes both along). Only the coordinator has it.
 */
export const LEDGER_TABLE = `${OWN_SCHEMA}.init_sql`;

export interface ObservedLedger {
  readonly untrustedOwner: string | null;
  readonly rows: readonly LedgerRow[];
}

export function observeLedger(): Fragment {
  return {
    key: 'ledger',
    when: `pg_catalog.to_regclass('${LEDGER_TABLE}') IS NOT NULL`,
    value: `pg_catalog.jsonb_build_object(
      'untrustedOwner', (SELECT r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
         WHERE c.oid = pg_catalog.to_regclass('${LEDGER_TABLE}') AND NOT r.rolsuper),
      'rows', ${jsonRows(`SELECT hash, occurrence, ordinal, line, statement, state FROM ${LEDGER_TABLE} ORDER BY ordinal`)})`,
  };
}

export function ledgerProblems(ledger: ObservedLedger | undefined, label: string): readonly Problem[] {
  if (ledger === undefined || ledger.untrustedOwner === null) return [];
  return [
    {
      kind: 'refused',
      what: `Table ${LEDGER_TABLE} belongs to '${ledger.untrustedOwner}', who is no superuser: what it says cannot be trusted`,
      node: label,
      next: `Find out who made it; then: ALTER SCHEMA ${OWN_SCHEMA} OWNER TO postgres; ALTER TABLE ${LEDGER_TABLE} OWNER TO postgres`,
    },
  ];
}

/**
 * Makes the ledger. Citus would make the schema on the workers too, where it has no business: hence a transaction with
 * its propagation off. On a server without Citus the setting is a placeholder without meaning. The session is one as the
 * user's clients have it: an operator of the CHECK would be looked for in whatever search_path it has.
 */
export const CREATE_LEDGER = [
  'SET LOCAL search_path = pg_catalog',
  'SET LOCAL citus.enable_ddl_propagation = off',
  `CREATE SCHEMA IF NOT EXISTS ${OWN_SCHEMA}`,
  `CREATE TABLE IF NOT EXISTS ${LEDGER_TABLE} (
    ordinal pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash pg_catalog.text NOT NULL,
    occurrence pg_catalog.int4 NOT NULL,
    line pg_catalog.int4 NOT NULL,
    statement pg_catalog.text NOT NULL,
    state pg_catalog.text NOT NULL CHECK (state IN ('done', 'running')),
    executed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (hash, occurrence))`,
  // Default privileges may have given others rights on it: whoever could write here would decide what is executed.
  `DO 'DECLARE grantee pg_catalog.text;
  BEGIN
    FOR grantee IN
      SELECT DISTINCT CASE a.grantee WHEN 0 THEN ''PUBLIC'' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
      FROM (SELECT nspacl AS acl, nspowner AS owner FROM pg_catalog.pg_namespace WHERE nspname = ''${OWN_SCHEMA}''
            UNION ALL
            SELECT relacl, relowner FROM pg_catalog.pg_class WHERE relnamespace = ''${OWN_SCHEMA}''::pg_catalog.regnamespace) o,
           pg_catalog.aclexplode(o.acl) a
      WHERE a.grantee <> o.owner
    LOOP
      EXECUTE ''REVOKE ALL ON SCHEMA ${OWN_SCHEMA} FROM '' || grantee;
      EXECUTE ''REVOKE ALL ON ALL TABLES IN SCHEMA ${OWN_SCHEMA} FROM '' || grantee;
      EXECUTE ''REVOKE ALL ON ALL SEQUENCES IN SCHEMA ${OWN_SCHEMA} FROM '' || grantee;
    END LOOP;
  END'`,
] as const;

/** What the ledger keeps of a unit of initSQL. */
export interface LedgerEntry {
  readonly hash: string;
  readonly occurrence: number;
  readonly line: number;
  /** Passwords blotted out. */
  readonly text: string;
}

/**
 * The unit may have changed the role (SET ROLE, SET LOCAL SESSION AUTHORIZATION): its row is written as the user who
 * logged in. The change ends with the transaction. Citus may be set to hand SET LOCAL to the workers, and hands over the
 * text of the whole message (Citus: commands/variableset.c): not what is written here.
 */
const AS_OURSELVES =
  'SET LOCAL citus.propagate_set_commands = none;\nSET LOCAL SESSION AUTHORIZATION DEFAULT;\nSET LOCAL ROLE none';

/** The row of a unit, for the end of its transaction. */
export function recordDone(entry: LedgerEntry): string {
  return `${AS_OURSELVES};\n${insertRow(entry, 'done')}`;
}

/** The intent, in a transaction of its own before a statement that cannot run in one. */
export function recordRunning(entry: LedgerEntry): string {
  return `BEGIN;\n${AS_OURSELVES};\n${insertRow(entry, 'running')};\nCOMMIT`;
}

export function recordOutcome(entry: LedgerEntry, outcome: 'done' | 'failed'): string {
  const row = `WHERE hash OPERATOR(pg_catalog.=) ${quoteLiteral(entry.hash)} AND occurrence OPERATOR(pg_catalog.=) ${entry.occurrence}`;
  const change =
    outcome === 'done'
      ? `UPDATE ${LEDGER_TABLE} SET state = 'done', executed_at = pg_catalog.now() ${row}`
      : `DELETE FROM ${LEDGER_TABLE} ${row} AND state OPERATOR(pg_catalog.=) 'running'`;
  return `BEGIN;\n${AS_OURSELVES};\n${change};\nCOMMIT`;
}

function insertRow(entry: LedgerEntry, state: LedgerRow['state']): string {
  return `INSERT INTO ${LEDGER_TABLE} (hash, occurrence, line, statement, state)
    VALUES (${quoteLiteral(entry.hash)}, ${entry.occurrence}, ${entry.line}, ${quoteLiteral(entry.text)}, '${state}')
    ON CONFLICT (hash, occurrence) DO UPDATE SET state = EXCLUDED.state, executed_at = pg_catalog.now()`;
}
