import { initSqlContradictions } from './initSqlContradictions.ts';
import type { Plain, PlainMapping } from './plain.ts';
import { formatPath, type SpecProblem, show } from './problems.ts';
import {
  type DatabaseEntry,
  groupOf,
  isAbsent,
  isList,
  isMapping,
  type Keyed,
  mappingOr,
  namesIn,
  repeated,
} from './tolerant.ts';

/** What the databases say against each other, against themselves and against `cluster`. */
export function databaseContradictions(
  entries: readonly DatabaseEntry[],
  cluster: PlainMapping,
): readonly SpecProblem[] {
  return [
    ...repeated(
      entries.map(({ path, keyed, name }) => ({ path: keyed ? path : [...path, 'name'], key: name })),
      (key, first) => `${show(key)} is also the name of ${formatPath(first.slice(0, 2))}`,
    ),
    ...entries.flatMap((entry) => [
      ...nameProblems(entry, cluster),
      ...groupProblems(entry, cluster),
      ...extensionProblems(entry, cluster),
      ...repeatedNames(entry, 'extensions'),
      ...repeatedNames(entry, 'schemas'),
      ...parameterProblems(entry),
      ...localeProblems(entry),
      ...shardProblems(entry, cluster),
      ...initSqlContradictions(entry, cluster),
    ]),
  ];
}

function nameProblems({ path, keyed, name, fields }: DatabaseEntry, cluster: PlainMapping): readonly SpecProblem[] {
  const problems: SpecProblem[] = [];
  if (name === undefined) return problems;
  // A managed service has one database as a rule, which is the one to declare.
  if (name === mainDatabase(cluster) && cluster['withoutSuperuser'] !== true) {
    const message = `${show(name)} is cluster.database, which Patroni manages`;
    problems.push({ path: keyed ? path : [...path, 'name'], message });
  }
  const given = fields['name'];
  if (keyed && typeof given === 'string' && given !== name) {
    problems.push({ path: [...path, 'name'], message: `${show(given)} differs from the key above it` });
  }
  if (fields['template'] === name) problems.push({ path: [...path, 'template'], message: 'is the database itself' });
  return problems;
}

/** undefined for `postgres`: as a server's own database it is refused in any case. */
function mainDatabase(cluster: PlainMapping): Plain | undefined {
  const { database } = cluster;
  if (!isAbsent(database)) return database === 'postgres' ? undefined : database;
  return cluster['citus'] === false ? undefined : 'citus';
}

function groupProblems({ path, fields }: DatabaseEntry, cluster: PlainMapping): readonly SpecProblem[] {
  const groups = fields['workerGroups'];
  const groupsPath = [...path, 'workerGroups'];
  if (isAbsent(groups)) return [];
  if (cluster['citus'] === false) {
    const message = 'must be left out where cluster.citus is false: plain PostgreSQL has no workers';
    return [{ path: groupsPath, message }];
  }
  if (!isList(groups)) return [];
  const keys = groups.map((value, index): Keyed => ({ path: [...groupsPath, index], key: groupOf(value) }));
  return [...repeated(keys, (key) => `group ${key} is listed twice`), ...unknownGroups(keys, cluster['workers'])];
}

function unknownGroups(groups: readonly Keyed[], workers: Plain | undefined): readonly SpecProblem[] {
  if (!isList(workers)) return [];
  const known = workers.map((worker) => groupOf(mappingOr(worker)['group']));
  // A worker whose group cannot be read may be the one that is missed.
  if (known.length === 0 || known.includes(undefined)) return [];
  const message = (key: string) => `there is no worker group ${key}; the groups are ${known.join(', ')}`;
  return groups.flatMap(({ path, key }) =>
    key === undefined || key === '0' || known.includes(key) ? [] : [{ path, message: message(key) }],
  );
}

