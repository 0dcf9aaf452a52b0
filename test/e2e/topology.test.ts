/** Nodes that come and go: a worker group added later, leaders that die or hand over, during a Job and after it. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { eventually } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const distributed = "CREATE TABLE events (id bigint PRIMARY KEY);\nSELECT create_distributed_table('events', 'id');\n";
const databases = { everywhere: { initSQL: distributed }, first_only: { workerGroups: ['1'], initSQL: distributed } };
const slow = {
  backoffLimit: 3,
  initSQL: [
    'CREATE TABLE before_it (id serial PRIMARY KEY, at timestamptz DEFAULT now());',
    'INSERT INTO before_it DEFAULT VALUES;',
    'SELECT pg_sleep(25);',
    'CREATE TABLE after_it (id bigint PRIMARY KEY);',
    'INSERT INTO before_it DEFAULT VALUES;',
  ].join('\n'),
};

describe('a cluster whose nodes change', () => {
  let release: Release;
  const nodes = (database: string) =>
    release.sql(0, database, "SELECT string_agg(groupid || ':' || nodename, ' ' ORDER BY groupid) FROM pg_dist_node");

  beforeAll(async () => {
    release = await createRelease('topology');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 300_000);

  step('install: two pods in each group', 300, async () => {
    const outcome = await release.helm('install', [], {
      ...smallCluster({ replicas: [2, 2] }),
      additionalDatabases: databases,
    });
    expect(outcome.code, outcome.stderr).toBe(0);
    await release.ready({ 0: 2, 1: 2 });
    for (const database of Object.keys(databases)) {
      await release.sql(0, database, 'INSERT INTO events SELECT generate_series(1, 100)');
    }
  });

  step('a worker group added: it joins the database that takes all workers, and no other', 240, async () => {
    const values = smallCluster({ replicas: [2, 2, 1] });
    const outcome = await release.helm('upgrade', ['--reuse-values'], { workers: values['workers'] });
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(await nodes('everywhere')).toBe('0:citusdemo-0 1:citusdemo-1 2:citusdemo-2');
    expect(await nodes('first_only')).toBe('0:citusdemo-0 1:citusdemo-1');
    await release.ready({ 0: 2, 1: 2, 2: 1 });
  });

  step(
    "the coordinator's leader deleted while the Job runs: no statement is lost, none runs twice",
    420,
    async (note) => {
      const upgrading = release.helm('upgrade', ['--reuse-values'], { additionalDatabases: { slow } });
      const sleeping =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(25)%' AND pid <> pg_backend_pid()";
      await eventually('the Job executes the slow statement', 120_000, async () =>
        (await release.sql(0, 'slow', sleeping)) === '0' ? undefined : true,
      );
      const victim = await release.leader(0);
      await release.kubectl('delete', 'pod', victim, '--grace-period=0', '--force');
      const outcome = await upgrading;
      expect(outcome.code, outcome.stderr).toBe(0);
      note(`deleted ${victim}; ${await release.leader(0)} leads now`);
      expect(await release.sql(0, 'slow', 'SELECT count(*) FROM before_it')).toBe('2');
      expect(await release.sql(0, 'slow', 'SELECT count(*) FROM after_it')).toBe('0');
      // As documented, and as the newest pod has it, should there be several.
      expect(await release.kubectl('logs', 'job/citusdemo-create-db-slow')).toContain("Database 'slow' is ready!");
      expect(await release.jobLog('slow')).toContain("Database 'slow' is ready!");
      await release.ready({ 0: 2, 1: 2, 2: 1 });
    },
  );

  for (const group of [0, 1]) {
    step(`switchover of group ${group}, then a write through each database`, 180, async (note) => {
      const before = await release.leader(group);
      const metadata = await Promise.all(['everywhere', 'first_only'].map(nodes));
      // A standby has to count as synchronous before Patroni lets it take over.
      await eventually('switchover', 90_000, async () => {
        await release.kubectl(
          ...['exec', before, '-c', 'postgresql', '--'],
          ...['patronictl', 'switchover', '--group', String(group), '--force', 'citusdemo'],
        );
        return true;
      });
      const start = performance.now();
      for (const database of ['everywhere', 'first_only']) {
        await eventually(`a write through ${database}`, 90_000, async () => {
          await release.sql(0, database, `INSERT INTO events SELECT max(id) + 1 FROM events`);
          return true;
        });
      }
      note(`writes through both databases ${((performance.now() - start) / 1000).toFixed(1)} s after the switchover`);
      await eventually('another leader', 60_000, async () =>
        (await release.leader(group)) === before ? undefined : true,
      );
      expect(await Promise.all(['everywhere', 'first_only'].map(nodes))).toEqual(metadata);
      await release.ready({ 0: 2, 1: 2, 2: 1 });
    });
  }

  step("a shard move's slot in an additional database survives Patroni", 120, async () => {
    const slot = 'citus_shard_move_slot_1_1_10';
    await release.sql(1, 'everywhere', `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const leader = await release.leader(1);
    const patronictl = ['exec', leader, '-c', 'postgresql', '--', 'patronictl'];
    await release.kubectl(...patronictl, 'reload', '--group', '1', '--force', 'citusdemo');
    // Patroni looks at the slots in each of its loops, which take 10 s.
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    expect(await release.leader(1)).toBe(leader);
    expect(
      await release.sql(1, 'everywhere', 'SELECT slot_name FROM pg_replication_slots WHERE database IS NOT NULL'),
    ).toBe(slot);
    await release.sql(1, 'everywhere', `SELECT pg_drop_replication_slot('${slot}')`);
  });

  step('after all of it nothing needs repair: plan is empty, verify proves every database', 180, async () => {
    const plan = await release.script('run-in-cluster', ['citusdemo', 'plan']);
    expect(plan.code, plan.stdout + plan.stderr).toBe(0);
    const verify = await release.script('run-in-cluster', ['citusdemo', 'verify']);
    expect(verify.code, verify.stdout + verify.stderr).toBe(0);
    for (const database of ['everywhere', 'first_only']) {
      expect(Number(await release.sql(0, database, 'SELECT count(*) FROM events'))).toBeGreaterThanOrEqual(102);
    }
  });
});
