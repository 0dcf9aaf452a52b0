import { show } from './problems.ts';

/**
 * What PostgreSQL takes as a name, each rule as a function from the value to the sentence that says what is wrong with
 * it. NUL is refused for all text at once, in plain.ts.
 */
export type Check<T = string> = (value: T) => string | undefined;

/** NAMEDATALEN is 64 with its closing NUL; PostgreSQL cuts longer names off (chapter "Identifiers and Key Words"). */
const maxNameBytes = 63;
export const maxInt4 = 2_147_483_647;

export function all<T>(...checks: readonly Check<T>[]): Check<T> {
  return (value) => {
    for (const check of checks) {
      const problem = check(value);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

export const notEmpty: Check = (text) => (text === '' ? 'is empty' : undefined);

export const identifier: Check = all(notEmpty, (name) => {
  const bytes = Buffer.byteLength(name);
  if (bytes <= maxNameBytes) return undefined;
  return `${show(name)} is ${bytes} bytes long in UTF-8; PostgreSQL's limit for names is ${maxNameBytes}`;
});

/** Databases every server has; they are not for this program to manage. */
const serverDatabases: ReadonlySet<string> = new Set(['postgres', 'template0', 'template1']);

export const managedDatabase: Check = all(identifier, (name) =>
  serverDatabases.has(name) ? `${show(name)} belongs to PostgreSQL itself and cannot be managed here` : undefined,
);

/** IsReservedName() and check_rolespec_name() in PostgreSQL: exact and case-sensitive, quoted or not. */
export const role: Check = all(identifier, (name) => {
  if (name.startsWith('pg_')) {
    return `${show(name)} is a reserved role name (names that begin with pg_ belong to PostgreSQL)`;
  }
  if (name === 'public' || name === 'none') return `${show(name)} is a reserved role name (a key word of PostgreSQL)`;
  return undefined;
});

/** A role to be a member of: PostgreSQL's own (pg_read_all_data) are meant for that. */
export const group: Check = all(identifier, (name) =>
  name === 'public' || name === 'none' ? `${show(name)} is a reserved role name (a key word of PostgreSQL)` : undefined,
);

export const schema: Check = all(identifier, (name) =>
  name.startsWith('pg_')
    ? `${show(name)} is a reserved name (schemas that begin with pg_ belong to PostgreSQL)`
    : undefined,
);

/** check_valid_extension_name() in PostgreSQL: the name becomes part of file names. */
export const extension: Check = all(identifier, (name) => illegalInFileNames(name, 'an extension name'));

/** check_valid_version_name() in PostgreSQL. */
export const extensionVersion: Check = all(notEmpty, (version) => illegalInFileNames(version, 'an extension version'));

function illegalInFileNames(text: string, what: string): string | undefined {
  if (!/^-|--|-$|[/\\]/.test(text)) return undefined;
  return `${show(text)} cannot be ${what}: it holds a slash or --, or begins or ends with -`;
}

/** valid_custom_variable_name() in PostgreSQL, without letters beyond ASCII. */
export const parameter: Check = (name) =>
  /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/i.test(name)
    ? undefined
    : 'is no parameter name (letters, digits and underscores, with a dot after the name of an extension)';

export const encoding: Check = all(notEmpty, (name) =>
  /^[a-z][a-z0-9_-]*$/i.test(name) ? undefined : `${show(name)} is no encoding's name (UTF8 is one)`,
);

export const locale: Check = all(notEmpty, (name) =>
  /^[\x21-\x7e]+$/.test(name) ? undefined : `${show(name)} is no locale's name (C and en_US.UTF-8 are)`,
);

/** A BCP 47 language tag, which PostgreSQL keeps as it is; it rewrites ICU's older forms (`de@collation=phonebook`). */
export const icuLocale: Check = all(notEmpty, (name) =>
  /^[a-z]{2,8}([-_][a-z0-9]{1,8})*$/i.test(name)
    ? undefined
    : `${show(name)} is no language tag (de-DE and de-u-co-phonebk are)`,
);

/** A DNS name or an address, or the directory of a Unix socket. */
export const host: Check = all(notEmpty, (name) => {
  // WORKER_LENGTH in Citus (metadata_cache.h) is 256 with its closing NUL.
  if (Buffer.byteLength(name) > 255) return `${show(name)} is longer than the 255 bytes of a host name`;
  if (/[\s\p{Cc}]/u.test(name)) return `${show(name)} holds white space, which no host name does`;
  if (name.startsWith('/')) return undefined;
  if (name.startsWith('[')) return `${show(name)} has brackets; an IPv6 address stands here without them (::1)`;
  if (name.includes(',')) return `${show(name)} holds a comma; each node has one host`;
  if (name.includes('/')) return `${show(name)} is neither a host name nor an absolute path to a socket's directory`;
  if (/^[^:]+:\d+$/.test(name)) return `${show(name)} holds a port; it has a key of its own`;
  return undefined;
});

export const groupNumber: Check<string | number> = (group) => {
  const value = typeof group === 'number' ? group : /^\d{1,10}$/.test(group) ? Number(group) : Number.NaN;
  return Number.isInteger(value) && value >= 0 && value <= maxInt4
    ? undefined
    : `${typeof group === 'number' ? group : show(group)} is no group number`;
};

export const workerGroup: Check<string | number> = all(groupNumber, (group) =>
  Number(group) === 0 ? 'group 0 is the coordinator; workers begin with group 1' : undefined,
);

/** A relative file name, put behind a directory. */
export const fileName: Check = all(notEmpty, (name) =>
  name.startsWith('/') ? `${show(name)} must be a name inside the directory, without a leading slash` : undefined,
);
