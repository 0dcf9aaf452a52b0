/**
 * An address that the nodes use among themselves, and that leads to a standby since the workers were registered: the
 * program's own connections and every catalog look as they should, and only the proof from node to node can tell.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect } from 'vitest';
import { type Address, startAddress } from '../support/address.ts';
import { nodeOf, query } from '../support/cluster.ts';
import { clusterFixture, clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

/** Of the nodes and of the standby. */
const PASSWORD = `It's "one" of \\ both`;

const test = clusterTest({ workers: 2, password: PASSWORD })
  .extend('elsewhere', { scope: 'file' }, clusterFixture({ workers: 0, password: PASSWORD }))
  .extend('makeStandby', { scope: 'file' }, ({ elsewhere }) => async (): Promise<number> => {
    const server = nodeOf(elsewhere, 0);
    await query(elsewhere, 0, 'postgres', 'CREATE DATABASE moved');
    // With TLS from here on, as Citus' nodes have it among themselves.
    await query(elsewhere, 0, 'moved', 'CREATE EXTENSION citus');
    await server.stop();
    await writeFile(path.join(server.dataDirectory, 'standby.signal'), '');
    await server.start();
    return server.port;
  })
  .extend('run', { scope: 'file' }, ({ cluster }) => async (command: 'apply' | 'verify'): Promise<Outcome> => {
    const workers = [1, 2].map((group) => {
      const { host, port } = nodeOf(cluster, group);
      return { group, host, port, ...(group === 1 ? { nodeName: '127.0.0.1', nodePort: address.port } : {}) };
    });
    const spec = specOf(cluster, [{ name: 'moved' }], { cluster: { workers } });
    const outcome = await runProgram(cluster, [command], spec);
    return { ...outcome, log: outcome.log.replaceAll(`127.0.0.1:${address.port}`, 'ADDRESS') };
  });

let address: Address;

test.beforeAll(async ({ cluster }) => {
  address = await startAddress(nodeOf(cluster, 1).port);
});

afterAll(async () => {
  address?.stop();
});

test('nobody says "ready" while a worker cannot be written to from the other nodes', async ({
  cluster,
  makeStandby,
  run,
}) => {
  expect(await run('apply')).toMatchObject({ code: 0 });
  address.leadTo(await makeStandby());
  for (const command of ['apply', 'verify'] as const) {
    const { code, log } = await run(command);
    expect({ code, log }).toEqual({ code: 1, log: expect.stringContaining("database 'moved' is not ready") });
    expect(log.match(/\S+ reaches a standby at .*/g)).toEqual(
      ['node0', 'ADDRESS', 'node2'].map((node) => `${node} reaches a standby at ADDRESS, which takes no writes`),
    );
  }
  address.leadTo(nodeOf(cluster, 1).port);
  const { code, log } = await run('apply');
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('Nothing was changed') });
});

test('nobody says "ready" while the coordinator works with another server than this program', async ({
  cluster,
  run,
}) => {
  expect(await run('apply')).toMatchObject({ code: 0 });
  // A server that can be written to, with a database of that name: what an old primary would be.
  address.leadTo(nodeOf(cluster, 2).port);
  try {
    for (const command of ['apply', 'verify'] as const) {
      const { code, log } = await run(command);
      expect({ code, log }).toEqual({
        code: 1,
        log: expect.stringContaining('the coordinator reaches another server at ADDRESS than this program at '),
      });
    }
  } finally {
    address.leadTo(nodeOf(cluster, 1).port);
  }
});
