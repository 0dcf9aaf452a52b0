import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import { quoteIdentifier } from '../../src/postgres/quote.ts';
import { connect, type LocalCluster, query } from '../support/cluster.ts';
import { clusterFixture, programTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';
import { everything, seed } from './support/sample.ts';

/**
 * Every string of the spec that reaches SQL, filled with what breaks out of quotes. Whatever a run makes of it, nothing
 * but declared objects appears: above all no role `pwned`, which each text would make if it were ever executed.
 */

const RUNS = everything ? 300 : 30;
const COMMAND = 'CREATE ROLE pwned';

const test = programTest
  .extend('plain', { scope: 'file' }, clusterFixture({ workers: 0, citus: 'none' }))
  .extend('distributed', { scope: 'file' }, clusterFixture({ workers: 1 }))
  .extend('nodes', { scope: 'file' }, ({ plain, distributed }) => () => {
    return [plain, distributed].flatMap((cluster) => cluster.nodes.map(({ group }) => ({ cluster, group })));
  });

test.beforeAll(async ({ nodes }) => {
  // The most dangerous setting, as users may have it in their databases.
  for (const { cluster, group } of nodes()) {
    await query(cluster, group, 'postgres', 'ALTER SYSTEM SET standard_conforming_strings = off');
    await query(cluster, group, 'postgres', 'ALTER SYSTEM SET escape_string_warning = off');
    await query(cluster, group, 'postgres', 'SELECT pg_reload_conf()');
  }
});

/** What ends a literal, an identifier, a dollar quote, an escape, a comment or a statement, and then what it ends with. */
const openings = ["'", '"', "\\'", '$observe$', '$$', '$body$', '*/', "');", '");', "''", 'x', '\n', '%I', '$1', "E'"];
const closings = ['', '--', '/*', "'", '"', '\\', '$observe$', ';', '; --'];
const payload = fc
  .tuple(fc.constantFrom(...openings), fc.constantFrom(';', '', ' ', '"; ', "'; "), fc.constantFrom(...closings))
  .map(([opening, middle, closing]) => `${opening}${middle}${COMMAND}${closing}`);

/** A tame value half of the time, so that runs also get beyond the first string that is refused. */
function or(value: string): fc.Arbitrary<string> {
  return fc.oneof({ weight: 2, arbitrary: payload }, { weight: 3, arbitrary: fc.constant(value) });
}

interface Strings {
  readonly name: string;
  readonly owner: string;
  readonly user: string;
  readonly memberOf: string;
  readonly password: string;
  readonly extension: string;
  readonly version: string;
  readonly extensionSchema: string;
  readonly schema: string;
  readonly parameter: string;
  readonly value: string;
  readonly searchPath: string;
  readonly template: string;
  readonly encoding: string;
  readonly locale: string;
  readonly comment: string;
}

const strings: fc.Arbitrary<Strings> = fc.record({
  name: or('harmless'),
  owner: or('fault_owner'),
  user: or('fault_user'),
  memberOf: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('pg_monitor') }),
  password: or('secret'),
  extension: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('hstore') }),
  version: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('1.8') }),
  extensionSchema: or('public'),
  schema: or('app'),
  parameter: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('application_name') }),
  value: or('tame'),
  searchPath: or('app'),
  template: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('template0') }),
  encoding: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('UTF8') }),
  locale: fc.oneof({ weight: 1, arbitrary: payload }, { weight: 6, arbitrary: fc.constant('C') }),
  comment: or('nothing'),
});

