import { isSection } from './values.mjs';

const scalar = { type: ['string', 'number', 'boolean', 'null'] };
const stringMap = { type: 'object', additionalProperties: { type: 'string' } };
const freeMap = { type: 'object' };
const freeMaps = { type: 'array', items: { type: 'object' } };
const strings = { type: 'array', items: { type: 'string', minLength: 1 } };
const pullPolicy = { enum: ['Always', 'IfNotPresent', 'Never'] };
const digest = { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' };
/** Five fields, or a name such as @daily; Kubernetes checks the rest. */
const cron = { type: 'string', pattern: '^(@[a-z]+|[^ ]+( [^ ]+){4})?$' };
const seconds = { type: 'integer', minimum: 1 };
const storage = {
  type: 'object',
  additionalProperties: false,
  properties: {
    size: { type: ['string', 'integer'], pattern: '^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][0-9]+)?$' },
    storageClassName: { type: 'string' },
    accessModes: strings,
  },
};
const parameters = { type: 'object', additionalProperties: scalar };
const replicas = { type: 'integer', minimum: 1 };

const host = { type: 'string', minLength: 1 };
const port = { type: ['integer', 'null'], minimum: 1, maximum: 65535 };
const place = { host, port, nodeName: { type: ['string', 'null'] }, nodePort: port };

/** What the type of a default does not say. */
const known = {
  'cluster.coordinator': { type: 'object', additionalProperties: false, properties: place },
  'cluster.workers': {
    type: 'array',
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['citusGroup', 'host'],
      properties: { citusGroup: { type: ['string', 'integer'], pattern: '^[0-9]{1,6}$' }, ...place },
    },
  },
  'cluster.database': { type: 'string', minLength: 1, maxLength: 63 },
  'cluster.superuser.username': { type: 'string', minLength: 1, maxLength: 63 },
  'cluster.superuser.key': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  'coordinator.replicas': replicas,
  'coordinator.resources': freeMap,
  'coordinator.parameters': parameters,
  'coordinator.storage': storage,
  'coordinator.podSpec': freeMap,
  workers: {
    type: 'array',
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['citusGroup'],
      properties: {
        citusGroup: { type: ['string', 'integer'], pattern: '^[0-9]{1,6}$' },
        replicas,
        resources: freeMap,
        parameters,
        storage,
        podSpec: freeMap,
      },
    },
  },
  // Helm hands `global` to every chart: what other charts take from it is let through.
  global: { type: 'object', properties: { imageRegistry: { type: 'string' } } },
  retiredWorkerGroups: { type: 'array', items: { type: ['string', 'integer'], pattern: '^[0-9]{1,6}$' } },
  'image.digest': digest,
  'jobs.image.digest': digest,
  'image.pullPolicy': pullPolicy,
  imagePullSecrets: freeMaps,
  'secret.keys.superuserPassword': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  'secret.keys.replicationPassword': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  'secret.keys.restApiPassword': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  // The value of a label: scope_label of Patroni.
  'patroni.scope': { type: 'string', pattern: '^([a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?)?$' },
  'patroni.database': { type: 'string', minLength: 1, maxLength: 63 },
  // They stand in pg_hba.conf and pg_ident.conf.
  'patroni.superuser.username': { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,62}$' },
  'patroni.replication.username': { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,62}$' },
  'patroni.restApi.username': { type: 'string', minLength: 1 },
  'patroni.ttl': { type: 'integer', minimum: 20 },
  'patroni.loopWait': seconds,
  'patroni.retryTimeout': { type: 'integer', minimum: 3 },
  'patroni.postgresql.parameters': parameters,
  'patroni.postgresql.profile': { enum: ['none', 'auto'] },
  'patroni.postgresql.restart': { enum: ['never', 'whenNeeded'] },
  'patroni.postgresql.pgHba': strings,
  'ssl.mode': { enum: ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] },
  'ssl.createSecret': { type: ['boolean', 'null'] },
  'ssl.validityDays': seconds,
  'ssl.keys.ca': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  'ssl.keys.certificate': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  'ssl.keys.key': { type: 'string', pattern: '^[-._a-zA-Z0-9]+$' },
  'storage.size': storage.properties.size,
  'storage.accessModes': strings,
  'service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  'service.annotations': stringMap,
  'serviceAccount.annotations': stringMap,
  'podAntiAffinity.type': { enum: ['preferred', 'required', 'none'] },
  'networkPolicy.clients': { type: ['array', 'null'], items: { type: 'object' } },
  'networkPolicy.patroniClients': freeMaps,
  'patroni.postgresql.outputPlugins': strings,
  'postgresqlContainer.extraEnv': freeMaps,
  'postgresqlContainer.extraEnvFrom': freeMaps,
  'postgresqlContainer.extraVolumeMounts': freeMaps,
  'postgresqlContainer.extraPorts': freeMaps,
  'postgresqlContainer.lifecycle': freeMap,
  commonLabels: stringMap,
  extraObjects: { type: 'array', items: { type: ['object', 'string'] } },
  'jobs.podSpec': freeMap,
  podSpec: freeMap,
  podAnnotations: stringMap,
  'jobs.image.pullPolicy': pullPolicy,
  'jobs.mode': { enum: ['perDatabase', 'single'] },
  'jobs.parallel': { type: 'integer', minimum: 1, maximum: 100 },
  'jobs.databasesAtOnce': { type: 'integer', minimum: 1, maximum: 999999 },
  'jobs.unchanged': { enum: ['run', 'skip'] },
  'jobs.resources': freeMap,
  'jobs.activeDeadlineSeconds': { type: ['integer', 'null'], minimum: 1 },
  'jobs.ttlSecondsAfterFinished': { type: ['integer', 'null'], minimum: 0 },
  'jobs.extraArgs': strings,
  'jobs.labels': stringMap,
  'jobs.annotations': stringMap,
  'jobs.tolerations': freeMaps,
  'jobs.nodeSelector': stringMap,
  'schedule.verify.cron': cron,
  'schedule.plan.cron': cron,
  'schedule.pushgateway': { type: 'string', pattern: '^(https?://[^ @]+)?$' },
  // It stands in pg_hba.conf; names that begin with pg_ are PostgreSQL's own.
  'monitoring.exporter.username': { type: 'string', pattern: '^([a-oq-z_]|p[a-fh-z0-9_]|pg[a-z0-9])[a-z0-9_]{0,60}$' },
  'monitoring.exporter.image.repository': { type: 'string', minLength: 1 },
  'monitoring.exporter.image.tag': { type: 'string', minLength: 1 },
  'monitoring.exporter.image.digest': digest,
  'monitoring.exporter.image.pullPolicy': pullPolicy,
  'monitoring.exporter.extraArgs': strings,
  'monitoring.exporter.resources': freeMap,
  'monitoring.podMonitor.interval': { type: 'string', pattern: '^[0-9]+(ms|s|m|h)$' },
  'monitoring.podMonitor.labels': stringMap,
  'monitoring.prometheusRule.labels': stringMap,
  'monitoring.prometheusRule.runbookUrl': { type: 'string', pattern: '^(https?://[^ #]+)?$' },
  'monitoring.dashboard.labels': stringMap,
};

