import { integerLiteral, quoteIdentifier, quoteLiteral, quoteShellWord } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { daemonOf } from './daemon.ts';
import { localeDifferences, localeOptions, localePairs, type ObservedLocale, undeclaredLocale } from './locale.ts';
import type { Fragment } from './observe.ts';
import { wording } from './wording.ts';

/** datconnlimit of a database whose DROP DATABASE was cut off: nothing but dropping it works (PostgreSQL: pg_database.h). */
export const INVALID = -2;

export interface ObservedDatabase extends ObservedLocale {
  readonly oid: number;
  readonly owner: string;
  readonly connectionLimit: number;
  readonly allowConnections: boolean;
}

export function observeDatabase(name: string, key: 'database' | 'template' = 'database'): Fragment {
  return {
    key,
    value: `(SELECT pg_catalog.jsonb_build_object(
        'oid', d.oid::pg_catalog.int8, 'owner', pg_catalog.pg_get_userbyid(d.datdba),
        ${localePairs('d')},
        'connectionLimit', d.datconnlimit,
        'allowConnections', d.datallowconn AND d.datconnlimit <> ${INVALID})
      FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(name)})`,
  };
}

/**
 * Of CREATE DATABASE (src/backend/commands/dbcommands.c): the template does not exist, the encoding does not, the locale
 * does not, and they do not go together.
 */
const WRONG_OPTION = [
  SQLSTATE.invalidCatalogName,
  SQLSTATE.undefinedObject,
  SQLSTATE.wrongObjectType,
  SQLSTATE.invalidParameterValue,
];

/** What a new database takes after, where nothing is declared. */
export interface Models {
  /** The database that is copied, as this node has it; null where it was not looked at. */
  readonly template: ObservedLocale | null;
  /** What it has to be like: the coordinator's database or, before that is there, the coordinator's template. */
  readonly like: ObservedLocale | null;
  /** On a worker: of the coordinator's database, where the spec declares none. */
  readonly connectionLimit?: number | undefined;
  /** Nobody but this superuser is let in yet (closedDatabase.ts); undefined: open. */
  readonly closedFor?: string | undefined;
}

/** What is copied unless another encoding or locale is wanted. */
export function templateOf(wanted: DatabaseSpec): string {
  return wanted.template ?? 'template1';
}

/** What CREATE DATABASE and ALTER DATABASE have to do on one node. */
export function diffDatabase(
  wanted: DatabaseSpec,
  observed: ObservedDatabase | null,
  models: Models,
  node: NodeSpec,
  label: string,
): readonly Change[] {
  const name = quoteIdentifier(wanted.name);
  const base = { kind: 'change', node, scope: 'server', secret: false } as const;
  if (observed === null) {
    return [
      {
        ...base,
        creates: true,
        ...wording('create', `database ${name} owned by ${quoteIdentifier(wanted.owner)}`),
        statements: [{ text: `CREATE DATABASE ${name} WITH ${createOptions(wanted, models).join(' ')}` }],
        failure: `Failed to create database '${wanted.name}'`,
        next: 'If the template database is in use, end the sessions in it; then run again',
        doneOnRetry: [SQLSTATE.duplicateDatabase],
        confirm: confirmOwner(wanted.name, models.closedFor ?? wanted.owner),
        nextOn: {
          [SQLSTATE.objectNotInPrerequisiteState]:
            'Ask its owner what it is for: drop it, or declare another name. As it is, the next run takes it for a database that existed before',
        },
        invalidOn: WRONG_OPTION,
      },
    ];
  }
  if (models.closedFor !== undefined) return [];
  const changes: Change[] = [];
  if (observed.owner !== wanted.owner) {
    changes.push({
      ...base,
      ...wording(
        'change',
        `the owner of database ${name} from ${quoteIdentifier(observed.owner)} to ${quoteIdentifier(wanted.owner)}`,
      ),
      statements: [{ text: `ALTER DATABASE ${name} OWNER TO ${quoteIdentifier(wanted.owner)}` }],
      starting: `Changing the owner of database '${wanted.name}' on ${label} to '${wanted.owner}'...`,
      failure: `Failed to change the owner of database '${wanted.name}'`,
      doneOnRetry: [],
    });
  }
  const limit = wanted.connectionLimit ?? models.connectionLimit;
  if (limit !== undefined && observed.connectionLimit !== limit) {
    changes.push({
      ...base,
      ...wording('set', `the connection limit of database ${name} to ${limit}`),
      statements: [{ text: `ALTER DATABASE ${name} WITH CONNECTION LIMIT ${integerLiteral(limit)}` }],
      starting: `Setting the connection limit of database '${wanted.name}' on ${label} to ${limit}...`,
      failure: `Failed to set the connection limit of database '${wanted.name}'`,
      doneOnRetry: [],
    });
  }
  return changes;
}

