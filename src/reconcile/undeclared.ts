import type { DatabaseSpec } from '../spec/types.ts';

/** Just enough of a declaration for a database that the spec does not have. */
export function undeclared(name: string): DatabaseSpec {
  return {
    name,
    owner: 'postgres',
    maxAttempts: 60,
    retryDelaySeconds: 5,
    backoffLimit: 3,
    workerGroups: undefined,
    extensions: [],
    users: [],
    schemas: [],
    parameters: {},
    encoding: undefined,
    locale: undefined,
    localeProvider: undefined,
    icuLocale: undefined,
    icuRules: undefined,
    builtinLocale: undefined,
    template: undefined,
    connectionLimit: undefined,
    initSQLPolicy: 'once',
    initSQL: undefined,
  };
}
