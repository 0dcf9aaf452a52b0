/**
 * Parameters of the servers: the testing checklist of docs/POSTGRESQL_CONFIG_MIGRATION.md, box by box, on a coordinator and
 * a worker with a standby each.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { attempt, eventually } from './support/command.ts';
import { createMembers, type Members } from './support/members.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';
import { startWriter, type Writer } from './support/writer.ts';

type Parameters = Readonly<Record<string, unknown>>;

const everybody = ['citusdemo-0-0', 'citusdemo-0-1', 'citusdemo-1-0', 'citusdemo-1-1'];
const replicas = { 0: 2, 1: 2 };
const initSQL = [
  'CREATE TABLE writes (number bigint, writer text, PRIMARY KEY (number, writer));',
  "SELECT create_distributed_table('writes', 'number');",
].join('\n');

/** The first values: some for all groups, one of the coordinator's and one of the worker's own. */
function firstValues() {
  const small = smallCluster({ replicas: [2, 2] });
  const resources = { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } };
  const parameters = {
    max_connections: 100,
    max_worker_processes: 24,
    shared_buffers: '32MB',
    work_mem: '12MB',
    random_page_cost: 1.1,
    jit: false,
    log_min_duration_statement: '2s',
    'citus.max_intermediate_result_size': '512MB',
  };
  return {
    ...small,
    // The writers are the superuser with its password.
    ssl: { enabled: false },
    coordinator: { replicas: 2, resources, parameters: { work_mem: '16MB' } },
    workers: [{ citusGroup: '1', replicas: 2, resources, parameters: { maintenance_work_mem: '48MB' } }],
    patroni: { postgresql: { parameters } },
    additionalDatabases: { shop: { initSQL } },
  };
}