/** Let through here, so that templates/_checks.tpl can say the key's new name. */
export const renamedKeys = ['databases', 'postgresql', 'existingSecret', 'persistence', 'tls'];

const objectName = {
  type: ['string', 'null'],
  minLength: 1,
  maxLength: 253,
  pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$',
};

export function valuesSchema(entries, specSchema) {
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...section() };
  for (const key of renamedKeys) schema.properties[key] = { description: 'Renamed; the chart says how.' };
  for (const entry of entries) {
    const parent = entry.path.slice(0, -1).reduce((at, key) => at.properties[key], schema);
    parent.properties[entry.path.at(-1)] = { ...schemaOf(entry, entries), description: entry.description };
  }
  schema.definitions = {};
  for (const name of ['listedDatabase', 'keyedDatabase'])
    schema.definitions[name] = simplified(entrySchema(specSchema, name));
  // null takes an entry out. As a type of the entry itself: in an alternative, every message about an entry ends in "want null".
  schema.definitions.keyedDatabase.type = ['object', 'null'];
  schema.definitions.user = simplified(userSchema(specSchema));
  schema.definitions.scriptFile = scriptSchema;
  return schema;
}

/** Where the chart's form of a field differs from the spec's. */
function asInValues(definition) {
  const { initSQLFrom } = definition.properties;
  initSQLFrom.description =
    'ConfigMaps and Secrets with more of initSQL, executed in order after it: as one script, with one ledger. Each has a key, and whole statements; UTF-8.';
  return definition;
}

