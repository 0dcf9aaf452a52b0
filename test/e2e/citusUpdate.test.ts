/**
 * The image with a newer Citus, by `helm upgrade`, under a client that writes all the time: every database is updated on all
 * nodes, and a rollback to the old image is refused. E2E_CITUS_UPDATE names both images, for instance
 * "patroni-citus-k8s:13.2 patroni-citus-k8s:14.1", of one major version of PostgreSQL (docs/VERSIONS.md); without it, nothing
 * is run. With a third one, of another major version: that image is refused.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { attempt, eventually } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';
import { startWriter, type Writer, type Written } from './support/writer.ts';

type Values = Readonly<Record<string, unknown>>;

const [OLD = '', NEW = '', OTHER_MAJOR] = (process.env['E2E_CITUS_UPDATE'] ?? '').split(/\s+/);
const DATABASES = ['citus', 'shop', 'legacy'];
const GROUPS = [0, 1];

/** A standby in the coordinator's group, which leads after the rollout; the worker's only server restarts. */
function values(image: string): Values {
  const [, repository, tag] = /^(.+):([^:/]+)$/.exec(image) ?? [];
  const initSQL =
    "CREATE TABLE writes (number bigint, name text);\nSELECT create_distributed_table('writes', 'number', shard_count => 4);";
  const patience = { maxAttempts: 120, retryDelaySeconds: 5 };
  return {
    ...smallCluster({ replicas: [2, 1] }),
    // The writer is the superuser with its password.
    ssl: { enabled: false },
    image: { repository, tag },
    additionalDatabases: { shop: { initSQL, ...patience }, legacy: patience },
  };
}

