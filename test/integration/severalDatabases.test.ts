import { afterAll, describe, expect } from 'vitest';
import { type CountingProxy, startProxy } from '../../bench/proxy.ts';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** One run for several databases, which works on some of them at the same time (jobs.mode: single in the chart). */

const test = clusterTest({ workers: 2, serverSettings: { max_worker_processes: '64' } })
  /** A spec that leads through the proxy, while the nodes keep their addresses among themselves. */
  .extend('counted', { scope: 'file' }, ({ cluster }) => (databases: readonly Document[]): Document => {
    const nodes = cluster.nodes.map(({ group, host, port }) => {
      const front = proxy.nodes.find((node) => node.group === group);
      return { group, host: front?.host, port: front?.port, nodeName: host, nodePort: port };
    });
    // The proxy declines TLS, and with `prefer` no password would be sent where the server has it.
    const spec = specOf(cluster, databases, { cluster: { coordinator: nodes[0], workers: nodes.slice(1) } });
    return { ...spec, ssl: { mode: 'disable' } };
  });

let proxy: CountingProxy;

test.beforeAll(async ({ cluster }) => {
  proxy = await startProxy(cluster.nodes);
});

afterAll(async () => {
  await proxy?.close();
});

/** The sections of the log, by their frames: each from its first line to the next one's. */
function sections(log: string): readonly string[] {
  return log.split(/^=+\nCreating database: /m).slice(1);
}

const many = Array.from({ length: 7 }, (_, index) => ({
  name: `many${index}`,
  owner: 'postgres',
  extensions: ['hstore'],
  users: [{ name: 'shared_role', login: false, access: 'readOnly' }],
  initSQL: "CREATE TABLE t (a int);\nSELECT create_distributed_table('t', 'a');",
  parameters: { work_mem: '5MB' },
}));
const names = many.map(({ name }) => name);

describe('databases that are worked on at the same time', () => {
  test('all become ready on servers that never had one, each with its own section in the order of the spec', async ({
    cluster,
    counted,
  }) => {
    const { code, log, stderr } = await runProgram(cluster, ['apply', '--databases-at-once', '3'], counted(many));
    expect({ code, log, stderr }).toEqual({ code: 0, log: expect.any(String), stderr: '' });
    const told = sections(log);
    expect(told.map((section) => section.split('\n')[0])).toEqual(names);
    for (const [index, section] of told.entries()) {
      const of = names[index];
      for (const step of [1, 2, 3, 4, 5, 6, 7, 8]) expect(section).toContain(`\nStep ${step}: `);
      expect(section.trimEnd()).toMatch(new RegExp(`Database '${of}' is ready!\n=+$`));
      for (const other of names.filter((name) => name !== of)) expect(section).not.toContain(other);
    }
    const nodes = ['1 0 node0 t t', '2 1 node1 t t', '3 2 node2 t t'];
    for (const name of names) {
      expect((await catalogsOf(cluster, name)).map((catalog) => catalog?.nodes)).toEqual([nodes, nodes, nodes]);
    }
  });

  test('take two connections to each node for each of them, and one more for initSQL', async () => {
    const peaks = proxy.takePeaks();
    expect([...peaks.keys()].toSorted()).toEqual([0, 1, 2]);
    for (const [group, peak] of peaks) {
      // Three at once, and not one by one.
      expect(peak).toBeGreaterThan(3);
      expect(peak).toBeLessThanOrEqual(group === 0 ? 9 : 6);
    }
  });

  test('change nothing when they are all ready', async ({ cluster }) => {
    const { code, log } = await runProgram(cluster, ['apply', '--databases-at-once', '7'], specOf(cluster, many));
    expect({ code, log }).toEqual({ code: 0, log: expect.any(String) });
    expect(sections(log)).toHaveLength(names.length);
    for (const section of sections(log)) expect(section).toContain('\nNothing was changed\n');
  });

  test.for(['plan', 'verify'])(
    'take one connection each, and one for all, in %s, which keeps their order',
    async (command, { cluster, counted }) => {
      for (const atOnce of [1, 3]) {
        proxy.takePeaks();
        const { code, log } = await runProgram(cluster, [command, '--databases-at-once', `${atOnce}`], counted(many));
        expect({ code, log }).toEqual({ code: 0, log: expect.any(String) });
        expect([...log.matchAll(/^(?:Verifying d|D)atabase '(.*?)'(?! is ready)/gm)].map(([, name]) => name)).toEqual(
          names,
        );
        for (const peak of proxy.takePeaks().values()) {
          expect(peak).toBeGreaterThan(atOnce === 1 ? 1 : 2);
          expect(peak).toBeLessThanOrEqual(1 + atOnce);
        }
      }
    },
  );

  test('are reported in the order of the spec, those that fail among them', async ({ cluster }) => {
    const declared = [...many.slice(0, 2), { name: 'never_made' }, ...many.slice(2)];
    const options = ['--output', 'json', '--databases-at-once', '3'];
    const verify = await runProgram(cluster, ['verify', ...options], specOf(cluster, declared));
    expect(verify.code).toBe(1);
    const report: unknown = JSON.parse(verify.stdout);
    expect(report).toEqual({
      ready: false,
      databases: declared.map(({ name }) => expect.objectContaining({ database: name, ready: name !== 'never_made' })),
    });
    const plan = await runProgram(cluster, ['plan', ...options], specOf(cluster, declared));
    expect(plan.code).toBe(10);
    expect(JSON.parse(plan.stdout)).toMatchObject({
      changes: true,
      databases: declared.map(({ name }) => ({ database: name })),
    });
  });
});

