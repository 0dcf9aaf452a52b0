import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { query } from '../support/cluster.ts';
import type { Outcome } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import type { Scene } from './support/laboratory.ts';
import { operators, overloads, shadows } from './support/names.ts';
import { BAITS } from './support/objects.ts';

/**
 * The owner of a database, all of whose traps are set at the same time, before every command runs. Each trap is shown to
 * work first: a superuser who is careless springs it.
 */

interface Attack {
  /** Also the trap's name. */
  readonly name: string;
  /** Where it is planted; default: on every node. */
  readonly groups?: readonly number[];
  readonly plant: (trap: string, scene: Scene) => string;
  /** What a careless superuser would do. */
  readonly provoke: string;
  readonly provokedOn?: number;
}

const ATTACKS: readonly Attack[] = [
  ...BAITS.map((bait) => ({ ...bait, groups: [0] })),
  {
    name: 'overloads of the functions that Citus calls between nodes',
    plant: (trap) => overloads(trap),
    provoke: "SELECT worker_apply_shard_ddl_command(102044, 'SELECT 1')",
  },
  {
    name: 'operators that fit better',
    plant: (trap) => operators(trap),
    provoke: "SELECT 'a'::text || 1",
  },
  {
    name: 'a search_path of the database with a schema of hers first',
    plant: (trap, { database }) => `${shadows('evil', trap)}
      ALTER DATABASE ${database} SET search_path = evil, pg_catalog, public;`,
    provoke: 'SET search_path = evil, pg_catalog; SELECT pg_is_in_recovery()',
  },
];

const test = laboratoryTest;
let scene: Scene;
let powers: unknown;
const provoked = new Map<string, readonly string[]>();
const runs: Outcome[] = [];
let joining: Outcome;
let sprung: readonly string[] = [];

function trapName(attack: Attack): string {
  return attack.name.replaceAll(/\W+/g, '_');
}

test.beforeAll(async ({ laboratory }) => {
  const { cluster } = laboratory;
  scene = await laboratory.scene('shop', { groups: [0, 1], more: { workerGroups: [1] } });
  await scene.asClient(`CREATE TABLE orders (id int); SELECT create_distributed_table('orders', 'id')`);
  powers = await laboratory.powers();
  for (const attack of ATTACKS) {
    const trap = scene.trap(trapName(attack));
    for (const group of attack.groups ?? [0, 1]) await scene.asMallory(group, attack.plant(trap, scene));
    await scene
      .provoke(attack.provokedOn ?? attack.groups?.[0] ?? 0, `SET search_path = public, pg_catalog; ${attack.provoke}`)
      .catch(() => undefined);
    provoked.set(attack.name, await scene.sprung());
  }
  for (const { group } of cluster.nodes) {
    await query(
      cluster,
      group,
      'postgres',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'",
    );
  }
  runs.push(await scene.run(['wait']));
  runs.push(await scene.run(['plan']));
  runs.push(await scene.run(['verify']));
  const changed = { schemas: [{ name: 'analytics' }], parameters: { work_mem: '8MB' } };
  runs.push(await scene.run(['apply'], { workerGroups: [1], ...changed }));
  runs.push(await scene.run(['verify'], { workerGroups: [1] }));
  // Citus would make her objects on the new worker as superuser, and run what they call (carried.test.ts).
  joining = await scene.run(['apply'], { workerGroups: [1, 2], ...changed });
  // Two rounds of Citus' daemons, which look for deadlocks between nodes.
  await sleep(5_000);
  sprung = await scene.sprung();
});

test.each(ATTACKS)('$name', (attack) => {
  expect(provoked.get(attack.name)).toContain(trapName(attack));
  expect(sprung).not.toContain(trapName(attack));
});

test('nobody gained anything, and the program did its work', async ({ laboratory }) => {
  expect(sprung).toEqual([]);
  expect(await laboratory.powers()).toEqual(powers);
  const codes = runs.map(({ code, stdout, stderr }) => ({ code, text: stdout + stderr }));
  expect(codes).toEqual([0, 0, 0, 0, 0].map((code) => ({ code, text: expect.any(String) })));
  expect({ code: joining.code, text: joining.stdout + joining.stderr }).toEqual({
    code: 3,
    text: expect.stringMatching(/give it to a superuser[\s\S]*Nothing was changed/),
  });
});

test('a view in the place of a shard', async ({ skip, laboratory }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in has no shards');
  const own = await laboratory.scene('shards');
  await own.asClient("CREATE TABLE orders (id int); SELECT create_distributed_table('orders', 'id')");
  await own.asMallory(
    1,
    `SET citus.enable_manual_changes_to_shards = on;
    SET citus.override_table_visibility = off;
    DO $make$ DECLARE shard text; BEGIN
      FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^orders_\\d+$' LOOP
        EXECUTE pg_catalog.format('DROP TABLE public.%I', shard);
        EXECUTE pg_catalog.format('CREATE VIEW public.%I AS SELECT 1 AS id WHERE %s', shard, $t$${own.trap('shard')}$t$);
      END LOOP;
    END $make$`,
  );
  await own.provoke(0, 'SELECT count(*) FROM public.orders');
  expect(await own.sprung()).toEqual(['shard']);
  for (const command of ['plan', 'apply', 'verify']) await own.run([command]);
  expect(await own.sprung()).toEqual([]);
});
