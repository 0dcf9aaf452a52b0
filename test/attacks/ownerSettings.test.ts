import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { assignment, settingsOf, type Value } from '../integration/support/settings.ts';
import { startAddress } from '../support/address.ts';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { runProgram, specOf } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, PASSWORD } from './support/laboratory.ts';

/**
 * An owner sets whatever Citus lets her set for her database: no command says anything else, nor takes longer. What a
 * database or a role may set otherwise is in test/integration/everySetting.test.ts.
 */

const test = laboratoryTest;

/** Told by name, and refused by `apply`, `plan` and `verify` (everySetting.test.ts). */
const REFUSED = new Set(['citus.enable_metadata_sync', 'citus.hide_citus_dependent_objects']);
const TOO_SHORT = 10;

const LONGEST_MS = 60_000;
const DRAIN = ['drain', '2', '--transfer-mode', 'block_writes'];
const REBALANCE = ['rebalance', 'hostile', '--transfer-mode', 'block_writes'];
const COMMANDS = [['apply'], REBALANCE, ['verify'], ['plan'], DRAIN];

test('no setting of Citus that an owner may give her database changes a command', { timeout: 900_000 }, async ({
  skip,
  laboratory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no settings');
  const own = await laboratory.scene('hostile');
  await own.asClient(
    "CREATE TABLE orders (id int PRIMARY KEY); SELECT create_distributed_table('orders', 'id', shard_count => 4)",
  );
  const superuser = await connect(cluster, 0, 'hostile');
  const settings = (await settingsOf(superuser)).filter(({ name }) => name.startsWith('citus.'));
  await superuser.end();

  const outcomes = async (round: number) => {
    const more = { users: [own.user], schemas: [`round_${round}`] };
    const spec = specOf(cluster, [{ name: 'hostile', ...more }]);
    const found: unknown[] = [];
    for (const args of COMMANDS) {
      const over = new AbortController();
      const late = sleep(LONGEST_MS, 'SIGTERM' as const, { signal: over.signal }).catch(
        () => new Promise<never>(() => undefined),
      );
      const { code, log } = await runProgram(cluster, args, spec, late);
      over.abort();
      found.push(`${args.join(' ')}: ${code === 0 ? 'done' : log}`);
      if (code !== 0) break;
    }
    await query(cluster, 2, 'postgres', 'DROP DATABASE hostile WITH (FORCE)');
    await own.run(['apply']);
    return found;
  };
  const undisturbed = COMMANDS.map((args) => `${args.join(' ')}: done`);
  expect(await outcomes(0)).toEqual(undisturbed);

  const rounds = Math.max(...settings.map(({ values }) => values.length));
  const taken = new Set<string>();
  for (let round = 1; round <= rounds; round += 1) {
    const values = settings.flatMap(({ name, values: all }): readonly Value[] => {
      const value = all.at(-round);
      const isRefused = REFUSED.has(name) || (name === 'citus.node_connection_timeout' && Number(value) <= TOO_SHORT);
      return value === undefined || isRefused ? [] : [{ name, value }];
    });
    for (const { group } of cluster.nodes) {
      const mallory = await connect(cluster, group, 'hostile', { name: MALLORY, password: PASSWORD });
      await mallory.query('SET citus.enable_ddl_propagation = off');
      for (const value of values) {
        const set = mallory.query(`ALTER DATABASE hostile ${assignment(value)}`);
        await set.then(
          () => taken.add(value.name),
          () => undefined,
        );
      }
      await mallory.end();
    }
    expect(await outcomes(round)).toEqual(undisturbed);
    for (const { group } of cluster.nodes) await own.provokeIn('postgres', group, 'ALTER DATABASE hostile RESET ALL');
  }
  console.log(`${taken.size} settings of Citus, in ${rounds} rounds`);
  expect(taken.size).toBeGreaterThan(60);
});

/** What Citus takes for a connection that is not opened: 30 s, and an owner may say an hour. */
test('a worker that lets its neighbours in and says nothing: named as soon as without her setting', {
  timeout: 300_000,
}, async ({ skip, laboratory }) => {
  const { cluster, passwordFile } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in has no settings');
  const address = await startAddress(nodeOf(cluster, 1).port);
  try {
    const workers = [1, 2].map((group) => {
      const { host, port } = nodeOf(cluster, group);
      return { group, host, port, ...(group === 1 ? { nodeName: '127.0.0.1', nodePort: address.port } : {}) };
    });
    const user = { name: MALLORY, passwordFile, access: 'owner' };
    const spec = specOf(cluster, [{ name: 'silent', users: [user] }], { cluster: { workers } });
    expect(await runProgram(cluster, ['apply'], spec)).toMatchObject({ code: 0 });
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', "ALTER DATABASE silent SET citus.node_connection_timeout = '1h'");
    }
    address.silence();
    const late = sleep(90_000, 'SIGTERM' as const);
    const { code, log, milliseconds } = await runProgram(cluster, ['verify'], spec, late);
    expect({ code, log }).toEqual({ code: 1, log: expect.stringContaining("database 'silent' is not ready") });
    expect(milliseconds).toBeLessThan(60_000);
  } finally {
    address.stop();
  }
});
