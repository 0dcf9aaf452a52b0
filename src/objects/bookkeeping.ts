import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { observationScript } from './observe.ts';
import {
  AS_OURSELVES,
  assertTrusted,
  CREATED_MEANWHILE,
  ensureOwnTable,
  type OwnTable,
  qualified,
} from './ownTable.ts';
import { type OwnTableQuestion, observeOwnTables } from './ownTableObserved.ts';
import { forgetReadScript } from './readScript.ts';
import { type Verb, wording } from './wording.ts';

/**
 * What this program remembers in the coordinator's maintenance database: one row per database that it made. It is
 * written before CREATE DATABASE (creating) and bound to the database's OID after (managed), so that a half-made
 * database of ours differs from one that existed before. Citus does not propagate it, and it holds no secret.
 */
export interface ManagedRow {
  readonly oid: number | null;
  readonly state: 'creating' | 'managed' | 'dropping';
}

export interface Bookkeeping {
  /** Why the table is not to be trusted: then no row of it was read. */
  readonly distrust: string | null;
  readonly row: ManagedRow | null;
}

const MANAGED: OwnTable = {
  name: 'managed_database',
  columns: [
    ['name', 'text'],
    ['oid', 'oid'],
    ['state', 'text'],
    ['created_at', 'timestamp with time zone'],
    ['updated_at', 'timestamp with time zone'],
  ],
};
export const MANAGED_TABLE = qualified(MANAGED);

export function askBookkeeping(database: string): OwnTableQuestion {
  const row = `(SELECT pg_catalog.jsonb_build_object('oid', m.oid::pg_catalog.int8, 'state', m.state)
    FROM ${MANAGED_TABLE} m WHERE m.name = ${quoteLiteral(database)})`;
  return {
    key: 'bookkeeping',
    table: MANAGED,
    value: `pg_catalog.jsonb_build_object('distrust', NULL, 'row', ${row})`,
    otherwise: (distrust) => `pg_catalog.jsonb_build_object('distrust', ${distrust}, 'row', NULL)`,
  };
}

/** The databases that this program made and that are still there, by their names of today. */
export function managedDatabasesScript(): string {
  return observationScript(
    observeOwnTables([
      {
        key: 'managed',
        table: MANAGED,
        value: `(SELECT coalesce(pg_catalog.jsonb_agg(d.datname ORDER BY d.datname), '[]')
        FROM ${MANAGED_TABLE} m JOIN pg_catalog.pg_database d ON d.oid = m.oid WHERE m.state = 'managed')`,
      },
    ]),
  );
}

export function readManagedDatabases(observed: string): readonly string[] {
  const { managed = [] }: { readonly managed?: readonly string[] } = JSON.parse(observed);
  return managed;
}

/** Whose database it is, from the row and the database's OID. */
export type Origin =
  /** Not there: this program makes it. */
  | 'absent'
  /** Made by this program, wholly or not. */
  | 'ours'
  /** There before, or made again by somebody else since: initSQL is not run on it. */
  | 'existing';

/**
 * Between the intent and the OID the name is anybody's who has CREATEDB: what this program made belongs to one of `owners`,
 * and nobody else gives a database to them. undefined: not asked.
 */
export function originOf(
  row: ManagedRow | null,
  database: { readonly oid: number; readonly owner: string } | undefined,
  owners?: readonly string[],
): Origin {
  if (database === undefined) return 'absent';
  if (row === null) return 'existing';
  if (row.oid === null) return owners === undefined || owners.includes(database.owner) ? 'ours' : 'existing';
  return row.oid === database.oid ? 'ours' : 'existing';
}

const ENSURE = ensureOwnTable(`${MANAGED_TABLE} (
    name pg_catalog.text PRIMARY KEY,
    oid pg_catalog.oid,
    state pg_catalog.text NOT NULL CHECK (state IN ('creating', 'managed', 'dropping')),
    created_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now())`);