describe('parameters of the servers', () => {
  let release: Release;
  let members: Members;

  beforeAll(async () => {
    release = await createRelease('parameters');
    members = createMembers(release);
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 300_000);

  /** What each member has to show. */
  const all = (text: string, groups: readonly number[] = [0, 1]) =>
    Object.fromEntries(
      everybody.filter((name) => groups.includes(Number(name.split('-')[1]))).map((name) => [name, text]),
    );

  async function upgrade(parameters: Parameters, more: Parameters = {}, reuse = '--reuse-values') {
    const outcome = await release.helm('upgrade', [reuse], {
      patroni: { postgresql: { parameters, ...more } },
    });
    const log = await release.kubectl('logs', 'job/citusdemo-configure').catch(() => '');
    return { ...outcome, log };
  }

  step('install with a parameter that does not exist: helm fails and names it', 840, async () => {
    const { patroni, ...values } = firstValues();
    const parameters = { ...patroni.postgresql.parameters, work_memm: '1MB' };
    const outcome = await release.helm('install', [], { ...values, patroni: { postgresql: { parameters } } });
    expect(outcome.code).not.toBe(0);
    const log = await release.kubectl('logs', 'job/citusdemo-configure');
    expect(log).toContain('work_memm is no parameter of this server; did you mean work_mem?');
  });

  step('the corrected values, with parameters for all groups and for each', 600, async () => {
    const outcome = await release.helm('upgrade', [], firstValues());
    expect(outcome.code, outcome.stderr).toBe(0);
    await release.ready(replicas);
    expect(await members.names()).toEqual(everybody);
    expect(await members.config(0)).not.toContain('work_memm');
  });

  step('SHOW on each member; the environment and the configuration in Patroni say the same', 600, async () => {
    const names = ['max_connections', 'shared_buffers', 'random_page_cost', 'jit', 'log_min_duration_statement'];
    expect(await members.show(...names, 'citus.max_intermediate_result_size')).toEqual(
      all(
        'citus.max_intermediate_result_size=512MB jit=off log_min_duration_statement=2s max_connections=100 random_page_cost=1.1 shared_buffers=32MB',
      ),
    );
    expect(await members.show('maintenance_work_mem', 'work_mem')).toEqual({
      ...all('maintenance_work_mem=64MB work_mem=16MB', [0]),
      ...all('maintenance_work_mem=48MB work_mem=12MB', [1]),
    });
    for (const preloaded of Object.values(await members.show('shared_preload_libraries'))) {
      expect(preloaded).toMatch(/^shared_preload_libraries=citus,\s?pg_partman_bgw$/);
    }
    const environment = await release.kubectl('exec', 'citusdemo-1-1', '-c', 'postgresql', '--', 'env');
    expect(environment).toContain('\nPATRONI_POSTGRESQL_WORK_MEM=12MB\n');
    expect(environment).toContain('\nPATRONI_POSTGRESQL_CITUS__MAX_INTERMEDIATE_RESULT_SIZE=512MB\n');
    expect(await members.config(0)).toContain('\n    work_mem: 16MB\n');
    expect(await members.config(1)).toContain('\n    work_mem: 12MB\n');
  });

  step('patronictl edit-config and reload by hand: in force on each member of the group', 600, async () => {
    for (const group of ['0', '1']) {
      await members.patronictl('edit-config', 'citusdemo', '--group', group, '--force', '-p', 'log_lock_waits=on');
      await members.patronictl('reload', 'citusdemo', '--group', group, '--force');
    }
    await members.patronictl('edit-config', 'citusdemo', '--group', '0', '--force', '-p', 'work_mem=20MB');
    await eventually('both are in force', 60_000, async () => {
      const shown = JSON.stringify(await members.show('log_lock_waits', 'work_mem'));
      const wanted = { ...all('log_lock_waits=on work_mem=20MB', [0]), ...all('log_lock_waits=on work_mem=12MB', [1]) };
      return shown === JSON.stringify(wanted) ? true : undefined;
    });
  });

  step(
    'a reloadable parameter by helm upgrade: in force everywhere, no pod and no server started again',
    600,
    async () => {
      const before = [await members.pods(), await members.serverStarts()];
      const { code, stderr, log } = await upgrade({ work_mem: '24MB', random_page_cost: 1.5, log_temp_files: '1MB' });
      expect(code, stderr + log).toBe(0);
      expect(log).toContain('✓ random_page_cost = 1.5');
      expect(log).toContain('Parameters are in force!');
      // 20MB was set by hand where the coordinator's own values say 16MB; log_lock_waits is named nowhere in them.
      const rest = 'log_lock_waits=on log_temp_files=1MB random_page_cost=1.5';
      expect(await members.show('work_mem', 'random_page_cost', 'log_temp_files', 'log_lock_waits')).toEqual({
        ...all(`${rest} work_mem=16MB`, [0]),
        ...all(`${rest} work_mem=24MB`, [1]),
      });
      expect([await members.pods(), await members.serverStarts()]).toEqual(before);
    },
  );

  let commands: readonly string[];
  step('parameters that need a restart, with restart: never: the log names them and the commands', 600, async () => {
    const before = [await members.pods(), await members.serverStarts()];
    const { code, stdout, stderr, log } = await upgrade({ max_connections: 120, shared_buffers: '48MB' });
    expect(code, stderr + log).toBe(0);
    expect(log).toMatch(/max_connections = 120: waits for a restart of citusdemo-0-0, citusdemo-0-1\n/);
    expect(log).toMatch(/shared_buffers = 48MB: waits for a restart of citusdemo-1-0, citusdemo-1-1\n/);
    expect(log).toContain('Parameters are set; 2 of 2 groups wait for a restart');
    expect(stdout).toContain('logs job/citusdemo-configure');
    commands = log.split('\n').flatMap((line) => (line.includes(' patronictl restart ') ? [line.trim()] : []));
    expect(commands).toHaveLength(4);
    expect(await members.show('max_connections', 'shared_buffers')).toEqual(
      all('max_connections=100 shared_buffers=32MB'),
    );
    expect([await members.pods(), await members.serverStarts()]).toEqual(before);
  });

  step('the printed commands, one after the other, put them into force', 600, async () => {
    const before = await members.pods();
    for (const command of commands) {
      // patronictl asks when, whether, and for which version
      const { code, stdout, stderr } = await attempt('bash', ['-c', command.replace('exec -it', 'exec -i')], {
        input: 'now\ny\n\n',
      });
      expect(code, stdout + stderr).toBe(0);
      expect(stdout).toContain('Success: restart on member');
    }
    await release.ready(replicas);
    expect(await members.show('max_connections', 'shared_buffers')).toEqual(
      all('max_connections=120 shared_buffers=48MB'),
    );
    expect(await members.pods()).toBe(before);
  });

  step('a parameter taken out of the values is back at its default', 600, async () => {
    // --reuse-values would take the former value for the chart's default and so not hear the null.
    const taken = { random_page_cost: null, jit: null };
    const { code, stderr, log } = await upgrade(taken, {}, '--reset-then-reuse-values');
    expect(code, stderr + log).toBe(0);
    expect(log).toContain('✓ random_page_cost is back at its default');
    expect(await members.show('random_page_cost', 'jit', 'log_lock_waits')).toEqual(
      all('jit=on log_lock_waits=on random_page_cost=4'),
    );
    expect(await members.config(0)).not.toContain('random_page_cost');
  });

  step("profile: auto: sizes that nobody names follow from each group's memory limit", 600, async () => {
    const more = { profile: 'auto', restart: 'never' };
    const { code, stderr, log } = await upgrade({ work_mem: null }, more, '--reset-then-reuse-values');
    expect(code, stderr + log).toBe(0);
    expect(log).toMatch(/wal_buffers = 8MB: waits for a restart of citusdemo-0-0, citusdemo-0-1\n/);
    expect(await members.show('effective_cache_size', 'maintenance_work_mem', 'shared_buffers', 'work_mem')).toEqual({
      ...all('effective_cache_size=384MB maintenance_work_mem=32MB shared_buffers=48MB work_mem=16MB', [0]),
      ...all('effective_cache_size=384MB maintenance_work_mem=48MB shared_buffers=48MB work_mem=2MB', [1]),
    });
  });

  step('deleted pods come back with the same parameters', 840, async () => {
    const names = ['max_connections', 'shared_buffers', 'work_mem', 'maintenance_work_mem', 'log_lock_waits', 'jit'];
    const before = await members.show(...names);
    for (const group of [0, 1]) {
      const leader = await release.leader(group);
      for (const name of everybody.filter((each) => each.startsWith(`citusdemo-${group}-`))) {
        if (name !== leader) await release.kubectl('delete', 'pod', name);
      }
      await release.ready(replicas);
      await untilSynchronous(group);
      await release.kubectl('delete', 'pod', leader);
      await release.ready(replicas);
    }
    expect(await members.show(...names)).toEqual(before);
  });

  step('so does a standby that is made anew', 600, async () => {
    const names = ['max_connections', 'shared_buffers', 'work_mem', 'log_lock_waits'];
    const before = await members.show(...names);
    const leader = await release.leader(0);
    const standby = everybody.find((name) => name !== leader && name.startsWith('citusdemo-0-')) ?? '';
    const identity = "SELECT (pg_stat_file('PG_VERSION')).modification, pg_is_in_recovery()";
    const old = await members.on(standby, identity);
    await members.patronictl('reinit', 'citusdemo', standby, '--group', '0', '--force', '--wait');
    await release.ready(replicas);
    const made = await eventually('the standby is another one', 120_000, async () => {
      const now = await members.on(standby, identity);
      return now === old ? undefined : now;
    });
    expect(made).toMatch(/\|t$/);
    expect(await members.show(...names)).toEqual(before);
  });

  step('values that cannot be: the upgrade fails, names each, and changes nothing', 600, async () => {
    const state = async () => [await members.config(0), await members.config(1), await members.pods()];
    const before = await state();
    const wrong = {
      wrok_mem: '1MB',
      work_mem: '24mb',
      max_connections: 10_000_000,
      shared_buffers: '1GB',
      max_worker_processes: 2,
    };
    const { code, stderr, log } = await upgrade(wrong);
    expect(code).not.toBe(0);
    expect(stderr).toContain('post-upgrade hooks failed');
    expect(log).toContain('wrok_mem is no parameter of this server; did you mean work_mem?');
    expect(log).toContain("work_mem takes one of the units B, kB, MB, GB, TB, not 'mb' as in '24mb'; write MB");
    expect(log).toContain('max_connections takes 1 to 262143, not 10000000');
    expect(log).toContain('shared_buffers 1GB does not fit into the container, whose memory limit is 512MiB');
    expect(log).toMatch(/max_worker_processes 2 is too small for \d databases/);
    expect(log).toContain('Nothing was sent');
    const exits = await release.kubectl(
      ...['get', 'pods', '-l', 'job-type=configuration', '-o'],
      'jsonpath={.items[*].status.containerStatuses[0].state.terminated.exitCode}',
    );
    expect(exits).toBe('2');
    expect(await state()).toEqual(before);
    const refused = await upgrade({ port: 5433 });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('patroni.postgresql.parameters.port: cannot be set here');
    expect(await state()).toEqual(before);
  });

  step('helm rollback: the values of that revision, and none that came after it', 600, async () => {
    const before = await members.show('work_mem', 'log_temp_files', 'vacuum_cost_limit');
    const { code, stderr, log } = await upgrade({ work_mem: '28MB', log_temp_files: '5MB', vacuum_cost_limit: 400 });
    expect(code, stderr + log).toBe(0);
    expect(await members.show('log_temp_files', 'vacuum_cost_limit')).toEqual(
      all('log_temp_files=5MB vacuum_cost_limit=400'),
    );
    const pods = await members.pods();
    const history = JSON.parse(await release.helmCommand('history', release.name, '-o', 'json'));
    const good = history.filter(({ status }: { status: string }) => status === 'superseded').at(-1).revision;
    await release.helmCommand('rollback', release.name, String(good));
    expect(await members.show('work_mem', 'log_temp_files', 'vacuum_cost_limit')).toEqual(before);
    expect(await members.config(0)).not.toContain('vacuum_cost_limit');
    expect(await members.pods()).toBe(pods);
  });

  step('restart: whenNeeded while clients write: replicas first, the primaries by switchover', 840, async (note) => {
    const before = await members.pods();
    const former = await Promise.all([0, 1].map((group) => release.leader(group)));
    const writers = await Promise.all([0, 1].map((group) => startWriter(release, group, 'shop')));
    const raised = { max_connections: 140, max_worker_processes: 32 };
    const { code, stderr, log } = await upgrade(raised, { restart: 'whenNeeded' });
    expect(code, stderr + log).toBe(0);
    for (const [group, leader] of former.entries()) {
      const other = everybody.find((name) => name !== leader && name.startsWith(`citusdemo-${group}-`));
      expect(log).toMatch(
        new RegExp(`Restarting replica ${other}\\.\\.\\.\\n.*\\n.*Switching over from ${leader} to ${other},`),
      );
      expect(await release.leader(group)).toBe(other);
    }
    expect(log).toContain('Parameters are in force!');
    await report(writers, note);
    expect(await members.show('max_connections', 'max_worker_processes')).toEqual(
      all('max_connections=140 max_worker_processes=32'),
    );
    expect(await members.pods()).toBe(before);
  });

  step('smaller values, while clients write: the primaries first, where they are', 840, async (note) => {
    const former = await Promise.all([0, 1].map((group) => release.leader(group)));
    const writers = await Promise.all([0, 1].map((group) => startWriter(release, group, 'shop')));
    const { code, stderr, log } = await upgrade({ max_connections: 90, max_worker_processes: 24 });
    expect(code, stderr + log).toBe(0);
    for (const leader of former) {
      expect(log).toMatch(new RegExp(`Restarting primary ${leader}\\.\\.\\.\\n.*\\n.*Restarting replica`));
    }
    await report(writers, note);
    expect(await members.show('max_connections', 'max_worker_processes')).toEqual(
      all('max_connections=90 max_worker_processes=24'),
    );
    // A standby that had less than its primary would not have started.
    await release.ready(replicas);
    expect(await members.patronictl('list')).not.toContain('Pending restart');
  });

  /**
   * No acknowledged row is missing, and nobody waited for a leader's key to expire (patroni.ttl, 30 s). A machine that has
   * other things to do takes longer for everything, an ordinary write included, which takes 0.04 s on one that has not.
   */
  async function report(writers: readonly Writer[], note: (text: string) => void): Promise<void> {
    for (const [group, writer] of writers.entries()) {
      const { acknowledged, failures, longestGap, usualGap } = await writer.finish();
      note(
        `through citusdemo-${group}: ${acknowledged.length} rows, ${failures.length} failures, longest gap ${longestGap.toFixed(1)} s, median ${usualGap.toFixed(2)} s`,
      );
      const present = await release.sql(0, 'shop', `SELECT number FROM writes WHERE writer = 'writer-${group}'`);
      const rows = new Set(present.split('\n').map(Number));
      expect(acknowledged.filter((number) => !rows.has(number))).toEqual([]);
      expect(longestGap).toBeLessThan(30 + 50 * usualGap);
    }
    await release.sql(0, 'shop', 'TRUNCATE writes');
  }

  step('after all of it nothing is left to do', 600, async () => {
    const { code, stdout, stderr } = await release.script('run-in-cluster', ['citusdemo', 'configure']);
    expect(stdout, stderr).toContain('Nothing was changed');
    expect(stdout).toContain('Parameters are in force!');
    expect(code).toBe(0);
    const plan = await release.script('run-in-cluster', ['citusdemo', 'plan']);
    expect(plan.code, plan.stdout + plan.stderr).toBe(0);
  });

  /** A standby that has only just come back may not take over yet. */
  async function untilSynchronous(group: number): Promise<void> {
    await eventually(`group ${group} has a synchronous standby`, 90_000, async () =>
      (await members.patronictl('list', 'citusdemo', '--group', String(group))).match(/(Quorum|Sync) Standby/) === null
        ? undefined
        : true,
    );
  }
});