describe.skipIf(NEW === '')('the image with a newer Citus', () => {
  let release: Release;
  let writer: Writer;
  let written: Written | undefined;
  let before: Readonly<Record<string, readonly string[]>>;

  beforeAll(async () => {
    release = await createRelease('citus-update');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 300_000);

  /** By database, of the coordinator and the worker. */
  async function versions(): Promise<Readonly<Record<string, readonly string[]>>> {
    const found: Record<string, string[]> = {};
    for (const database of DATABASES) {
      found[database] = [];
      for (const group of GROUPS) {
        const sql = "SELECT extversion FROM pg_extension WHERE extname = 'citus'";
        found[database].push(await release.sql(group, database, sql));
      }
    }
    return found;
  }

  /** The servers with their identities and images. */
  async function pods(): Promise<string> {
    const fields = 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.spec.containers[0].image}{"\\n"}{end}';
    return await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', fields);
  }

  async function guardLog(): Promise<string> {
    return await release.kubectl('logs', 'job/citusdemo-guard-image', '-c', 'citus-databases');
  }

  step('install the old one, and write', 600, async (note) => {
    const { code, stderr } = await release.helm('install', [], values(OLD));
    expect(code, stderr).toBe(0);
    await release.ready({ 0: 2, 1: 1 });
    before = await versions();
    note(`${OLD}: ${JSON.stringify(before)}`);
    writer = await startWriter(release, 0, 'shop');
  });

  step('helm upgrade: each database is updated on each node, after the last pod was replaced', 900, async (note) => {
    const start = performance.now();
    const { code, stderr } = await release.helm('upgrade', [], values(NEW));
    note(`helm upgrade: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    const log = await release.jobLog('shop');
    expect(code, stderr + log).toBe(0);
    // The race: the Job began while servers ran the old image, all alike.
    expect(log).toMatch(/Waiting for pods with .*citusdemo-0-0 runs/);
    expect(log).toContain("Database 'shop' is ready!");
    const newest = await release.sql(
      ...([0, 'shop', "SELECT default_version FROM pg_available_extensions WHERE name = 'citus'"] as const),
    );
    expect(newest).not.toBe(before['shop']?.[0]);
    expect(await versions()).toEqual(Object.fromEntries(DATABASES.map((name) => [name, [newest, newest]])));
    for (const database of DATABASES) {
      const sql = "SELECT metadata->>'last_upgrade_version' FROM pg_dist_node_metadata";
      expect(await release.sql(0, database, sql), database).toBe(newest);
    }
    for (const pod of (await pods()).trim().split('\n')) expect(pod.split(' ').at(-1)).toBe(NEW);
  });

  step('workers before the coordinator, then the end of the upgrade', 60, async () => {
    for (const database of ['shop', 'legacy']) {
      const log = await release.jobLog(database);
      const own = log.slice(log.indexOf(`Creating database: ${database}`));
      const places = [
        /Updating Citus extension on citusdemo-1 from/,
        /Updating Citus extension on (citusdemo-0|coordinator) from/,
        /Finishing the upgrade of Citus from/,
      ].map((line) => own.search(line));
      expect(places, log).toEqual(places.toSorted((left, right) => left - right));
      expect(Math.min(...places), log).toBeGreaterThan(-1);
    }
  });

  step('the client: no acknowledged row is lost, and writes were interrupted for seconds', 180, async (note) => {
    written = await writer.finish();
    note(
      `longest gap between two acknowledged writes: ${written.longestGap.toFixed(1)} s (usual: ${written.usualGap.toFixed(3)} s)`,
    );
    note(`failures: ${written.failures.length}; ${[...new Set(written.failures)].slice(0, 6).join(' | ')}`);
    const kept = await release.sql(0, 'shop', 'SELECT number FROM writes');
    const numbers = new Set(kept.split('\n').map(Number));
    expect(written.acknowledged.filter((number) => !numbers.has(number))).toEqual([]);
    expect(written.longestGap).toBeLessThan(120);
  });

  step('settled: plan is empty, verify is content, the next upgrade changes nothing', 300, async () => {
    const plan = await release.script('run-in-cluster', ['citusdemo', 'plan']);
    expect(plan.code, plan.stdout + plan.stderr).toBe(0);
    const verify = await release.script('run-in-cluster', ['citusdemo', 'verify']);
    expect(verify.code, verify.stdout + verify.stderr).toBe(0);
    const servers = await pods();
    const { code, stderr } = await release.helm('upgrade', [], values(NEW));
    expect(code, stderr).toBe(0);
    expect(await pods()).toBe(servers);
    expect(await release.jobLog('shop')).toContain('Nothing was changed');
  });

  step('helm rollback to the old one, and an upgrade to it, are refused while the servers run on', 420, async () => {
    const servers = await pods();
    const args = ['--namespace', release.namespace, 'rollback', release.name, '1', '--timeout', '5m'];
    const rollback = await attempt(release.helmPath, args, { timeoutMs: 320_000 });
    expect(rollback.code, rollback.stdout).not.toBe(0);
    expect(await guardLog()).toContain('The databases have a newer citus than');
    expect(await pods()).toBe(servers);
    // Helm calls the release pending until another rollback ends, well or not (docs/DATABASE_MANAGEMENT.md).
    await attempt(release.helmPath, args.with(4, '3'), { timeoutMs: 320_000 });
    const upgrade = await release.helm('upgrade', [], values(OLD));
    expect(upgrade.code).not.toBe(0);
    expect(await guardLog()).toContain("'shop' has citus");
    expect(await pods()).toBe(servers);
    expect(await release.sql(0, 'shop', 'SELECT count(*) > 0 FROM writes')).toBe('t');
  });

  if (OTHER_MAJOR !== undefined) {
    step('an image of another major version of PostgreSQL is refused while the servers run on', 300, async () => {
      const servers = await pods();
      const upgrade = await release.helm('upgrade', [], values(OTHER_MAJOR));
      expect(upgrade.code).not.toBe(0);
      expect(await guardLog()).toMatch(/The data belongs to PostgreSQL \d+, and \S+ has PostgreSQL \d+/);
      expect(await pods()).toBe(servers);
    });
  }

  step('and the right image is taken again', 420, async () => {
    await eventually('all groups have their leaders', 60_000, async () => {
      return (await release.leader(0)) !== '' && (await release.leader(1)) !== '' ? true : undefined;
    });
    const { code, stderr } = await release.helm('upgrade', [], values(NEW));
    expect(code, stderr).toBe(0);
  });
});