/** Encoding and locale are fixed when a database is made (PostgreSQL documentation, CREATE DATABASE). */
export function databaseProblems(
  wanted: DatabaseSpec,
  observed: ObservedDatabase | null,
  label: string,
): readonly Problem[] {
  if (observed === null) return [];
  const problems: Problem[] = undeclaredLocale(wanted, observed).map((difference) => ({
    kind: 'refused',
    what: `Database '${wanted.name}' exists with ${difference}`,
    node: label,
    next: 'Declare what the database has, or dump it, drop it and let it be made again',
  }));
  if (observed.connectionLimit === INVALID) {
    problems.push({
      kind: 'refused',
      what: `Database '${wanted.name}' is half dropped: an earlier DROP DATABASE did not finish there`,
      node: label,
      next: `Finish it: citus-databases drop ${quoteShellWord(wanted.name)} --confirm ${quoteShellWord(wanted.name)}`,
    });
  } else if (!observed.allowConnections) {
    problems.push({
      kind: 'refused',
      what: `Database '${wanted.name}' does not allow connections (datallowconn is false)`,
      node: label,
      next: `Finish the drop that was begun (citus-databases drop), or run: ALTER DATABASE ${quoteIdentifier(wanted.name)} WITH ALLOW_CONNECTIONS true`,
    });
  }
  return problems;
}

/**
 * Citus' daemon is a session in its database, and CREATE DATABASE refuses a template that has one (55006). The name is
 * what Citus' CitusMaintenanceDaemonMain() gives it in pg_stat_activity.
 */
export function observeTemplateDaemon(template: string): Fragment {
  return {
    key: 'templateDaemon',
    value: daemonOf(quoteLiteral(template)),
  };
}

export function templateDaemonProblem(template: string, label: string): Problem {
  return {
    kind: 'refused',
    what: `Template database '${template}' has the extension citus, whose daemon keeps it in use: no database can be made from it`,
    node: label,
    next: `Declare template: template0; or, if nothing in ${template} uses Citus, in that database: DROP EXTENSION citus`,
  };
}

/** Whether the template is copied as it is, without another encoding or locale. */
export function copiesTemplate(wanted: DatabaseSpec, models: Models): boolean {
  return wanted.template !== undefined || localeWanted(wanted, models).length === 0;
}

/** What the template has need not be said. */
function localeWanted(wanted: DatabaseSpec, { template, like }: Models): readonly string[] {
  const asTemplate = like !== null && template !== null && localeDifferences(template, like).length === 0;
  return localeOptions(wanted, asTemplate ? null : like);
}

/** Whoever has CREATEDB may take the name meanwhile, but gives the database to nobody of whom he is no member. */
function confirmOwner(name: string, owner: string): string {
  return `DO ${quoteLiteral(`DECLARE creator pg_catalog.text := (SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.datdba))
      FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(name)});
BEGIN
  IF creator IS DISTINCT FROM pg_catalog.quote_ident(${quoteLiteral(owner)}) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'role ' || coalesce(creator, 'nobody') || ' has created a database of that name meanwhile';
  END IF;
END`)}`;
}

function createOptions(wanted: DatabaseSpec, models: Models): readonly string[] {
  const { closedFor } = models;
  const limit = closedFor === undefined ? wanted.connectionLimit : 0;
  const locale = localeWanted(wanted, models);
  // Only template0 may be copied with another encoding or locale (PostgreSQL documentation, "Template Databases").
  const from = wanted.template ?? (locale.length === 0 ? undefined : 'template0');
  return [
    `OWNER ${quoteIdentifier(closedFor ?? wanted.owner)}`,
    from === undefined ? [] : `TEMPLATE ${quoteIdentifier(from)}`,
    ...locale,
    limit === undefined ? [] : `CONNECTION LIMIT ${limit}`,
  ].flat();
}
