import type { Change, Problem } from '../objects/change.ts';
import { type Fragment, jsonRows } from '../objects/observe.ts';
import {
  AS_OURSELVES,
  asOurselvesUnchanged,
  assertTrusted,
  distrustProblem,
  FIRE_CONSTRAINTS,
  OWN_SCHEMA,
  type OwnTable,
  type OwnTableVersion,
  qualified,
  REVOKE_FROM_OTHERS,
  versionOf,
} from '../objects/ownTable.ts';
import { observeOwnTables } from '../objects/ownTableObserved.ts';
import { wording } from '../objects/wording.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { LedgerRow } from './types.ts';

/**
 * The ledger of initSQL, in the database itself, so that a statement and its row commit together (and a dump or a
 * backup of the database takes both along). Only the coordinator has it; what goes by that name on a worker is never
 * read.
 */
const LEDGER: OwnTable = {
  name: 'init_sql',
  columns: [
    ['ordinal', 'bigint'],
    ['hash', 'text'],
    ['occurrence', 'integer'],
    ['line', 'integer'],
    ['statement', 'text'],
    ['state', 'text'],
    ['executed_at', 'timestamp with time zone'],
  ],
};

export const LEDGER_TABLE = qualified(LEDGER);

export interface ObservedLedger {
  /** Why it is not to be trusted: then no row of it was read. */
  readonly distrust: string | null;
  /** null: there is none, or none was asked for. 'asScript': its digest is that of the script (ledger.ts, ledgerDigest). */
  readonly rows: readonly LedgerRow[] | 'asScript' | null;
  /** Where it was written, if not in this database: it came along with a copy. null: here, or it does not say. */
  readonly copyOf?: string | null;
}

/**
 * Where the ledger was written, as the comment on its table says. A copy has another OID (pg_restore, in whichever
 * cluster) or lies in a database with another OID (CREATE DATABASE … TEMPLATE); pg_upgrade keeps both OIDs (PostgreSQL 15,
 * src/bin/pg_upgrade/pg_upgrade.c). A comment needs no column, so earlier versions of this program take the table for
 * theirs. A ledger without one is taken for the database's own.
 */
const COMMENT = `pg_catalog.obj_description(pg_catalog.to_regclass('${LEDGER_TABLE}'), 'pg_class')`;

const OWN_OIDS = `(SELECT pg_catalog.format('(OID %s, table %s)', d.oid, pg_catalog.to_regclass('${LEDGER_TABLE}')::pg_catalog.oid)
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())`;

const COPY_OF = `(SELECT found[1] || ' ' || found[2]
    FROM pg_catalog.regexp_match(${COMMENT}, '^initSQL as executed in (database .*) (\\(OID \\d+, table \\d+\\))$') found
    WHERE found[2] <> ${OWN_OIDS})`;

/** {@link ledgerDigest} of the table. */
const DIGEST = `(SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
      pg_catalog.string_agg(hash || ' ' || occurrence::pg_catalog.text || ' ' || state, ',' ORDER BY ordinal), 'UTF8')), 'hex')
    FROM ${LEDGER_TABLE})`;

/** There may be ten thousand. `unless`: the digest of a script; they are sent where they are not those that it leads to. */
export type LedgerRowsAsked = 'all' | 'none' | { readonly unless: string };

/** On workers as well somebody may have taken the schema's name; rows are the coordinator's alone. */
export function observeLedger(coordinator: boolean, asked: LedgerRowsAsked = 'all'): readonly Fragment[] {
  const all = jsonRows(
    `SELECT hash, occurrence, ordinal, line, statement, state FROM ${LEDGER_TABLE} ORDER BY ordinal`,
  );
  const rows = asked === 'all' ? all : asked === 'none' ? 'NULL' : rowsUnless(asked.unless, all);
  const unread = (distrust: string) => `pg_catalog.jsonb_build_object('distrust', ${distrust}, 'rows', NULL)`;
  return observeOwnTables([
    {
      key: 'ledger',
      table: LEDGER,
      value: coordinator
        ? `pg_catalog.jsonb_build_object('distrust', NULL, 'rows', ${rows}, 'copyOf', ${COPY_OF})`
        : unread('NULL'),
      otherwise: unread,
    },
  ]);
}

function rowsUnless(digest: string, rows: string): string {
  return `CASE WHEN ${DIGEST} = ${quoteLiteral(digest)} THEN pg_catalog.to_jsonb('asScript'::pg_catalog.text) ELSE ${rows} END`;
}

export function ledgerProblems(ledger: ObservedLedger | undefined, label: string): readonly Problem[] {
  return ledger === undefined || ledger.distrust === null ? [] : [distrustProblem(ledger.distrust, label)];
}

const IN_PLACE = [
  'SET LOCAL citus.enable_ddl_propagation = off',
  'SET LOCAL citus.enable_schema_based_sharding = off',
  'SET LOCAL citus.use_citus_managed_tables = off',
] as const;

