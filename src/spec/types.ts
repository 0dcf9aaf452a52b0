/**
 * The spec after validation: every default filled in, nothing optional left to guess.
 * The untrusted document's shape is in schema.ts; parse.ts turns the one into the other.
 */

/** One PostgreSQL server group: where this program connects, and the name the other nodes use. */
export interface NodeSpec {
  /** Patroni's citus group; 0 is the coordinator. */
  readonly group: number;
  readonly host: string;
  readonly port: number;
  /** What pg_dist_node holds; `host` unless the nodes reach each other under another name. */
  readonly nodeName: string;
  readonly nodePort: number;
}

/** The role of a metrics exporter, on every node. */
export interface ExporterSpec {
  readonly name: string;
  readonly passwordFile: string;
}

export interface ClusterSpec {
  readonly name: string;
  /** false: one plain PostgreSQL server, no Citus object is ever touched. */
  readonly citus: boolean;
  readonly user: string;
  readonly passwordFile: string | undefined;
  /** `user` is no superuser: all work goes through the coordinator, with the rights of `user` (reconcile/asOwner). */
  readonly withoutSuperuser: boolean;
  /** The superuser's password goes to whoever answers at a node's address. */
  readonly acceptServerWithoutProof: boolean;
  /** Passwords go to whoever answers at the address of a node that is registered and not declared. */
  readonly acceptUndeclaredNodes: boolean;
  /** The database Patroni manages; workers are discovered in it when `workers` is undefined. */
  readonly database: string;
  /** What the annotation `citus-databases/image` of every server's pod has to say before work begins; undefined: anything. */
  readonly image: string | undefined;
  readonly exporter?: ExporterSpec | undefined;
  readonly coordinator: NodeSpec;
  /** undefined: discover. Never empty when `citus` is true; always [] when it is false. Ordered by group. */
  readonly workers: readonly NodeSpec[] | undefined;
}

/** libpq's sslmode values, with libpq's meanings (PostgreSQL documentation, "SSL Support" in libpq). */
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export interface SslSpec {
  readonly enabled: boolean;
  readonly mode: SslMode;
  /** As this program reads the files. */
  readonly directory: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  /** The same files as the nodes see them; goes into pg_dist_authinfo. */
  readonly nodeDirectory: string;
}

export interface ExtensionSpec {
  readonly name: string;
  readonly version: string | undefined;
  readonly schema: string | undefined;
}

export interface SchemaSpec {
  readonly name: string;
  /** undefined: the database's owner. */
  readonly owner: string | undefined;
  /** A tenant schema: its tables are kept together on one node. false: left as it is. */
  readonly distributed: boolean;
}

export type TransferMode = 'auto' | 'force_logical' | 'block_writes';

/** Of citus_rebalance_start(); undefined: Citus' own default. */
export interface RebalanceOptions {
  readonly strategy: string | undefined;
  readonly transferMode: TransferMode | undefined;
  readonly parallelReferenceTables: boolean;
  readonly parallelColocatedShards: boolean;
}

/** What a declared user may do in the database; owner: it owns it, or is a member of the role that does. */
export type UserAccess = 'owner' | 'all' | 'readWrite' | 'readOnly';

export interface UserSpec {
  readonly name: string;
  /** undefined: the password, if there is one, stays as it is. */
  readonly passwordFile: string | undefined;
  readonly access: UserAccess;
  readonly login: boolean;
  /** On each node. undefined: left as it is. -1: no limit. */
  readonly connectionLimit: number | undefined;
  readonly memberOf: readonly string[];
  /** As by ALTER ROLE ... IN DATABASE ... SET. */
  readonly parameters: Readonly<Record<string, string>>;
}

export type InitSqlPolicy = 'once' | 'always' | 'adopt' | 'baseline';

/** Who sorts and compares text (PostgreSQL documentation, "Locale Providers"); builtin from PostgreSQL 17 on. */
export type LocaleProvider = 'libc' | 'icu' | 'builtin';

export interface ScriptFileSpec {
  readonly file: string;
  /** None of its string constants is shown or stored. */
  readonly secret: boolean;
}

export interface DatabaseSpec {
  readonly name: string;
  readonly owner: string;
  readonly maxAttempts: number;
  readonly retryDelaySeconds: number;
  /** Read by the chart only. */
  readonly backoffLimit: number;
  /** undefined: every worker. Never empty. */
  readonly workerGroups: readonly number[] | undefined;
  /** Without `citus` itself, which is always there when `cluster.citus` is true. */
  readonly extensions: readonly ExtensionSpec[];
  readonly users: readonly UserSpec[];
  readonly schemas: readonly SchemaSpec[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly rebalance: { readonly when: 'never' | 'afterJoin'; readonly options: RebalanceOptions };
  /** By group, 0 being the coordinator; a group that is not named is left as it is. */
  readonly shouldHaveShards: Readonly<Record<string, boolean>>;
  readonly encoding: string | undefined;
  readonly locale: string | undefined;
  readonly localeProvider: LocaleProvider | undefined;
  readonly icuLocale: string | undefined;
  readonly icuRules: string | undefined;
  readonly builtinLocale: string | undefined;
  readonly template: string | undefined;
  /** undefined: left as it is. -1: no limit. */
  readonly connectionLimit: number | undefined;
  /** On every node. undefined: left as it is. Empty: none. */
  readonly comment: string | undefined;
  readonly initSQLPolicy: InitSqlPolicy;
  readonly initSQL: string | undefined;
  /** Files with more of it, in order, after initSQL. */
  readonly initSQLFrom: readonly ScriptFileSpec[];
  /** `owner`, or the name of a role: as which initSQL runs. undefined: the superuser. */
  readonly initSQLRole: string | undefined;
  /** initSQL runs as superuser also where it runs code that others have placed. */
  readonly initSQLRunsCodeOfOthers: boolean;
}

/** One PostgreSQL server under Patroni, addressed by itself rather than by the Service of its group. */
export interface PatroniMemberSpec {
  readonly host: string;
  readonly port: number;
  readonly restPort: number;
}

export interface PatroniGroupSpec {
  readonly group: number;
  /** Never empty. */
  readonly members: readonly PatroniMemberSpec[];
  /** Of this group alone; names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
  /** In bytes; never undefined when the profile is `auto`. */
  readonly memoryLimit: number | undefined;
}

/** What `configure` needs. */
export interface PatroniSpec {
  readonly scope: string;
  /** How commands in messages begin. */
  readonly patronictl: string;
  readonly credentials: { readonly username: string; readonly passwordFile: string } | undefined;
  /** Of the REST API; not enabled: plain HTTP. */
  readonly tls: SslSpec;
  /** Of all groups; names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly profile: 'none' | 'auto';
  readonly managedBefore: readonly string[];
  readonly restart: 'never' | 'whenNeeded';
  readonly allowInterruption: boolean;
  readonly timeoutSeconds: number;
  /** Never empty; ordered by group. */
  readonly groups: readonly PatroniGroupSpec[];
}

export interface Spec {
  readonly cluster: ClusterSpec;
  readonly ssl: SslSpec;
  readonly databases: readonly DatabaseSpec[];
  /** Read by `configure` only. */
  readonly patroni?: PatroniSpec | undefined;
}
