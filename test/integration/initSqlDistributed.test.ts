import { expect } from 'vitest';
import { list } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf } from '../support/program.ts';

/** DDL on tables of Citus, which hands the text of a message on to the workers. Only Citus itself can tell. */

const test = clusterTest({ workers: 2 });

test.beforeAll(async ({ cluster }) => {
  for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', 'CREATE ROLE shop_owner');
});

const TABLES = `CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, note text);
SELECT create_distributed_table('orders', 'id');
CREATE TABLE countries (code text PRIMARY KEY, name text);
SELECT create_reference_table('countries');
CREATE TABLE events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT create_distributed_table('events', 'id');
`;

test.for([
  ['orders', 'id', 'customer'],
  ['countries', 'code', 'name'],
])('DDL on %s', async ([table, key, column], { cluster }) => {
  const name = `ddl_on_${table}`;
  const initSQL = `${TABLES}
CREATE INDEX by_${column} ON ${table} (${column});
CREATE INDEX ON ${table} (${column});
ALTER INDEX by_${column} RENAME TO of_${column};
REINDEX INDEX of_${column};
REINDEX TABLE ${table};
DROP INDEX of_${column};
ALTER TABLE ${table} ADD COLUMN amount int;
ALTER TABLE ${table} ALTER COLUMN amount TYPE bigint;
ALTER TABLE ${table} RENAME COLUMN amount TO total;
ALTER TABLE ${table} ADD CONSTRAINT positive CHECK (total > 0);
ALTER TABLE ${table} DROP CONSTRAINT positive;
ALTER TABLE ${table} ADD CONSTRAINT once UNIQUE (${key}, total);
ALTER TABLE ${table} OWNER TO shop_owner;
CLUSTER ${table} USING ${table}_pkey;
ALTER TABLE ${table} RENAME TO ${table}_renamed;
CREATE TABLE events_2026 (id bigint, at date NOT NULL);
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE events DETACH PARTITION events_2026;
CREATE INDEX ON events (at);`;
  const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [{ name, initSQL }]));
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
  const indexes = `SELECT DISTINCT regexp_replace(indexname, '_\\d{6}$', '') FROM pg_indexes WHERE tablename ~ '^${table}'`;
  expect(await list(cluster, 0, name, indexes)).toEqual([`${table}_${column}_idx`, `${table}_pkey`, 'once'].toSorted());
  if (cluster.kind !== 'real') return;
  const shards = `SET citus.override_table_visibility = off;
    SELECT DISTINCT regexp_replace(relname, '_\\d{6}$', '') FROM pg_class WHERE relkind = 'i' AND relname ~ '^(once|${table})'`;
  expect(await list(cluster, 1, name, shards)).toEqual(expect.arrayContaining(['once', `${table}_${column}_idx`]));
});