function sayWhere(condition: string): string {
  return `DO ${quoteLiteral(`BEGIN
  IF ${condition} THEN
    EXECUTE pg_catalog.format('COMMENT ON TABLE ${LEDGER_TABLE} IS %L',
      'initSQL as executed in database ' || pg_catalog.quote_ident(pg_catalog.current_database()) || ' ' || ${OWN_OIDS});
  END IF;
END`)}`;
}

/** The ledger that came with a copy counts for this database from now on. */
export function takeOverLedger(copyOf: string, coordinator: NodeSpec): Change {
  return {
    kind: 'change',
    node: coordinator,
    scope: 'database',
    ...wording('take', `over the ledger of initSQL, which was written in ${copyOf}`),
    statements: [...AS_OURSELVES, ...IN_PLACE, assertTrusted(LEDGER), sayWhere('true')].map((text) => ({ text })),
    failure: 'Failed to take over the ledger of initSQL',
    doneOnRetry: [],
    secret: false,
  };
}

/**
 * Makes the ledger. Citus would make the schema on the workers too, where it has no business: hence a transaction with
 * its propagation off. On a server without Citus the settings are placeholders without meaning. The session is one as
 * the user's clients have it: an operator of the CHECK would be looked for in whatever search_path it has.
 */
export const CREATE_LEDGER = [
  ...AS_OURSELVES,
  ...IN_PLACE,
  'SET LOCAL default_table_access_method = heap',
  "SET LOCAL default_tablespace = ''",
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
  REVOKE_FROM_OTHERS,
  versionOf(LEDGER),
  assertTrusted(LEDGER),
  sayWhere(`${COMMENT} IS NULL`),
] as const;

/** What the ledger keeps of a unit of initSQL. */
export interface LedgerEntry {
  readonly hash: string;
  readonly occurrence: number;
  readonly line: number;
  /** Passwords blotted out. */
  readonly text: string;
}

/** Its row is for people, who recognise a statement by its beginning: the hash is what counts. */
const KEPT_CHARACTERS = 10_000;

/** A statement with megabytes of rows is not stored a second time. */
export function ledgerText(text: string): string {
  if (text.length <= KEPT_CHARACTERS) return text;
  const beginning = text.slice(0, KEPT_CHARACTERS).replace(/[\ud800-\udbff]$/, '');
  return `${beginning}… (${text.length} characters)`;
}

/** The unit may have changed the role and more (SET ROLE, SET LOCAL SESSION AUTHORIZATION); what changed ends with it. */
const BEFORE_WRITING = [...AS_OURSELVES, assertTrusted(LEDGER)].join(';\n');

/** The row of a unit, for the end of its transaction. */
export function recordDone(entry: LedgerEntry): string {
  return `${BEFORE_WRITING};\n${insertRow(entry, 'done')}`;
}

/** The version of the ledger, for {@link recordingSteps}; fails when the ledger is not to be trusted. */
export const CHECK_LEDGER = ['BEGIN', ...AS_OURSELVES, versionOf(LEDGER), assertTrusted(LEDGER), 'COMMIT'].join(';\n');

export type LedgerVersion = OwnTableVersion;

/**
 * What {@link recordDone} does, statement by statement and without a plan to be made for each row. A row that is there
 * already fails it (23505): somebody else has executed the unit.
 */
export function recordingSteps(version: LedgerVersion) {
  return {
    fireConstraints: FIRE_CONSTRAINTS,
    becomeOurselves: asOurselvesUnchanged(version),
    insert: `INSERT INTO ${LEDGER_TABLE} (hash, occurrence, line, statement, state) VALUES ($1, $2, $3, $4, 'done')`,
  } as const;
}

export function recordValues({ hash, occurrence, line, text }: LedgerEntry): readonly string[] {
  return [hash, String(occurrence), String(line), text];
}

/** The intent, in a transaction of its own before a statement that cannot run in this one. */
export function recordRunning(entry: LedgerEntry, more: readonly string[] = []): string {
  return ['BEGIN', BEFORE_WRITING, insertRow(entry, 'running'), ...more, 'COMMIT'].join(';\n');
}

export function recordOutcome(entry: LedgerEntry, outcome: 'done' | 'failed'): string {
  const row = `WHERE hash = ${quoteLiteral(entry.hash)} AND occurrence = ${entry.occurrence}`;
  const change =
    outcome === 'done'
      ? `UPDATE ${LEDGER_TABLE} SET state = 'done', executed_at = pg_catalog.now() ${row}`
      : `DELETE FROM ${LEDGER_TABLE} ${row} AND state = 'running'`;
  return `BEGIN;\n${BEFORE_WRITING};\n${change};\nCOMMIT`;
}

function insertRow(entry: LedgerEntry, state: LedgerRow['state']): string {
  return `INSERT INTO ${LEDGER_TABLE} (hash, occurrence, line, statement, state)
    VALUES (${quoteLiteral(entry.hash)}, ${entry.occurrence}, ${entry.line}, ${quoteLiteral(entry.text)}, '${state}')
    ON CONFLICT (hash, occurrence) DO UPDATE SET state = EXCLUDED.state, executed_at = pg_catalog.now()`;
}
