import { Failure } from '../report/errors.ts';
import type { Redactor } from '../report/redact.ts';
import type { Spec } from '../spec/types.ts';
import { readPasswordFile } from './credentials.ts';

/**
 * The passwords of users and of the exporter by role name, each file read once, before anything is connected to: a file that is missing or
 * empty is found now. All faulty ones are told at once.
 */
export async function readUserPasswords(
  spec: Pick<Spec, 'cluster' | 'databases'>,
  redactor: Redactor,
): Promise<ReadonlyMap<string, string>> {
  const passwords = new Map<string, string>();
  const failures = new Map<string, Failure>();
  const { exporter } = spec.cluster;
  const users = spec.databases.flatMap((database) => database.users);
  for (const { name, passwordFile } of exporter === undefined ? users : [...users, exporter]) {
    if (passwordFile === undefined || passwords.has(name) || failures.has(name)) continue;
    try {
      passwords.set(name, await readPasswordFile(passwordFile, redactor));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failures.set(name, error);
    }
  }
  if (failures.size > 0) throw unreadable(failures);
  return passwords;
}

function unreadable(failures: ReadonlyMap<string, Failure>): Failure {
  const lines = [...failures].map(([name, { details }]) => {
    const cause = details.cause === undefined ? '' : `: ${details.cause}`;
    return `role '${name}': ${details.what}${cause}`;
  });
  return new Failure({
    kind: 'invalid',
    what: `${failures.size === 1 ? 'The password of 1 user' : `The passwords of ${failures.size} users`} cannot be read`,
    cause: lines.join('\n'),
    next: 'Put each password, and nothing else, into its file, readable for the user that runs this program. Nothing was changed',
  });
}