async function apply(cluster: LocalCluster, given: Strings): Promise<Outcome> {
  const passwordFile = path.join(path.dirname(cluster.passwordFile), 'injection-password');
  // Shorter ones are refused.
  await writeFile(passwordFile, given.password.padEnd(8, '-'));
  const database: Document = {
    name: given.name,
    owner: given.owner,
    template: given.template,
    encoding: given.encoding,
    locale: given.locale,
    extensions: [{ name: given.extension, version: given.version, schema: given.extensionSchema }],
    users: [
      { name: given.owner, passwordFile, access: 'owner' },
      {
        name: given.user,
        passwordFile,
        access: 'readOnly',
        memberOf: [given.memberOf],
        parameters: { [given.parameter]: given.value },
      },
    ],
    schemas: [{ name: given.schema, owner: given.owner }],
    parameters: { [given.parameter]: given.value, search_path: given.searchPath },
    // A statement is the user's own SQL; its text, once it is data in the ledger, is not.
    initSQL: `SELECT 1 /* */; SELECT ${`'${given.comment.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`}`,
    maxAttempts: 1,
    retryDelaySeconds: 1,
  };
  return await runProgram(cluster, ['apply'], specOf(cluster, [database]));
}

/** Removes what was declared and returns what is left: on a server that was attacked in vain, nothing. */
async function leftovers(cluster: LocalCluster, group: number, given: Strings): Promise<readonly string[]> {
  const client = await connect(cluster, group, 'postgres');
  try {
    await client.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(given.name)} WITH (FORCE)`);
    for (const role of [given.owner, given.user]) await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(role)}`);
    const { rows } = await client.query<{ found: string }>(`
      SELECT 'role ' || rolname AS found FROM pg_roles WHERE oid >= 16384
      UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')
      UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^(pg_|citus_databases$)'`);
    return rows.map(({ found }) => found);
  } finally {
    await client.end();
  }
}

test('every string of a database, on PostgreSQL itself', { timeout: 1_800_000 }, async ({ plain }) => {
  const codes = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(strings, async (given) => {
      const { code, stderr } = await apply(plain, given);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      const inside = await leftovers(plain, 0, given);
      expect({ inside, stderr }).toEqual({ inside: [], stderr: '' });
    }),
    { numRuns: RUNS, seed },
  );
  console.log(`Hostile strings: seed ${seed}, exit codes and how often:`, Object.fromEntries(codes));
});

test('strings that are fit for PostgreSQL go in as they are', { timeout: 600_000 }, async ({ distributed }) => {
  const tame = { extension: 'hstore', version: '1.8', parameter: 'application_name', template: 'template0' };
  const rest = { encoding: 'UTF8', locale: 'C', memberOf: 'pg_monitor' };
  const hostile = payload.filter((text) => Buffer.byteLength(text) <= 60 && !text.includes('\n'));
  await fc.assert(
    fc.asyncProperty(hostile, hostile, async (first, second) => {
      const given: Strings = {
        ...{ ...tame, ...rest, name: first, owner: `o${first}`, user: `u${first}`, password: second },
        ...{ extensionSchema: second, schema: `s${second}`, value: second, searchPath: quoteIdentifier(second) },
        comment: first,
      };
      const { code, log } = await apply(distributed, given);
      expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
      for (const { group } of distributed.nodes) expect(await leftovers(distributed, group, given)).toEqual([]);
    }),
    { numRuns: Math.ceil(RUNS / 5), seed },
  );
});

test.for(
  ["node'; CREATE ROLE pwned; --", "x'),('y'); CREATE ROLE pwned; --", "a\\'; CREATE ROLE pwned; --"].map((text) =>
    text.replaceAll(' ', '\t'),
  ),
)('a node that is named %j is refused or not found', async (nodeName, { distributed }) => {
  const [coordinator, worker] = distributed.nodes.map(({ group, host, port }) => ({ group, host, port }));
  for (const name of [nodeName, nodeName.replaceAll('\t', '/**/')]) {
    const spec = specOf(distributed, [{ name: 'named', maxAttempts: 1, retryDelaySeconds: 1 }], {
      cluster: { coordinator, workers: [{ ...worker, nodeName: name, nodePort: 1 }] },
    });
    expect([1, 2]).toContain((await runProgram(distributed, ['apply'], spec)).code);
    for (const { group } of distributed.nodes) {
      expect(await query(distributed, group, 'postgres', "SELECT FROM pg_roles WHERE rolname = 'pwned'")).toEqual([]);
    }
  }
});
