import { quoteIdentifier } from '../postgres/quote.ts';
import type { Problem } from './change.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';

/**
 * The C library and ICU change how they sort from release to release. PostgreSQL remembers which version a database was
 * made with, and goes on with the new one: indexes on text that were built before may be out of order (PostgreSQL
 * documentation, ALTER COLLATION, "Notes"; from 15 on for databases).
 */
export interface ObservedCollationVersion {
  readonly database: string;
  /** null: it has none (template0, the locale C). */
  readonly recorded: string | null;
  readonly actual: string | null;
}

export function observeCollationVersions(databases: readonly string[]): Fragment {
  return {
    key: 'collationVersions',
    when: "pg_catalog.to_regproc('pg_catalog.pg_database_collation_actual_version') IS NOT NULL",
    value: jsonRows(`
      SELECT d.datname AS database, d.datcollversion AS recorded,
             pg_catalog.pg_database_collation_actual_version(d.oid) AS actual
      FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ANY (${textArray(databases)})`),
  };
}

/** What to say of a database that was made with another version than the server has by now. */
export function collationWarnings(
  database: string,
  observed: readonly ObservedCollationVersion[],
  label: string,
  citus: boolean,
): readonly string[] {
  const name = quoteIdentifier(database);
  return changed(database, observed).map(
    ({ recorded, actual }) =>
      `Database '${database}' on ${label} was made with version ${recorded} of its collation, and the server has ${actual} by now: indexes on text may be out of order. Rebuild them (REINDEX DATABASE ${name}), then: ${refresh(name, citus)}`,
  );
}

/**
 * Citus refuses the statement on a worker, and on the coordinator carries it to workers whose indexes nobody has rebuilt
 * (Citus: commands/database.c, PreprocessAlterDatabaseRefreshCollStmt).
 */
function refresh(database: string, citus: boolean): string {
  const statement = `ALTER DATABASE ${database} REFRESH COLLATION VERSION`;
  return citus ? `SET citus.enable_ddl_propagation = off; ${statement}` : statement;
}

/** CREATE DATABASE refuses such a template (src/backend/commands/dbcommands.c, createdb()). */
export function templateProblems(
  template: string,
  observed: readonly ObservedCollationVersion[],
  label: string,
): readonly Problem[] {
  const name = quoteIdentifier(template);
  return changed(template, observed).map(({ recorded, actual }) => ({
    kind: 'failed',
    what: `Template database '${template}' was made with version ${recorded} of its collation, and the server has ${actual} by now: no database can be made from it`,
    node: label,
    next: `In that database: REINDEX DATABASE ${name}; ALTER DATABASE ${name} REFRESH COLLATION VERSION`,
  }));
}

function changed(database: string, observed: readonly ObservedCollationVersion[]): readonly ObservedCollationVersion[] {
  return observed.filter(
    (found) =>
      found.database === database &&
      found.recorded !== null &&
      found.actual !== null &&
      found.recorded !== found.actual,
  );
}

/** Nodes whose libraries sort by different versions may disagree about the order of text. */
export function unequalCollationWarnings(
  nodes: readonly { readonly label: string; readonly actual: string | null | undefined }[],
): readonly string[] {
  const known = nodes.filter((node) => node.actual !== null && node.actual !== undefined);
  if (new Set(known.map((node) => node.actual)).size < 2) return [];
  const list = known.map((node) => `${node.label} ${node.actual}`).join(', ');
  return [`The nodes sort text by different versions of their collation: ${list}. Give all nodes the same image`];
}
