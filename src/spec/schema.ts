import * as z from 'zod/mini';
import { databases } from './databaseSchema.ts';
import { defaulted, described, group, name, optional, port, required, text } from './fields.ts';
import * as names from './names.ts';
import { patroni } from './patroniSchema.ts';

/**
 * The untrusted document, field by field: names, types, defaults, and what one value alone can get wrong. The
 * descriptions are those of the JSON Schema (schema/spec.schema.json). What contradicts another field is in
 * contradictions.ts; complete.ts makes a Spec of it.
 */

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

const exporter = z.strictObject({
  name: defaulted(name(names.role), 'postgres_exporter', "The role's name."),
  passwordFile: required(text(names.notEmpty), 'The file that holds its password.'),
});

const cluster = z.strictObject({
  name: defaulted(text(names.notEmpty), 'citus', "The cluster's name, for messages."),
  citus: defaulted(
    z.boolean(),
    true,
    'false: plain PostgreSQL, one server without workers; nothing of Citus is touched.',
  ),
  user: defaulted(name(names.role), 'postgres', 'The superuser this program connects as.'),
  passwordFile: optional(
    text(names.notEmpty),
    "The file that holds that superuser's password. Files are relative to the folder of the spec.",
  ),
  withoutSuperuser: defaulted(
    z.boolean(),
    false,
    'true: user is no superuser, as on managed services, and owns the databases, which exist with Citus and its workers. The program works through the coordinator alone, does what the rights of user allow, and names the rest before it makes anything.',
  ),
  acceptServerWithoutProof: defaulted(
    z.boolean(),
    false,
    "true: goes on, and writes the superuser's password into pg_dist_authinfo, where a server proves neither by SCRAM-SHA-256 nor by a verified certificate that it is the one that is meant (trust or md5 in its pg_hba.conf).",
  ),
  acceptUndeclaredNodes: defaulted(
    z.boolean(),
    false,
    "true: goes on, and leaves the passwords in pg_dist_authinfo to nodes that are registered in Citus and not declared here; their servers may be anybody's.",
  ),
  database: optional(
    name(names.identifier),
    'The database that Patroni manages; workers are discovered in it when none are listed. Default: citus, or postgres where citus is false.',
  ),
  image: optional(
    text(names.notEmpty),
    'In a pod: apply and wait begin once every pod of a server has this text in its annotation citus-databases/image. The chart writes both; outside Kubernetes it means nothing.',
  ),
  exporter: optional(
    exporter,
    'A role for a metrics exporter, which apply makes on every node: a member of pg_monitor and nothing else.',
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

export const specDocument = described(
  z.strictObject({
    cluster: required(cluster, 'The cluster.'),
    ssl: optional(sslDocument, 'Encryption and certificates.'),
    databases: optional(
      databases,
      'The databases: a list, or a mapping with their names as keys, where null stands for an absent entry.',
    ),
    additionalDatabases: optional(databases, 'Another name for databases, the one of the chart.'),
    patroni: optional(
      patroni,
      'The Patroni groups and the parameters of their servers; for citus-databases configure alone.',
    ),
  }),
  { title: 'citus-databases spec', description: 'Databases on a Citus cluster.' },
);

export type SpecDocument = z.output<typeof specDocument>;
export type PatroniDocument = NonNullable<SpecDocument['patroni']>;
