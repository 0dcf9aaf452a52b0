import { expect } from 'vitest';
import { connect } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { specOf } from '../support/program.ts';

/** What the log says while a statement of initSQL waits, for those who look at it then. */

const test = clusterTest({ workers: 1 });

test('a statement that waits for a lock: every half minute the log says for whom, until it goes on', async ({
  cluster,
  program,
}) => {
  const table = 'CREATE TABLE items (id bigint PRIMARY KEY);';
  const first = await program.run(cluster, ['apply'], specOf(cluster, [{ name: 'shop', initSQL: table }]));
  expect(first.code, first.log).toBe(0);
  const holder = await connect(cluster, 0, 'shop');
  try {
    await holder.query("SET application_name = 'report'; BEGIN; SELECT FROM items");
    const initSQL = `${table}\nALTER TABLE items ADD COLUMN name text;`;
    const child = await program.start(cluster, ['apply'], specOf(cluster, [{ name: 'shop', initSQL }]));
    await child.printed('Still at it');
    await holder.query('COMMIT');
    const { code, log } = await child.ended;
    expect(code, log).toBe(0);
    expect(log).toMatch(
      / {2}Line 2: ALTER TABLE items ADD COLUMN name text\n {4}Still at it after \d+ s: waits for AccessExclusiveLock on relation \d+ \(SELECT \d+::regclass\) that process PID \(postgres, report\) holds; to end it: SELECT pg_terminate_backend\(\d+\)\n/,
    );
    expect(log).toContain("Database 'shop' is ready!");
  } finally {
    await holder.end();
  }
});
