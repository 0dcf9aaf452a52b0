import * as z from 'zod/mini';
import {
  anyOf,
  checked,
  defaulted,
  described,
  group,
  name,
  optional,
  parameterValue,
  required,
  text,
  wholeNumber,
} from './fields.ts';
import * as names from './names.ts';

/** One database of the document: what it consists of, and who uses it. */

const extensionName = name(names.extension);
const extension = anyOf(
  [
    extensionName,
    z.strictObject({
      name: required(extensionName, "The extension's name."),
      version: optional(
        checked(
          z.string({
            error: 'must be text: write it in quotes, because YAML reads 4.10 as the number 4.1',
          }),
          names.extensionVersion,
        ),
        'The version wanted, in quotes. Default: the one the server prefers.',
      ),
      schema: optional(
        name(names.identifier),
        'The schema it is created in. Default: the one its author chose, else public; of pg_partman partman, where others than the superuser may create objects.',
      ),
    }),
  ],
  "must be an extension's name, or a mapping with name, version and schema",
);

const schemaEntry = anyOf(
  [
    name(names.schema),
    z.strictObject({
      name: required(name(names.schema), "The schema's name."),
      owner: optional(name(names.role), "The role that owns it. Default: the database's owner."),
      distributed: defaulted(
        z.boolean(),
        false,
        'true: a tenant schema, whose tables Citus keeps together on one node. false: left as it is.',
      ),
    }),
  ],
  "must be a schema's name, or a mapping with name, owner and distributed",
);

const userPassword = 'The file that holds its password. Without it the password, if there is one, stays as it is.';

const user = described(
  z.strictObject({
    name: required(name(names.role), 'The name of the role.'),
    passwordFile: optional(text(names.notEmpty), userPassword),
    access: required(
      z.enum(['owner', 'all', 'readWrite', 'readOnly']),
      'What it may do in this database. owner: it owns the database, or is a member of the role that does. all: everything else. readWrite: read and change rows. readOnly: read.',
    ),
    login: defaulted(z.boolean(), true, 'Whether it can log in.'),
    connectionLimit: optional(
      wholeNumber(-1, names.maxInt4),
      'How many connections it may have on each node; -1 for no limit. Default: left as it is.',
    ),
    memberOf: defaulted(z.array(name(names.group)), [], 'Roles that it is a member of, on every node.'),
    parameters: defaulted(
      z.record(text(names.parameter), parameterValue),
      {},
      'Its settings in this database, as by ALTER ROLE ... IN DATABASE ... SET. Names are compared in lower case.',
    ),
  }),
  { id: 'user', description: 'A role that uses the database.' },
);

const rebalanceWhen = z.enum(['never', 'afterJoin']);

const rebalance = anyOf(
  [
    rebalanceWhen,
    z.strictObject({
      when: required(rebalanceWhen, 'never, or afterJoin: when a worker takes shards and has none.'),
      strategy: optional(name(names.identifier), 'A strategy of pg_dist_rebalance_strategy. Default: that of Citus.'),
      transferMode: optional(
        z.enum(['auto', 'force_logical', 'block_writes']),
        'How shards move. block_writes: writes to a shard wait meanwhile. Default: auto.',
      ),
      parallelReferenceTables: defaulted(
        z.boolean(),
        false,
        'Copy reference tables to several nodes at a time; Citus 13.2 and later.',
      ),
      parallelColocatedShards: defaulted(
        z.boolean(),
        false,
        'Move shards of colocated tables at the same time; Citus 13.2 and later.',
      ),
    }),
  ],
  'must be never or afterJoin, or a mapping with when and options',
);

const scriptFile = described(
  z.strictObject({
    file: required(text(names.notEmpty), 'The file, relative to the folder of the spec.'),
    secret: defaulted(
      z.boolean(),
      false,
      'true: none of its string constants appears in log, errors and ledger, as if each were a password.',
    ),
  }),
  { id: 'scriptFile', description: 'A file with SQL.' },
);

