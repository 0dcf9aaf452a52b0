import { expect } from 'vitest';
import { quoteIdentifier, quoteLiteral } from '../../src/postgres/quote.ts';
import { catalogsOf } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

/** Any legal name of PostgreSQL is data: as database, owner, schema, through every command. */

const test = clusterTest({ workers: 1 });

test.for([
  'my-db',
  'Üñí',
  'a"b',
  "a'b",
  'a\\b',
  'select',
  ' $1 %I {} ',
  '$observe$; --',
  // 63 bytes, the longest that PostgreSQL keeps.
  `${'é'.repeat(29)}😀-`,
  `x${'é'.repeat(31)}`,
])('%s', async (name, { cluster }) => {
  // Citus deadlocks with itself over tables with the longest names: the array types of their shards get the same name.
  const table = Buffer.byteLength(name) > 40 ? 't' : name;
  const spec = specOf(cluster, [
    {
      name,
      owner: name,
      schemas: [{ name, owner: name }],
      parameters: { search_path: `${quoteIdentifier(name)}, public` },
      initSQL: `CREATE TABLE ${quoteIdentifier(name)}.${quoteIdentifier(table)} (${quoteIdentifier(name)} int);
SELECT create_distributed_table(format('%I.%I', current_database(), ${quoteLiteral(table)}), current_database()::text);`,
    },
  ]);
  async function run(...args: readonly string[]): Promise<Outcome> {
    const outcome = await runProgram(cluster, args, spec);
    return outcome;
  }
  await query(cluster, 0, 'postgres', `CREATE ROLE ${quoteIdentifier(name)} LOGIN PASSWORD 'x'`);

  expect(await run('plan')).toMatchObject({ code: 10 });
  expect(await run('apply')).toMatchObject({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
  const catalogs = await catalogsOf(cluster, name);
  for (const catalog of catalogs) {
    expect(catalog?.owner).toBe(name);
    expect(catalog?.schemas).toContain(`${name} ${name}`);
    expect(catalog?.tables).toHaveLength(1);
    expect(catalog?.parameters).toEqual(catalogs[0]?.parameters);
  }
  expect(await run('apply')).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
  expect(await run('plan')).toMatchObject({ code: 0, log: expect.stringContaining('Nothing to do') });
  expect(await run('verify')).toMatchObject({ code: 0 });
  expect(await run('drop', name, '--confirm', name)).toMatchObject({ code: 0 });
  expect(await catalogsOf(cluster, name)).toEqual([undefined, undefined]);
});

test('names of users that every object of JavaScript has', async ({ cluster }) => {
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty'];
  const { passwordFile } = cluster;
  const users = names.map((name) => ({ name, passwordFile, access: 'readWrite', parameters: { work_mem: '5MB' } }));
  const spec = specOf(cluster, [{ name: 'inherited', users }]);
  for (const [args, code] of [
    [['plan'], 10],
    [['apply'], 0],
    [['plan'], 0],
    [['verify'], 0],
  ] as const) {
    const { log, ...outcome } = await runProgram(cluster, args, spec);
    expect({ args, code: outcome.code, log }).toEqual({ args, code, log: expect.not.stringContaining('defect') });
  }
});
