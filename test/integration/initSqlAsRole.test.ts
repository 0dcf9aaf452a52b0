import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf } from '../support/program.ts';

/** Citus connects to the workers as the role that the session has taken, and as the owner of a table, while initSQL runs. */

const test = clusterTest({ workers: 1 });

const MAKE_ROLE = (role: string) => `
  CREATE ROLE ${role} LOGIN PASSWORD 'made-by-the-script';
  INSERT INTO pg_dist_authinfo VALUES (0, '${role}', 'password=made-by-the-script');
  GRANT CREATE ON SCHEMA public TO ${role};`;
const DISTRIBUTE = "SELECT create_distributed_table('made', 'a', shard_count => 2); INSERT INTO made VALUES (1), (2);";

test.for([
  ['taken', 'SET ROLE taken; CREATE TABLE made (a int);'],
  ['given', 'CREATE TABLE made (a int); ALTER TABLE made OWNER TO given;'],
] as const)(
  'a new database, a role that the script makes: %s',
  { timeout: 100_000 },
  async ([role, make], { cluster, skip }) => {
    skip(cluster.kind !== 'real', 'the stand-in connects to no worker');
    const initSQL = `${MAKE_ROLE(role)} ${make} ${DISTRIBUTE}`;
    const entry = { name: `by_${role}`, initSQL, maxAttempts: 5, retryDelaySeconds: 1 };
    const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [entry]));
    expect({ code, failed: code === 0 ? '' : log.slice(log.indexOf('Step 7')) }).toEqual({ code: 0, failed: '' });
    expect(await firstValue(cluster, 0, entry.name, 'SELECT count(*)::int FROM public.made')).toBe(2);
  },
);