const databaseFields = {
  owner: optional(
    name(names.role),
    'The role that owns the database. Default: the first of users with access owner, else postgres.',
    { default: 'postgres' },
  ),
  maxAttempts: defaulted(
    wholeNumber(1, names.maxInt4),
    60,
    'How many times to try whether a node is ready before giving up.',
  ),
  retryDelaySeconds: defaulted(z.number().check(z.gte(0), z.lte(86_400)), 5, 'Seconds between these attempts.'),
  backoffLimit: defaulted(
    wholeNumber(0, names.maxInt4),
    3,
    'How many times Kubernetes starts the Job again after a failure; read by the chart only.',
  ),
  workerGroups: optional(
    z.array(group(names.workerGroup)).check(
      z.minLength(1, {
        error: 'is empty: name the worker groups that hold this database, or leave the key out to take all of them',
      }),
    ),
    'The worker groups that hold this database, as numbers or in quotes. Without this key: every worker.',
  ),
  extensions: defaulted(
    z.array(extension),
    [],
    'Extensions to create on every node; citus always comes first and need not be listed.',
  ),
  users: defaulted(
    z.array(user),
    [],
    'Roles that use the database: created on every node, with a password and rights. Where there are any, PUBLIC has no rights on the database.',
  ),
  schemas: defaulted(z.array(schemaEntry), [], 'Schemas to create.'),
  parameters: defaulted(
    z.record(text(names.parameter), parameterValue),
    {},
    'Settings of the database, as by ALTER DATABASE ... SET. Names are compared in lower case.',
  ),
  rebalance: optional(
    rebalance,
    'afterJoin: after a worker has joined the database, shards move to it, and the run waits for the end of that. Default: never.',
  ),
  shouldHaveShards: defaulted(
    z.record(z.string(), z.boolean()),
    {},
    'Whether nodes take shards, by group: { "0": true } lets the coordinator have some. Shards that are there stay. Default: left as it is.',
  ),
  encoding: optional(text(names.encoding), 'The character encoding. Default: that of the template.'),
  locale: optional(text(names.locale), 'The locale of the C library. Default: that of the template.'),
  localeProvider: optional(
    z.enum(['libc', 'icu', 'builtin']),
    'Who sorts and compares text: libc, icu (with icuLocale), or builtin (with builtinLocale; PostgreSQL 17). Default: that of the template.',
  ),
  icuLocale: optional(text(names.icuLocale), 'The ICU locale, as a language tag: de-DE, en-u-kn-true.'),
  icuRules: optional(text(names.notEmpty), 'Rules in addition to the ICU locale; PostgreSQL 16 and later.'),
  builtinLocale: optional(text(names.locale), 'The locale of the builtin provider: C, C.UTF-8 or PG_UNICODE_FAST.'),
  template: optional(name(names.identifier), 'The database to copy. Default: template1.'),
  connectionLimit: optional(
    wholeNumber(-1, names.maxInt4),
    'How many connections the database takes on each node; -1 for no limit. Default: left as it is.',
  ),
  comment: optional(
    z.string(),
    'The comment of the database (COMMENT ON DATABASE) on every node. Default: left as it is.',
  ),
  initSQLPolicy: defaulted(
    z.enum(['once', 'always', 'adopt', 'baseline']),
    'once',
    'once: each statement of initSQL runs once. always: all of them, every time. adopt: once, in a database that was there before this program. baseline: record them as done without running them.',
  ),
  initSQL: optional(z.string(), 'SQL for the coordinator, run after the workers are registered.'),
  initSQLFrom: defaulted(
    z.array(scriptFile),
    [],
    'Files with more of initSQL, executed in order after it: as one script, with one ledger. Each UTF-8, at most 10 MB, and with whole statements.',
  ),
  initSQLRole: optional(
    name(names.role),
    "As whom initSQL runs: `owner`, the database's owner, or the name of a role, by a login of that user in `users`. Default: the superuser.",
  ),
  initSQLRunsCodeOfOthers: defaulted(
    z.boolean(),
    false,
    'true: initSQL runs as superuser also where a statement touches what others own, and so runs their triggers, functions and operators as superuser. false: such a statement is refused.',
  ),
};

const databaseName = name(names.managedDatabase);

const listedDatabase = described(
  z.strictObject({ name: required(databaseName, "The database's name."), ...databaseFields }),
  { id: 'listedDatabase', description: 'A database of a list.' },
);

/** One database without its name. */
export const databaseDocument = z.strictObject(databaseFields);

const keyedDatabase = described(
  z.strictObject({
    name: optional(databaseName, "The database's name: the same as the key, or left out."),
    ...databaseFields,
  }),
  { id: 'keyedDatabase', description: 'A database of a mapping, under its name.' },
);

/** Under `databases` and `additionalDatabases`. */
export const databases = anyOf(
  [z.array(listedDatabase), z.record(databaseName, z.nullable(keyedDatabase))],
  'must be a list of databases, or a mapping of their names to their fields',
);

export type DatabaseDocument = z.output<typeof listedDatabase>;