export function recordIntent(database: string, coordinator: NodeSpec): Change {
  const change = own(
    database,
    coordinator,
    { verb: 'record', fact: 'that this program creates' },
    `INSERT INTO ${MANAGED_TABLE} (name, oid, state) VALUES (${quoteLiteral(database)}, NULL, 'creating')
     ON CONFLICT (name) DO UPDATE SET oid = NULL, state = 'creating', updated_at = pg_catalog.now()`,
    ENSURE,
  );
  return { ...change, creates: true };
}

/** `creating`: initSQL has yet to come before anybody is let in (closedDatabase.ts). */
export function bindToOid(database: string, coordinator: NodeSpec, state: 'creating' | 'managed' = 'managed'): Change {
  return bind(database, coordinator, 'the OID of', state);
}

export function recordOpening(database: string, coordinator: NodeSpec): Change {
  return bind(database, coordinator, 'the opening of', 'managed');
}

function bind(database: string, coordinator: NodeSpec, fact: string, state: 'creating' | 'managed'): Change {
  return own(
    database,
    coordinator,
    { verb: 'record', fact },
    `UPDATE ${MANAGED_TABLE} SET state = '${state}', updated_at = pg_catalog.now(),
       oid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(database)})
     WHERE name = ${quoteLiteral(database)}`,
  );
}

export function recordDrop(database: string, coordinator: NodeSpec): Change {
  return own(
    database,
    coordinator,
    { verb: 'record', fact: 'the drop of' },
    `INSERT INTO ${MANAGED_TABLE} (name, oid, state) VALUES (${quoteLiteral(database)}, NULL, 'dropping')
     ON CONFLICT (name) DO UPDATE SET state = 'dropping', updated_at = pg_catalog.now()`,
    ENSURE,
  );
}

export function forget(database: string, coordinator: NodeSpec): Change {
  const row = `DELETE FROM ${MANAGED_TABLE} WHERE name = ${quoteLiteral(database)}`;
  return own(database, coordinator, { verb: 'forget' }, row, [forgetReadScript(database)]);
}

/** A proof that failed: the next run makes it, whatever else there is to do. */
const UNPROVED: OwnTable = {
  name: 'unproved_database',
  columns: [
    ['name', 'text'],
    ['since', 'timestamp with time zone'],
  ],
};

export function askOutstandingProof(database: string): OwnTableQuestion {
  return {
    key: 'unproved',
    table: UNPROVED,
    value: `EXISTS (SELECT FROM ${qualified(UNPROVED)} u WHERE u.name = ${quoteLiteral(database)})`,
  };
}

export function recordOutstandingProof(database: string): string {
  return [
    ...AS_OURSELVES,
    ...ensureOwnTable(`${qualified(UNPROVED)} (
      name pg_catalog.text PRIMARY KEY,
      since pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now())`),
    assertTrusted(UNPROVED),
    `INSERT INTO ${qualified(UNPROVED)} (name) VALUES (${quoteLiteral(database)}) ON CONFLICT (name) DO NOTHING`,
  ].join(';\n');
}

export function forgetOutstandingProof(database: string): string {
  return [
    ...AS_OURSELVES,
    assertTrusted(UNPROVED),
    `DELETE FROM ${qualified(UNPROVED)} WHERE name = ${quoteLiteral(database)}`,
  ].join(';\n');
}

function own(
  database: string,
  node: NodeSpec,
  { verb, fact }: { readonly verb: Verb; readonly fact?: string },
  statement: string,
  prepare: readonly string[] = [],
): Change {
  const of = fact === undefined ? '' : `${fact} `;
  const action = `${verb} ${of}`.trim();
  return {
    kind: 'change',
    node,
    scope: 'server',
    ...wording(verb, `${of}database ${quoteIdentifier(database)} (${MANAGED_TABLE})`),
    statements: [...AS_OURSELVES, ...prepare, assertTrusted(MANAGED), statement].map((text) => ({ text })),
    failure: `Failed to ${action} database '${database}' in ${MANAGED_TABLE}`,
    doneOnRetry: [],
    retryOn: CREATED_MEANWHILE,
    batch: 'bookkeeping',
    secret: false,
  };
}
