import type { PlainMapping } from './plain.ts';
import { type SpecProblem, show } from './problems.ts';
import { type DatabaseEntry, isAbsent, isList, mappingOr } from './tolerant.ts';

/** initSQLRole: somebody declared has to be able to log in as that role. */
export function initSqlContradictions({ path, fields }: DatabaseEntry, cluster: PlainMapping): readonly SpecProblem[] {
  const given = fields['initSQLRole'];
  if (typeof given !== 'string') return [];
  const at = [...path, 'initSQLRole'];
  const users = isList(fields['users']) ? fields['users'].map(mappingOr) : [];
  const superuser = isAbsent(cluster['user']) ? 'postgres' : cluster['user'];
  const declaredOwner = fields['owner'];
  const owner = isAbsent(declaredOwner)
    ? (users.find((user) => user['access'] === 'owner')?.['name'] ?? 'postgres')
    : declaredOwner;
  const role = given === 'owner' ? owner : given;
  if (typeof role !== 'string') return [];
  if (role === superuser) {
    return [{ path: at, message: `is ${show(role)}, the superuser, as which initSQL runs anyway: leave it out` }];
  }
  const logsIn = users.some(
    (user) =>
      (user['name'] === role || (role === owner && user['access'] === 'owner')) &&
      user['login'] !== false &&
      !isAbsent(user['passwordFile']),
  );
  if (logsIn) return [];
  const message = `is ${show(role)}, as which nobody declared can log in: declare it in users, with a passwordFile`;
  return [{ path: at, message }];
}
