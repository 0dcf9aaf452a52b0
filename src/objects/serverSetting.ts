/** Queries about a server's own settings (PostgreSQL documentation, "pg_settings", "pg_file_settings", "pg_config"). */

export const ALL_SETTINGS = `
  SELECT pg_catalog.lower(name) AS name, setting, unit, vartype, min_val, max_val, enumvals, context, source, sourcefile
  FROM pg_catalog.pg_settings`;

/** What the configuration files say, last line first; for settings that this very session overrides. */
export const FILE_SETTINGS = `
  SELECT DISTINCT ON (pg_catalog.lower(name)) pg_catalog.lower(name) AS name, setting
  FROM pg_catalog.pg_file_settings WHERE name IS NOT NULL ORDER BY pg_catalog.lower(name), seqno DESC`;

/** Databases for which Citus runs its background worker. */
export const CITUS_DATABASES = `
  SELECT DISTINCT datname FROM pg_catalog.pg_stat_activity
  WHERE datname IS NOT NULL AND backend_type LIKE 'Citus Maintenance Daemon%'`;

/**
 * Lets the server judge a value in its own words, check hooks included: the setting ends with the statement. For
 * parameters that a session may set.
 */
export const TRY_SETTING = 'SELECT pg_catalog.set_config($1, $2, true)';

/**
 * Libraries, of those given, without a file where the server looks first; a server that is told to preload such a one
 * does not start. Nothing is said of names with a path in them, nor when dynamic_library_path is not the default.
 */
export const MISSING_LIBRARIES = `
  SELECT library FROM pg_catalog.unnest($1::pg_catalog.text[]) AS library,
    (SELECT setting AS folder FROM pg_catalog.pg_config WHERE name = 'PKGLIBDIR') AS place
  WHERE library NOT LIKE '%/%' AND pg_catalog.current_setting('dynamic_library_path') = '$libdir'
    AND pg_catalog.pg_stat_file(folder || '/' || library || '.so', true) IS NULL
    AND pg_catalog.pg_stat_file(folder || '/' || library || '.dylib', true) IS NULL
    AND pg_catalog.pg_stat_file(folder || '/' || library, true) IS NULL`;