/** An entry as the chart takes it: list form or map form. */
export function entrySchema(specSchema, name) {
  return asInValues(structuredClone(specSchema.$defs[name]));
}

/** A user as the chart takes it: its password is in a Secret, from which the chart makes the program's file. */
export function userSchema(specSchema) {
  const { properties, ...user } = specSchema.$defs.user;
  const { name, passwordFile: _, ...others } = properties;
  return { ...user, properties: { name, ...passwordSources, ...others } };
}

/** A script as the chart takes it, which mounts it and makes the program's file. */
export const scriptSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['key'],
  properties: {
    configMap: { ...objectName, description: 'The ConfigMap that holds it.' },
    secret: {
      ...objectName,
      description: 'Or the Secret: then none of its string constants appears in log, errors and ledger.',
    },
    key: { type: 'string', pattern: '^[-._a-zA-Z0-9]+$', description: 'The key in it.' },
  },
};

const passwordSources = {
  generate: {
    type: ['boolean', 'null'],
    default: false,
    description:
      'true: the password is made inside the cluster, once, and stays over upgrades and rollbacks. Without generate and existingSecret the password, if there is one, stays as it is.',
  },
  existingSecret: {
    type: ['object', 'null'],
    additionalProperties: false,
    required: ['name'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$' },
      key: { type: ['string', 'null'], pattern: '^[-._a-zA-Z0-9]+$', default: 'password' },
    },
    description:
      "The Secret that holds the password: its name, and the key in it (default: password). A password changed there is the role's from the next upgrade on.",
  },
  secretNamespaces: {
    type: ['array', 'null'],
    items: { type: 'string', maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' },
    default: [],
    description:
      'Existing namespaces that get a copy of the Secret to connect with, under the same name; each upgrade brings the copies up to date.',
  },
};

function section() {
  return { type: 'object', additionalProperties: false, properties: {} };
}

function schemaOf(entry, entries) {
  const path = entry.path.join('.');
  if (path === 'additionalDatabases') {
    return {
      type: ['array', 'object', 'null'],
      items: { $ref: '#/definitions/listedDatabase' },
      additionalProperties: { $ref: '#/definitions/keyedDatabase' },
    };
  }
  if (known[path] !== undefined) return { ...known[path], default: entry.value };
  if (isSection(entry, entries)) return section();
  if (typeof entry.value === 'string' || typeof entry.value === 'boolean') {
    return { type: typeof entry.value, default: entry.value };
  }
  throw new Error(`values.yaml: say the type of ${path} in scripts/chart-docs/schema.mjs`);
}

/**
 * The same schema with alternatives of different types as one list of types: Helm's messages then name the field that is wrong
 * instead of "must validate at least one schema". Keywords speak about one type each, so joining them changes nothing.
 */
function simplified(schema) {
  if (Array.isArray(schema)) return schema.map(simplified);
  if (typeof schema !== 'object' || schema === null) return schema;
  const result = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, simplified(value)]));
  if (typeof result.$ref === 'string') result.$ref = result.$ref.replace('#/$defs/', '#/definitions/');
  if (result.anyOf === undefined) return result;
  const { anyOf, ...rest } = result;
  const types = anyOf.flatMap(({ type }) => type);
  if (types.includes(undefined) || new Set(types).size < types.length) return result;
  const enums = anyOf.some((option) => option.enum !== undefined);
  if (enums && anyOf.some((option) => option.enum === undefined && option.type !== 'null')) return result;
  const joined = Object.assign({}, ...anyOf, rest, { type: types });
  if (enums) joined.enum = anyOf.flatMap((option) => option.enum ?? [null]);
  return joined;
}
