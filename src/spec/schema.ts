import * as z from 'zod/mini';
import { anyOf, checked, defaulted, described, name, optional, required, text, wholeNumber } from './fields.ts';
import * as names from './names.ts';
import { patroniSchema } from './patroniSchema.ts';

/**
 * The untrusted document, field by field: names, types, defaults, and what one value alone can get wrong. The
 * descriptions are those of the JSON Schema (schema/spec.schema.json). What contradicts another field is in
 * contradictions.ts; complete.ts makes a Spec of it.
 */

const port = wholeNumber(1, 65_535);
const group = (check: names.Check<string | number>) =>
  checked(
    anyOf([wholeNumber(0, names.maxInt4), z.string()], 'must be a group number: a whole number, or one in quotes'),
    check,
  );

const nodeFields = {
  host: required(
    text(names.host),
    'Where this program connects: a host name, an address, or the directory of a Unix socket.',
  ),
  port: defaulted(port, 5432, 'The port this program connects to.'),
  nodeName: optional(
    text(names.host),
    'The name under which the other nodes reach this one, as in pg_dist_node. Default: host.',
  ),
  nodePort: optional(port, 'The port at which the other nodes reach this one. Default: port.'),
};

const coordinator = z.strictObject({
  group: defaulted(
    group((value) => {
      const problem = names.groupNumber(value);
      if (problem !== undefined) return problem;
      return Number(value) === 0 ? undefined : `the coordinator's group is always 0, not ${Number(value)}`;
    }),
    0,
    "Patroni's citus group of the coordinator: always 0.",
  ),
  ...nodeFields,
});

const worker = z.strictObject({
  group: required(
    group(names.workerGroup),
    "Patroni's citus group of this worker, from 1 on; a number, or one in quotes.",
  ),
  ...nodeFields,
});

const cluster = z.strictObject({
  name: defaulted(text(names.notEmpty), 'citus', "The cluster's name, for messages."),
  citus: defaulted(
    z.boolean(),
    true,
    'false: plain PostgreSQL, one server without workers; nothing of Citus is touched.',
  ),
  user: defaulted(name(names.role), 'postgres', 'The superuser this program connects as.'),
  passwordFile: optional(text(names.notEmpty), "The file that holds that superuser's password."),
  database: optional(
    name(names.identifier),
    'The database that Patroni manages; workers are discovered in it when none are listed. Default: citus, or postgres where citus is false.',
  ),
  coordinator: required(coordinator, 'The coordinator, or the only server where citus is false.'),
  workers: optional(
    described(z.array(worker), { description: 'The workers.' }),
    'Every worker of the cluster. Without this key they are discovered in the database that Patroni manages.',
  ),
});

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

export const sslDocument = z.strictObject({
  enabled: optional(z.boolean(), 'Whether the cluster has certificates of its own: the files below. Default: false.'),
  mode: optional(
    z.enum(sslModes),
    "libpq's sslmode, with libpq's meaning. Default: verify-ca when enabled, else prefer. With enabled: false, verify-ca and verify-full count as prefer, because there is no certificate to verify with; without enabled they are an error.",
  ),
  directory: defaulted(text(names.notEmpty), '/etc/citus-databases/ssl', 'Where this program reads the files.'),
  ca: defaulted(text(names.fileName), 'ca.crt', 'File name of the certificate authority.'),
  certificate: defaulted(
    text(names.fileName),
    'server.crt',
    'File name of the certificate that this program and the nodes show.',
  ),
  key: defaulted(text(names.fileName), 'server.key', 'File name of its private key.'),
  nodeDirectory: defaulted(
    text(names.notEmpty),
    '/etc/ssl/certs/postgresql',
    'The same files as the nodes see them; this path goes into pg_dist_authinfo.',
  ),
});

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
        'The schema it is made in. Default: the one its author chose, else public.',
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
    }),
  ],
  "must be a schema's name, or a mapping with name and owner",
);

const parameterValue = checked(
  anyOf(
    [z.string(), z.number(), z.boolean()],
    "must be text, a number, or true or false; lists are one text ('analytics,public'), and a name with a dot is one key ('pg_partman_bgw.dbname')",
  ),
  (value) =>
    typeof value === 'number' && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)
      ? 'is a number too large for YAML to keep all its digits: write it in quotes'
      : undefined,
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

const databaseFields = {
  owner: optional(
    name(names.role),
    'The role that owns the database. Default: the first of users with access owner, else postgres.',
    { default: 'postgres' },
  ),
  maxAttempts: defaulted(
    wholeNumber(1, names.maxInt4),
    60,
    'How many times to look whether a node is ready before giving up.',
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
    'Extensions to make on every node; citus always comes first and need not be listed.',
  ),
  users: defaulted(
    z.array(user),
    [],
    'Roles that use the database: made on every node, with a password and rights. With any, PUBLIC has no rights on the database.',
  ),
  schemas: defaulted(z.array(schemaEntry), [], 'Schemas to make.'),
  parameters: defaulted(
    z.record(text(names.parameter), parameterValue),
    {},
    'Settings of the database, as by ALTER DATABASE ... SET. Names are compared in lower case.',
  ),
  encoding: optional(text(names.encoding), 'The character encoding. Default: that of the template.'),
  locale: optional(text(names.locale), 'The locale. Default: that of the template.'),
  template: optional(name(names.identifier), 'The database to copy. Default: template1.'),
  connectionLimit: optional(
    wholeNumber(-1, names.maxInt4),
    'How many connections the database takes on each node; -1 for no limit. Default: left as it is.',
  ),
  initSQLPolicy: defaulted(
    z.enum(['once', 'always', 'adopt', 'baseline']),
    'once',
    'once: each statement of initSQL runs once. always: all of them, every time. adopt: once, in a database that was there before this program. baseline: record them as done without running them.',
  ),
  initSQL: optional(z.string(), 'SQL for the coordinator, run after the workers are registered.'),
};

const databaseName = name(names.managedDatabase);

const listedDatabase = described(
  z.strictObject({ name: required(databaseName, "The database's name."), ...databaseFields }),
  { id: 'listedDatabase', description: 'A database of a list.' },
);

const keyedDatabase = described(
  z.strictObject({
    name: optional(databaseName, "The database's name: the same as the key, or left out."),
    ...databaseFields,
  }),
  { id: 'keyedDatabase', description: 'A database of a mapping, under its name.' },
);

const databases = anyOf(
  [z.array(listedDatabase), z.record(databaseName, z.nullable(keyedDatabase))],
  'must be a list of databases, or a mapping of their names to their fields',
);

export const specDocument = described(
  z.strictObject({
    cluster: required(cluster, 'The cluster.'),
    ssl: optional(sslDocument, 'Encryption and certificates.'),
    databases: optional(
      databases,
      'The databases to make so: a list, or a mapping with their names as keys, where null stands for an absent entry.',
    ),
    additionalDatabases: optional(databases, 'Another name for databases, the one of the chart.'),
    patroni: optional(
      patroniSchema({ group: group(names.groupNumber), parameterValue }),
      'The Patroni groups and the parameters of their servers; for citus-databases configure alone.',
    ),
  }),
  { title: 'citus-databases spec', description: 'Databases on a Citus cluster.' },
);

export type SpecDocument = z.output<typeof specDocument>;
export type PatroniDocument = NonNullable<SpecDocument['patroni']>;
export type DatabaseDocument = z.output<typeof listedDatabase>;
