import { completePatroni } from './completePatroni.ts';
import { type DatabaseDocument, databaseDocument } from './databaseSchema.ts';
import { type SpecDocument, sslDocument } from './schema.ts';
import type {
  ClusterSpec,
  DatabaseSpec,
  ExtensionSpec,
  NodeSpec,
  RebalanceOptions,
  Spec,
  SslMode,
  SslSpec,
  UserSpec,
} from './types.ts';

type NodeDocument = SpecDocument['cluster']['coordinator'];

/** The validated document as a Spec: the defaults that depend on other fields, and one shape for each thing. */
export function complete(document: SpecDocument): Spec {
  const ssl = completeSsl(document.ssl);
  return {
    cluster: completeCluster(document.cluster),
    ssl,
    databases: completeDatabases(document),
    patroni: document.patroni === undefined ? undefined : completePatroni(document.patroni, document.cluster.name, ssl),
  };
}

function completeCluster(cluster: SpecDocument['cluster']): ClusterSpec {
  const { name, citus, user, passwordFile, withoutSuperuser, acceptServerWithoutProof, acceptUndeclaredNodes } =
    cluster;
  const workers = cluster.workers?.map(completeNode).toSorted((left, right) => left.group - right.group);
  return {
    name,
    citus,
    user,
    passwordFile,
    withoutSuperuser,
    acceptServerWithoutProof,
    acceptUndeclaredNodes,
    database: cluster.database ?? (citus ? 'citus' : 'postgres'),
    image: cluster.image,
    exporter: cluster.exporter,
    coordinator: completeNode(cluster.coordinator),
    workers: citus ? workers : [],
  };
}

function completeNode({ group, host, port, nodeName, nodePort }: NodeDocument): NodeSpec {
  return { group: Number(group), host, port, nodeName: nodeName ?? host, nodePort: nodePort ?? port };
}

function completeSsl(given: SpecDocument['ssl']): SslSpec {
  const { enabled = false, mode, ...files } = given ?? sslDocument.parse({});
  return { enabled, mode: sslMode(enabled, mode), ...files };
}

/** Without certificates there is nothing to verify with; prefer is what libpq itself does when nothing is said. */
function sslMode(enabled: boolean, mode: SslMode | undefined): SslMode {
  if (enabled) return mode ?? 'verify-ca';
  return mode === undefined || mode === 'verify-ca' || mode === 'verify-full' ? 'prefer' : mode;
}

function completeDatabases({ databases, additionalDatabases, cluster }: SpecDocument): readonly DatabaseSpec[] {
  const given = databases ?? additionalDatabases ?? [];
  const defaults = { citus: cluster.citus, owner: cluster.withoutSuperuser ? cluster.user : 'postgres' };
  if (Array.isArray(given)) return given.map((database) => completeDatabase(database.name, database, defaults));
  return Object.entries(given).flatMap(([name, database]) =>
    database === null ? [] : [completeDatabase(name, database, defaults)],
  );
}

/** A database that no spec declares, as an entry with nothing but its name would declare it. */
export function undeclaredDatabase(name: string): DatabaseSpec {
  return completeDatabase(name, databaseDocument.parse({}), { citus: true, owner: 'postgres' });
}

function completeDatabase(
  name: string,
  document: Omit<DatabaseDocument, 'name'>,
  { citus, owner }: { readonly citus: boolean; readonly owner: string },
): DatabaseSpec {
  const { initSQL, ...database } = document;
  return {
    ...database,
    name,
    owner: database.owner ?? database.users.find((user) => user.access === 'owner')?.name ?? owner,
    workerGroups: citus ? database.workerGroups?.map(Number) : undefined,
    extensions: database.extensions.map(completeExtension).filter((extension) => extension.name !== 'citus'),
    schemas: database.schemas.map((schema) =>
      typeof schema === 'string' ? { name: schema, owner: undefined, distributed: false } : schema,
    ),
    users: database.users.map(completeUser),
    parameters: completeParameters(database.parameters),
    rebalance: completeRebalance(database.rebalance),
    initSQL: initSQL === undefined || initSQL.trim() === '' ? undefined : initSQL,
  };
}

export const REBALANCE_DEFAULTS: RebalanceOptions = {
  strategy: undefined,
  transferMode: undefined,
  parallelReferenceTables: false,
  parallelColocatedShards: false,
};

function completeRebalance(given: DatabaseDocument['rebalance']): DatabaseSpec['rebalance'] {
  const { when, ...options } = typeof given === 'object' ? given : { when: given ?? 'never' };
  return { when, options: { ...REBALANCE_DEFAULTS, ...options } };
}

function completeExtension(extension: DatabaseDocument['extensions'][number]): ExtensionSpec {
  if (typeof extension === 'string') return { name: extension, version: undefined, schema: undefined };
  const { name, version, schema } = extension;
  return { name, version, schema };
}

function completeUser(user: DatabaseDocument['users'][number]): UserSpec {
  const { name, passwordFile, access, login, connectionLimit, memberOf, parameters } = user;
  return {
    ...{ name, passwordFile, access, login, connectionLimit },
    memberOf: [...new Set(memberOf)],
    parameters: completeParameters(parameters),
  };
}

function completeParameters(parameters: DatabaseDocument['parameters']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(parameters).map(([parameter, value]) => [parameter.toLowerCase(), String(value)]),
  );
}