function extensionProblems({ path, fields }: DatabaseEntry, cluster: PlainMapping): readonly SpecProblem[] {
  const extensions = fields['extensions'];
  if (!isList(extensions)) return [];
  return extensions.flatMap((value, index): readonly SpecProblem[] => {
    const extension = isMapping(value) ? value : { name: value };
    if (extension['name'] !== 'citus') return [];
    const at = [...path, 'extensions', index];
    if (cluster['citus'] === false) {
      return [{ path: at, message: "'citus' cannot be listed where cluster.citus is false" }];
    }
    if (isAbsent(extension['version']) && isAbsent(extension['schema'])) return [];
    return [{ path: at, message: "'citus' takes no version and no schema: it follows the library the servers load" }];
  });
}

function repeatedNames({ path, fields }: DatabaseEntry, field: 'extensions' | 'schemas'): readonly SpecProblem[] {
  return repeated(
    namesIn(fields[field]).map(({ index, name }) => ({ path: [...path, field, index], key: name })),
    (key) => `${show(key)} is listed twice`,
  );
}

function parameterProblems({ path, fields }: DatabaseEntry): readonly SpecProblem[] {
  return repeated(
    Object.keys(mappingOr(fields['parameters'])).map((name) => ({
      path: [...path, 'parameters', name],
      key: name.toLowerCase(),
    })),
    (key) => `names the parameter ${key} a second time (PostgreSQL does not tell case apart)`,
  );
}

/** What plain PostgreSQL has not. */
function shardProblems({ path, fields }: DatabaseEntry, cluster: PlainMapping): readonly SpecProblem[] {
  const groups = Object.keys(mappingOr(fields['shouldHaveShards']));
  if (cluster['citus'] === false) {
    const message = 'must be left out where cluster.citus is false: plain PostgreSQL has no shards';
    const schemas = isList(fields['schemas']) ? fields['schemas'].map(mappingOr) : [];
    return [
      ...(['rebalance', 'shouldHaveShards'] as const)
        .filter((field) => !isAbsent(fields[field]))
        .map((field) => ({ path: [...path, field], message })),
      ...schemas.flatMap(({ distributed }, index) =>
        distributed === true ? [{ path: [...path, 'schemas', index, 'distributed'], message }] : [],
      ),
    ];
  }
  const wrong = groups.filter((group) => !/^(0|[1-9]\d{0,8})$/.test(group));
  if (wrong.length > 0) {
    const message = 'is no group: 0 is the coordinator, the others are those of cluster.workers';
    return wrong.map((group) => ({ path: [...path, 'shouldHaveShards', group], message }));
  }
  const workers = isList(cluster['workers'])
    ? cluster['workers'].map((worker) => groupOf(mappingOr(worker)['group']))
    : [];
  if (workers.length === 0 || workers.includes(undefined)) return [];
  return groups
    .filter((group) => group !== '0' && !workers.includes(group))
    .map((group) => ({
      path: [...path, 'shouldHaveShards', group],
      message: `there is no worker group ${group}; the groups are ${workers.join(', ')}`,
    }));
}

/** Each provider takes a locale of its own, and none that belongs to another (PostgreSQL documentation, CREATE DATABASE). */
function localeProblems({ path, fields }: DatabaseEntry): readonly SpecProblem[] {
  const provider = fields['localeProvider'];
  const needs = { icu: 'icuLocale', builtin: 'builtinLocale' } as const;
  const owners = { icuLocale: 'icu', icuRules: 'icu', builtinLocale: 'builtin' } as const;
  const needed = provider === 'icu' || provider === 'builtin' ? needs[provider] : undefined;
  return [
    ...Object.entries(owners).flatMap(([field, owner]) =>
      isAbsent(fields[field]) || provider === owner
        ? []
        : [{ path: [...path, field], message: `needs localeProvider: ${owner}` }],
    ),
    ...(needed === undefined || !isAbsent(fields[needed])
      ? []
      : [{ path: [...path, 'localeProvider'], message: `needs ${needed} as well` }]),
  ];
}