describe('databases that fail', () => {
  const good = ['good1', 'good2', 'good3'].map((name) => ({ name, extensions: ['hstore'] }));
  const [first, ...others] = good;
  const badSql = { name: 'bad_sql', initSQL: "CREATE TABLE before (a int);\nDO 'BEGIN RAISE ''not yet''; END'" };
  const badOwner = { name: 'bad_owner', owner: 'nobody_declared' };

  test('leave the others done; the end names them in the order of the spec, and what may pass counts most', async ({
    cluster,
  }) => {
    const spec = specOf(cluster, [first ?? {}, badSql, badOwner, ...others]);
    const { code, log } = await runProgram(cluster, ['apply', '--databases-at-once', '3'], spec);
    expect({ code, log }).toEqual({ code: 1, log: expect.any(String) });
    for (const { name } of good) expect(log).toContain(`Database '${name}' is ready!`);
    expect(log).not.toContain("Database 'bad_sql' is ready!");
    expect(log).toContain('not yet (SQLSTATE P0001)');
    expect(log.trimEnd()).toMatch(
      /ERROR: 2 of 5 databases are not ready: 'bad_sql', 'bad_owner'\n {2}Next: Look above for the reason of each$/,
    );
    expect(await firstValue(cluster, 0, 'bad_sql', "SELECT to_regclass('before') IS NOT NULL")).toBe(true);
  });

  test('of which none is worth another try end with 2', async ({ cluster }) => {
    const spec = specOf(cluster, [badOwner, ...good]);
    const { code, log } = await runProgram(cluster, ['apply', '--databases-at-once', '4'], spec);
    expect({ code, log }).toEqual({
      code: 2,
      log: expect.stringContaining("1 of 4 databases is not ready: 'bad_owner'"),
    });
    expect(log.match(/^Nothing was changed$/gm)).toHaveLength(3);
  });

  test('of which one is refused end with 3', async ({ cluster }) => {
    const applied = { name: 'edited', initSQL: 'CREATE TABLE one (a int);\nCREATE TABLE two (a int);' };
    expect((await runProgram(cluster, ['apply'], specOf(cluster, [applied]))).code).toBe(0);
    const edited = { ...applied, initSQL: applied.initSQL.replace('one', 'other') };
    const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [badOwner, edited, ...good]));
    expect({ code, log }).toEqual({ code: 3, log: expect.stringContaining("'bad_owner', 'edited'") });
  });
});

test('a signal ends all of them, the log tells how far each was, and the next run goes on from there', async ({
  cluster,
  program,
}) => {
  const waiting = ['slow1', 'slow2', 'slow3'].map((name) => ({ name, initSQL: 'SELECT 1;\nSELECT pg_sleep(600);' }));
  const child = await program.start(cluster, ['apply', '--databases-at-once', '2'], specOf(cluster, waiting));
  const asleep =
    "SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()";
  await expect.poll(() => firstValue(cluster, 0, 'postgres', asleep), { timeout: 120_000 }).toBe(2);
  child.kill('SIGTERM');
  const { code, log } = await child.ended;
  expect({ code, log }).toEqual({ code: 143, log: expect.stringContaining('Stopped by SIGTERM') });
  expect(sections(log).map((section) => section.split('\n')[0])).toEqual(['slow1', 'slow2']);
  for (const section of sections(log)) expect(section).toContain('Step 7: ');
  expect(log).not.toContain('is ready!\n====');

  const awake = waiting.map((database) => ({ ...database, initSQL: 'SELECT 1;\nSELECT 2;' }));
  const again = await runProgram(cluster, ['apply', '--databases-at-once', '2'], specOf(cluster, awake));
  expect(again).toMatchObject({ code: 0, stderr: '' });
  for (const { name } of awake) {
    expect(again.log).toContain(`Database '${name}' is ready!`);
    expect(await firstValue(cluster, 0, name, 'SELECT count(*)::int FROM citus_databases.init_sql')).toBe(2);
  }
});

test.for(['0', '-1', 'two', '1.5', ''])('--databases-at-once %j is wrong usage', async (number, { cluster }) => {
  const { code, stderr } = await runProgram(cluster, ['apply', '--databases-at-once', number], specOf(cluster, many));
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('whole number from 1 on') });
});
