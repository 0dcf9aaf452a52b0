import { expect } from 'vitest';
import { connect } from '../../src/postgres/connection.ts';
import { classify, describe } from '../../src/postgres/sqlstate.ts';
import { loadAccess } from '../../src/secrets/credentials.ts';
import { parseSpec } from '../../src/spec/parse.ts';
import { clusterSpec } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';

const test = clusterTest({ workers: 0, citus: 'none' }).extend('plain', { scope: 'file' }, ({ cluster }) => () => {
  const { coordinator, passwordFile } = clusterSpec(cluster);
  return { coordinator: { group: 0, host: coordinator.host, port: coordinator.port }, passwordFile };
});

test('keeps the warnings that came before an error: Citus tells the reason only there', async ({ plain }) => {
  const spec = parseSpec(JSON.stringify({ cluster: { citus: false, ...plain() }, databases: [{ name: 'x' }] }), 'test');
  const session = await connect({ node: spec.cluster.coordinator, database: 'postgres' }, await loadAccess(spec));
  try {
    const fail = (warning: string) =>
      session
        .script(`DO $$ BEGIN RAISE WARNING '${warning}'; RAISE 'failure on connection' USING ERRCODE = 'XX000'; END $$`)
        .catch((error: unknown) => error);
    const passing = await fail('tuple concurrently updated');
    expect(classify(passing)).toBe('transient');
    expect(describe(passing)).toBe('failure on connection (SQLSTATE XX000)\nWARNING: tuple concurrently updated');
    expect(describe(passing, { detail: false })).toBe('failure on connection (SQLSTATE XX000)');
    expect(classify(await fail('something else'))).toBe('permanent');
  } finally {
    await session.close();
  }
});
