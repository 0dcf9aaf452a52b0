/** The databases of the chart's examples on a local cluster, as their Jobs apply them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect } from 'vitest';
import { parse } from 'yaml';
import { connect, query } from '../support/cluster.ts';
import { root } from '../support/documents.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-examples-'));
const test = clusterTest({ workers: 2 });

afterAll(async () => {
  rmSync(folder, { recursive: true });
});

/** The chart gives `generate: true` a file (test/chart/users.test.ts). */
function databasesOf(example: string): readonly Document[] {
  const text = readFileSync(path.join(root, 'chart', example), 'utf8');
  const { additionalDatabases } = parse(text, (key, value: unknown) => {
    if (key !== 'users' || !Array.isArray(value)) return value;
    return value.map(({ generate, ...user }: Document) => {
      if (generate !== true) return user;
      const passwordFile = path.join(folder, String(user['name']));
      writeFileSync(passwordFile, `secret of ${user['name']}`, { mode: 0o600 });
      return { ...user, passwordFile };
    });
  });
  return additionalDatabases;
}

test('users: each of them does what its access says, through every node', async ({ cluster }) => {
  const spec = specOf(cluster, databasesOf('values.example-users.yaml'));
  const { code, log, stderr } = await runProgram(cluster, ['apply'], spec);
  expect({ code, log: log + stderr }).toEqual({ code: 0, log: expect.stringContaining("Database 'orders' is ready!") });
  const insert = async (group: number, name: string, customer: number) => {
    const client = await connect(cluster, group, 'orders', { name, password: `secret of ${name}` });
    try {
      await client.query('INSERT INTO customers VALUES ($1, $2)', [customer, name]);
      await client.query('INSERT INTO orders (customer_id) VALUES ($1)', [customer]);
    } finally {
      await client.end();
    }
  };
  for (const group of [0, 1, 2]) {
    await insert(group, 'orders', 2 * group);
    await insert(group, 'api', 2 * group + 1);
    await expect(insert(group, 'reports', 100)).rejects.toThrow('permission denied');
    const client = await connect(cluster, group, 'orders', { name: 'reports', password: 'secret of reports' });
    const { rows } = await client.query(
      'SELECT count(*)::int AS orders FROM orders JOIN customers USING (customer_id)',
    );
    expect(rows).toEqual([{ orders: 2 * (group + 1) }]);
    await client.end();
  }
  expect(await query(cluster, 0, 'orders', 'SHOW timezone')).toEqual([{ TimeZone: 'UTC' }]);
});
