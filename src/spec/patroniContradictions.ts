import type { Plain, PlainMapping } from './plain.ts';
import { formatPath, type Path, type SpecProblem } from './problems.ts';
import { groupOf, isAbsent, isList, isMapping, mappingOr, repeated } from './tolerant.ts';

/**
 * Parameters that Patroni fixes itself, whatever its configuration says (Patroni documentation, "Dynamic Configuration
 * Settings"), and those that say where a server's files are.
 */
export const PATRONIS_OWN: ReadonlyMap<string, string> = new Map([
  ['listen_addresses', 'Patroni sets it from postgresql.listen of each member'],
  ['port', 'Patroni sets it from postgresql.listen of each member'],
  ['cluster_name', 'Patroni sets it to its scope'],
  ['hot_standby', 'Patroni keeps it on'],
  ['primary_conninfo', 'Patroni sets it for each standby'],
  ['primary_slot_name', 'Patroni sets it for each standby'],
  ['synchronous_standby_names', 'Patroni sets it as synchronous_mode says'],
  ['data_directory', "it is Patroni's postgresql.data_dir"],
  ['config_file', 'Patroni writes that file'],
  ['citus.local_hostname', 'Patroni sets it to the address that it connects to itself'],
]);

/** What the section `patroni` says against itself and against `cluster`. */
export function patroniContradictions(value: Plain | undefined, cluster: PlainMapping): readonly SpecProblem[] {
  if (!isMapping(value)) return [];
  const groups = isList(value['groups']) ? value['groups'] : [];
  const entries = groups.map((group, index) => ({ path: ['patroni', 'groups', index], fields: mappingOr(group) }));
  return [
    ...repeated(
      entries.map(({ path, fields }) => ({ path: [...path, 'group'], key: groupOf(fields['group']) })),
      (key, first) => `group ${key} is also the group of ${formatPath(first.slice(0, -1))}`,
    ),
    ...entries.flatMap(({ path, fields }) => groupProblems(path, fields, value, cluster)),
    ...repeatedMembers(entries),
    ...parameterProblems(['patroni', 'parameters'], value['parameters'], cluster),
    ...entries.flatMap(({ path, fields }) => parameterProblems([...path, 'parameters'], fields['parameters'], cluster)),
  ];
}

function groupProblems(path: Path, fields: PlainMapping, patroni: PlainMapping, cluster: PlainMapping): SpecProblem[] {
  const problems: SpecProblem[] = [];
  const group = groupOf(fields['group']);
  if (cluster['citus'] === false && group !== undefined && group !== '0') {
    const message = `group ${group} cannot be where cluster.citus is false: there is one group, 0`;
    problems.push({ path: [...path, 'group'], message });
  }
  if (patroni['profile'] === 'auto' && isAbsent(fields['memoryLimit'])) {
    problems.push({ path: [...path, 'memoryLimit'], message: 'is required where profile is auto' });
  }
  return problems;
}

function repeatedMembers(entries: readonly { readonly path: Path; readonly fields: PlainMapping }[]) {
  const members = entries.flatMap(({ path, fields }) => {
    const list = isList(fields['members']) ? fields['members'] : [];
    return list.map((member, index) => {
      const { host, restPort } = mappingOr(member);
      const key =
        typeof host === 'string' ? `${host.toLowerCase()}:${isAbsent(restPort) ? 8008 : restPort}` : undefined;
      return { path: [...path, 'members', index], key };
    });
  });
  return repeated(members, (key, first) => `has the REST API of ${formatPath(first)}, ${key}`);
}

function parameterProblems(path: Path, value: Plain | undefined, cluster: PlainMapping): readonly SpecProblem[] {
  const names = Object.entries(mappingOr(value)).flatMap(([name, given]) => (given === null ? [] : [name]));
  return [
    ...repeated(
      names.map((name) => ({ path: [...path, name], key: name.toLowerCase() })),
      (key) => `names the parameter ${key} a second time (PostgreSQL does not tell case apart)`,
    ),
    ...names.flatMap((name) => {
      const reason = reasonAgainst(name.toLowerCase(), mappingOr(value)[name], cluster);
      return reason === undefined ? [] : [{ path: [...path, name], message: `cannot be set here: ${reason}` }];
    }),
  ];
}

function reasonAgainst(name: string, value: Plain | undefined, cluster: PlainMapping): string | undefined {
  if (name.startsWith('recovery_target')) return 'Patroni recovers standbys itself';
  if (name === 'wal_level' && cluster['citus'] !== false && String(value).toLowerCase() !== 'logical') {
    return 'under Patroni with Citus it is always logical';
  }
  return PATRONIS_OWN.get(name);
}
