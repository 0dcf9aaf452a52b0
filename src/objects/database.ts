import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import type { Fragment } from './observe.ts';

export interface ObservedDatabase {
  readonly oid: number;
  readonly owner: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly connectionLimit: number;
  readonly allowConnections: boolean;
}

export function observeDatabase(name: string): Fragment {
  return {
    key: 'database',
    value: `(SELECT pg_catalog.jsonb_build_object(
        'oid', d.oid::pg_catalog.int8, 'owner', pg_catalog.pg_get_userbyid(d.datdba),
        'encoding', pg_catalog.pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
        'connectionLimit', d.datconnlimit, 'allowConnections', d.datallowconn)
      FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(name)})`,
  };
}

/**
 * Of CREATE DATABASE (src/backend/commands/dbcommands.c): the template does not exist, the encoding does not, the locale
 * does not, and they do not go together.
 */
const WRONG_OPTION = ['3D000', '42704', '42809', '22023'];

/** What CREATE DATABASE and ALTER DATABASE have to do on one node. */
export function diffDatabase(
  wanted: DatabaseSpec,
  observed: ObservedDatabase | null,
  /** The coordinator's database where it exists already: workers take its encoding and locale. */
  like: ObservedDatabase | null,
  node: NodeSpec,
  label: string,
): readonly Change[] {
  const name = quoteIdentifier(wanted.name);
  const base = { kind: 'change', node, scope: 'server', secret: false } as const;
  if (observed === null) {
    return [
      {
        ...base,
        summary: `create database ${name} owned by ${quoteIdentifier(wanted.owner)}`,
        statements: [{ text: `CREATE DATABASE ${name} WITH ${createOptions(wanted, like).join(' ')}` }],
        failure: `Failed to create database '${wanted.name}'`,
        next: 'If the template database is in use, end the sessions in it; then run again',
        doneOnRetry: ['42P04'],
        invalidOn: WRONG_OPTION,
      },
    ];
  }
  const changes: Change[] = [];
  if (observed.owner !== wanted.owner) {
    changes.push({
      ...base,
      summary: `change the owner of database ${name} from ${quoteIdentifier(observed.owner)} to ${quoteIdentifier(wanted.owner)}`,
      statements: [{ text: `ALTER DATABASE ${name} OWNER TO ${quoteIdentifier(wanted.owner)}` }],
      starting: `Changing the owner of database '${wanted.name}' on ${label} to '${wanted.owner}'...`,
      failure: `Failed to change the owner of database '${wanted.name}'`,
      doneOnRetry: [],
    });
  }
  if (wanted.connectionLimit !== undefined && observed.connectionLimit !== wanted.connectionLimit) {
    changes.push({
      ...base,
      summary: `set the connection limit of database ${name} to ${wanted.connectionLimit}`,
      statements: [{ text: `ALTER DATABASE ${name} WITH CONNECTION LIMIT ${wanted.connectionLimit}` }],
      starting: `Setting the connection limit of database '${wanted.name}' on ${label} to ${wanted.connectionLimit}...`,
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
  const differs: string[] = [];
  if (wanted.encoding !== undefined && encodingKey(wanted.encoding) !== encodingKey(observed.encoding)) {
    differs.push(`encoding ${observed.encoding}, not ${wanted.encoding}`);
  }
  const locales = [...new Set([observed.collate, observed.ctype])];
  if (wanted.locale !== undefined && locales.some((locale) => localeKey(locale) !== localeKey(wanted.locale ?? ''))) {
    differs.push(`locale ${locales.join(' and ')}, not ${wanted.locale}`);
  }
  const problems: Problem[] = differs.map((difference) => ({
    kind: 'refused',
    what: `Database '${wanted.name}' exists with ${difference}`,
    node: label,
    next: 'Declare what the database has, or dump it, drop it and let it be made again',
  }));
  if (!observed.allowConnections) {
    problems.push({
      kind: 'refused',
      what: `Database '${wanted.name}' does not allow connections (datallowconn is false)`,
      node: label,
      next: `Finish the drop that was begun (citus-databases drop), or run: ALTER DATABASE ${quoteIdentifier(wanted.name)} WITH ALLOW_CONNECTIONS true`,
    });
  }
  return problems;
}

function createOptions(wanted: DatabaseSpec, like: ObservedDatabase | null): readonly string[] {
  const encoding = wanted.encoding ?? like?.encoding;
  const collate = wanted.locale ?? like?.collate;
  const ctype = wanted.locale ?? like?.ctype;
  // Only template0 may be copied with another encoding or locale (PostgreSQL documentation, "Template Databases").
  const template = wanted.template ?? (encoding === undefined && collate === undefined ? undefined : 'template0');
  return [
    `OWNER ${quoteIdentifier(wanted.owner)}`,
    template === undefined ? [] : `TEMPLATE ${quoteIdentifier(template)}`,
    encoding === undefined ? [] : `ENCODING ${quoteLiteral(encoding)}`,
    collate === undefined ? [] : `LC_COLLATE ${quoteLiteral(collate)}`,
    ctype === undefined ? [] : `LC_CTYPE ${quoteLiteral(ctype)}`,
    wanted.connectionLimit === undefined ? [] : `CONNECTION LIMIT ${wanted.connectionLimit}`,
  ].flat();
}

/** The C library takes `en_US.UTF-8` and `en_US.utf8` for the same locale (glibc manual, "Locale Names"). */
function localeKey(name: string): string {
  const [language = '', ...codeset] = name.split('.');
  return [language, ...codeset.map((part) => part.toLowerCase().replaceAll('-', ''))].join('.');
}

/** `utf-8`, `UTF8` and `Unicode` name one encoding (PostgreSQL documentation, "Character Set Support"). */
function encodingKey(name: string): string {
  const key = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return key === 'unicode' ? 'utf8' : key;
}
