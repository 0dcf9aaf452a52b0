import type { Plain, PlainMapping } from './plain.ts';
import { formatPath, type Path, type SpecProblem, show } from './problems.ts';
import { type DatabaseEntry, isAbsent, isList, isMapping, mappingOr, repeated } from './tolerant.ts';

interface UserEntry {
  readonly path: Path;
  readonly name: string;
  readonly fields: PlainMapping;
  readonly database: DatabaseEntry;
}

/** What the users of all databases say against each other, against their database and against `cluster`. */
export function userContradictions(entries: readonly DatabaseEntry[], cluster: PlainMapping): readonly SpecProblem[] {
  const superuser = typeof cluster['user'] === 'string' ? cluster['user'] : 'postgres';
  const users = entries.map(usersOf);
  return [
    ...users.flatMap((list) => [
      ...repeated(
        list.map(({ path, name }) => ({ path: [...path, 'name'], key: name })),
        (key) => `${show(key)} is listed twice`,
      ),
      ...list.flatMap((user) => [
        ...roleProblems(user, superuser),
        ...(cluster['citus'] === false ? [] : catalogProblems(user)),
        ...ownerProblems(user, superuser),
      ]),
    ]),
    ...differences(users.flat()),
    ...exporterProblems(entries, users.flat(), cluster, superuser),
  ];
}

/** Its role is nobody else's: whoever owns something or has access to a database has more than pg_monitor. */
function exporterProblems(
  databases: readonly DatabaseEntry[],
  users: readonly UserEntry[],
  cluster: PlainMapping,
  superuser: string,
): readonly SpecProblem[] {
  if (!isMapping(cluster['exporter'])) return [];
  const { name = 'postgres_exporter' } = cluster['exporter'];
  if (typeof name !== 'string') return [];
  if (cluster['withoutSuperuser'] === true) {
    return [
      {
        path: ['cluster', 'exporter'],
        message: 'only a superuser makes this role: leave it out with withoutSuperuser',
      },
    ];
  }
  const path = ['cluster', 'exporter', 'name'];
  if (name === superuser) return [{ path, message: `${show(name)} is cluster.user, the superuser` }];
  const user = users.find((candidate) => candidate.name === name);
  if (user !== undefined) return [{ path, message: `${show(name)} is a user too, in ${formatPath(user.path)}` }];
  const owner = databases.find(({ fields }) => fields['owner'] === name);
  if (owner !== undefined) return [{ path, message: `${show(name)} owns ${formatPath(owner.path)}` }];
  return [];
}

function usersOf(database: DatabaseEntry): readonly UserEntry[] {
  const users = database.fields['users'];
  if (!isList(users)) return [];
  return users.flatMap((value, index): readonly UserEntry[] => {
    const fields = mappingOr(value);
    const name = fields['name'];
    return typeof name === 'string' ? [{ path: [...database.path, 'users', index], name, fields, database }] : [];
  });
}

function groupsOf(fields: PlainMapping): readonly Plain[] {
  return isList(fields['memberOf']) ? fields['memberOf'] : [];
}

/**
 * To PostgreSQL the catalogs of Citus are ordinary tables: a row of pg_dist_background_task is a statement and who runs it. And
 * REFRESH MATERIALIZED VIEW, which comes with MAINTAIN on every table as of PostgreSQL 17, runs as the view's owner.
 */
const TOO_MUCH: ReadonlyMap<string, string> = new Map([
  ['pg_write_all_data', 'may write the catalogs of Citus'],
  ['pg_maintain', "may refresh the superuser's materialized views, over tables and functions of others"],
]);

function catalogProblems({ path, fields }: UserEntry): readonly SpecProblem[] {
  return groupsOf(fields).flatMap((group, index) => {
    if (typeof group !== 'string') return [];
    const reason = TOO_MUCH.get(group);
    if (reason === undefined) return [];
    const message = `${show(group)} ${reason}: a member of it could become superuser`;
    return [{ path: [...path, 'memberOf', index], message }];
  });
}

function roleProblems({ path, name, fields }: UserEntry, superuser: string): readonly SpecProblem[] {
  const problems: SpecProblem[] = [];
  if (name === superuser) {
    const message = `${show(name)} is cluster.user, the superuser, which is not for this program to change`;
    problems.push({ path: [...path, 'name'], message });
  }
  for (const [index, group] of groupsOf(fields).entries()) {
    if (group === name) problems.push({ path: [...path, 'memberOf', index], message: 'is the role itself' });
    if (group === superuser) {
      const message = `${show(group)} is cluster.user: a member of it could become superuser`;
      problems.push({ path: [...path, 'memberOf', index], message });
    }
  }
  const parameters = Object.keys(mappingOr(fields['parameters']));
  return [
    ...problems,
    ...repeated(
      parameters.map((parameter) => ({ path: [...path, 'parameters', parameter], key: parameter.toLowerCase() })),
      (key) => `names the parameter ${key} a second time (PostgreSQL does not tell case apart)`,
    ),
  ];
}

/** Membership in the owner is what access `owner` gives: in a superuser it would give the whole cluster away. */
function ownerProblems({ path, fields, database }: UserEntry, superuser: string): readonly SpecProblem[] {
  if (fields['access'] !== 'owner' || database.fields['owner'] !== superuser) return [];
  const message = `is 'owner', but the database's owner is ${show(superuser)}, the superuser: name this user as owner, or leave owner out`;
  return [{ path: [...path, 'access'], message }];
}

/** What belongs to the role rather than to its place in one database, and its default. */
const ROLE_FIELDS: Readonly<Record<string, Plain>> = {
  passwordFile: null,
  login: true,
  connectionLimit: null,
  memberOf: [],
};

/** A role belongs to the servers: declared for several databases, it has to be declared alike. */
function differences(users: readonly UserEntry[]): readonly SpecProblem[] {
  const first = new Map<string, UserEntry>();
  return users.flatMap((user) => {
    const known = first.get(user.name);
    if (known === undefined) {
      first.set(user.name, user);
      return [];
    }
    // Twice in one list is reported as such.
    if (known.database === user.database) return [];
    return Object.keys(ROLE_FIELDS)
      .filter((field) => roleField(user, field) !== roleField(known, field))
      .map((field) => ({
        path: [...user.path, field],
        message: `of role ${show(user.name)} differs from ${formatPath([...known.path, field])}: a role is one and the same in all databases`,
      }));
  });
}

/** One text for each meaning: absent fields have their default, the order of a list does not matter. */
function roleField({ fields }: UserEntry, field: string): string {
  const given = fields[field];
  const value = isAbsent(given) ? (ROLE_FIELDS[field] ?? null) : given;
  return JSON.stringify(isList(value) ? value.filter((item) => !isMapping(item)).toSorted() : value);
}
