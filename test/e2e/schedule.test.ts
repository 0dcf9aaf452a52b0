/**
 * What watches a cluster: the Jobs of schedule.verify and schedule.plan, postgres_exporter, and the chart's rules in a real
 * Prometheus. A stopped worker is found within two minutes: by the Job, in its termination message and an Event, and by the
 * rule. Needs the image of support/monitoring.Dockerfile.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { attempt, eventually } from './support/command.ts';
import { createPrometheus, MONITORING_IMAGE, monitoringObjects, type Prometheus } from './support/prometheus.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

/** Never by itself while this test runs. */
const cron = '0 0 29 2 *';
const values = {
  ...smallCluster(),
  additionalDatabases: [{ name: 'shop' }],
  schedule: { verify: { cron }, plan: { cron }, pushgateway: 'http://pushgateway:9091' },
  monitoring: { exporter: { enabled: true, image: MONITORING_IMAGE } },
  extraObjects: monitoringObjects,
};

describe('schedule and monitoring', () => {
  let release: Release;
  let prometheus: Prometheus;

  beforeAll(async () => {
    release = await createRelease('schedule');
    prometheus = createPrometheus(release);
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  /** A Job as the CronJob makes them; how it ended, the message of its pod and its Event, and after how many seconds. */
  async function runOf(command: 'verify' | 'plan', number: number) {
    const job = `citusdemo-${command}-${number}`;
    const startedAt = performance.now();
    await release.kubectl('create', 'job', `--from=cronjob/citusdemo-${command}`, job);
    const ended = await eventually(`Job ${job} ends`, 180_000, async () => {
      const conditions = await release.kubectl('get', 'job', job, '-o', 'jsonpath={.status.conditions[*].type}');
      return /\b(Complete|Failed)\b/.exec(conditions)?.[0];
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const message = await release.kubectl(
      ...['get', 'pods', '-l', `batch.kubernetes.io/job-name=${job}`, '-o'],
      'jsonpath={.items[0].status.containerStatuses[0].state.terminated.message}',
    );
    const events = await release.kubectl(
      ...['get', 'events', '--field-selector', `reason=NotReady,involvedObject.name=${job}`, '-o'],
      'jsonpath={.items[*].message}',
    );
    return { ended, message, events, seconds };
  }

  step('install: one database', 600, async () => {
    const { code, stdout, stderr } = await release.helm('install', [], values);
    expect({ code, stderr }, stdout).toMatchObject({ code: 0 });
  });

  step('the Jobs of a cluster that is well succeed, and tell Prometheus so', 300, async (note) => {
    for (const command of ['verify', 'plan'] as const) {
      const { ended, message, events, seconds } = await runOf(command, 1);
      expect({ ended, message, events }, message).toEqual({ ended: 'Complete', message: '', events: '' });
      note(`${command}: ${seconds.toFixed(1)} s`);
    }
    const own = `{namespace="${release.namespace}",cluster="citusdemo"`;
    await prometheus.has(1, `citus_databases_ready${own},database="shop"} == 1`, 60_000);
    await prometheus.has(2, `citus_databases_node_accepts_writes${own}} == 1`, 30_000);
  });

  step('every server and its exporter are scraped as the rules want them', 180, async () => {
    const pods = `{namespace="${release.namespace}",cluster_name="citusdemo"`;
    await prometheus.has(2, `patroni_primary${pods},citus_group=~"0|1"} == 1`, 90_000);
    await prometheus.has(2, `patroni_postgres_running${pods}} == 1`, 30_000);
    await prometheus.has(2, `pg_up${pods},citus_group=~"0|1"} == 1`, 90_000);
    await prometheus.has(2, `pg_stat_database_numbackends${pods},datname="shop"}`, 30_000);
    // Only pg_monitor sees the settings of superusers.
    await prometheus.has(2, `pg_settings_max_connections${pods}} == 100`, 30_000);
    expect(await prometheus.query('ALERTS')).toEqual([]);
  });

  step("the exporter's role logs in nowhere but in its own pod, and there to one database", 60, async () => {
    const secret = [
      'get',
      'secret',
      'citusdemo-exporter',
      '-o',
      'go-template={{index .data "password" | base64decode}}',
    ];
    const password = await release.kubectl(...secret);
    const psql = async (target: string) => {
      const command = `PGPASSWORD=${password} psql -X -A -t -c 'SELECT 1' "user=postgres_exporter ${target}"`;
      const args = ['exec', 'citusdemo-0-0', '-c', 'postgresql', '--', 'sh', '-c', command];
      const { stdout, stderr } = await attempt('kubectl', ['--namespace', release.namespace, ...args]);
      return `${stdout}${stderr}`;
    };
    expect(await psql('host=127.0.0.1 dbname=postgres')).toBe('1\n');
    for (const target of ['host=127.0.0.1 dbname=shop', 'host=citusdemo-1 dbname=postgres', 'dbname=postgres']) {
      expect(await psql(target), target).toContain('pg_hba.conf rejects connection');
    }
  });

  step('a change by hand: the Job of plan fails, and says so', 300, async () => {
    await release.sql(0, 'postgres', 'ALTER DATABASE shop OWNER TO replicator');
    const { ended, message, events } = await runOf('plan', 2);
    const said = expect.stringContaining('The databases are not as declared');
    expect({ ended, message, events }).toEqual({ ended: 'Failed', message: said, events: said });
    await release.sql(0, 'postgres', 'ALTER DATABASE shop OWNER TO postgres');
  });

  step('a stopped worker: the Job of verify fails and the rule fires, within two minutes', 300, async (note) => {
    const stoppedAt = performance.now();
    await release.kubectl('scale', 'statefulset', 'citusdemo-1', '--replicas=0');
    const firing = 'ALERTS{alertname="CitusGroupWithoutPrimary",alertstate="firing",citus_group="1"}';
    const fired = prometheus.has(1, firing, 180_000).then(() => (performance.now() - stoppedAt) / 1000);
    const [{ ended, message, events, seconds }, alerted] = await Promise.all([runOf('verify', 2), fired]);
    const said = expect.stringContaining('citusdemo-1');
    expect({ ended, message, events }).toEqual({ ended: 'Failed', message: said, events: said });
    note(`Job: after ${seconds.toFixed(1)} s: ${message.split('\n')[0]}`);
    note(`CitusGroupWithoutPrimary: after ${alerted.toFixed(1)} s`);
    expect(seconds).toBeLessThan(120);
    expect(alerted).toBeLessThan(120);
    await prometheus.has(1, 'citus_databases_node_accepts_writes{node="citusdemo-1"} == 0', 60_000);
    await prometheus.has(1, 'citus_databases_ready{database="shop"} == 0', 10_000);
  });

  step('the worker is back: the next Job succeeds', 300, async () => {
    await release.kubectl('scale', 'statefulset', 'citusdemo-1', '--replicas=1');
    await release.ready({ 0: 1, 1: 1 });
    const { ended, message } = await runOf('verify', 3);
    expect({ ended, message }).toEqual({ ended: 'Complete', message: '' });
    await prometheus.has(1, 'citus_databases_ready{database="shop"} == 1', 60_000);
  });
});
