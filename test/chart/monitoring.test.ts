import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import * as z from 'zod';
import { metricsOf } from '../../src/reconcile/metrics.ts';
import { at, type Manifest, named, ofKind, render } from '../support/chart.ts';

/** schedule and monitoring: the CronJobs, and what the Prometheus operator and Grafana are given. */

const values = {
  schedule: {
    verify: { cron: '*/15 * * * *' },
    plan: { cron: '0 6 * * *' },
    pushgateway: 'http://pushgateway.monitoring:9091',
  },
  monitoring: {
    podMonitor: { enabled: true, labels: { release: 'prometheus' } },
    prometheusRule: { enabled: true, runbookUrl: 'https://wiki.example/runbook' },
    dashboard: { enabled: true },
  },
};
const objects = render({ values });

const rulesOf = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          for: z.string(),
          labels: z.record(z.string(), z.string()),
          annotations: z.record(z.string(), z.string()),
        }),
      ),
    }),
  ),
});

function rules(from: readonly Manifest[]) {
  return rulesOf.parse(at(named(from, 'PrometheusRule', 'citusdemo'), 'spec'));
}

test('nothing of it is made unless it is asked for', () => {
  const kinds = render().map(({ kind }) => kind);
  for (const kind of ['CronJob', 'PodMonitor', 'PrometheusRule']) expect(kinds).not.toContain(kind);
  expect(render().filter(({ metadata }) => metadata.name.includes('dashboard'))).toEqual([]);
});

test('a release that was made before there were such values is upgraded with --reuse-values', () => {
  const kinds = render({ values: { schedule: null, monitoring: null } }).map(({ kind }) => kind);
  expect(kinds).toContain('StatefulSet');
  expect(kinds).not.toContain('CronJob');
});

test('of a cluster that something else runs, the Jobs and their alerts', () => {
  const cluster = {
    create: false,
    coordinator: { host: 'citus.example' },
    workers: [{ citusGroup: 1, host: 'one.example' }],
  };
  const external = render({ values: { ...values, cluster, ssl: { enabled: false } } });
  expect(ofKind(external, 'CronJob')).toHaveLength(2);
  expect(ofKind(external, 'PodMonitor')).toEqual([]);
  const alerts = rules(external).groups[0]?.rules.map(({ alert }) => alert);
  expect(alerts).toContain('CitusVerifyFailed');
  expect(alerts).not.toContain('CitusGroupWithoutPrimary');
});

describe('CronJobs', () => {
  test.each([
    ['verify', '*/15 * * * *', ['verify', '--timeout', '1m', '--push-to', 'http://pushgateway.monitoring:9091']],
    ['plan', '0 6 * * *', ['plan', '--timeout', '1m']],
  ])('%s: one at a time, whose Job fails with the first finding', (command, schedule, args) => {
    const job = named(objects, 'CronJob', `citusdemo-${command}`);
    expect(at(job, 'spec')).toMatchObject({
      schedule,
      concurrencyPolicy: 'Forbid',
      jobTemplate: { spec: { backoffLimit: 0, template: { spec: { restartPolicy: 'Never' } } } },
    });
    expect(at(job, 'spec.jobTemplate.spec.template.spec.containers.0.args')).toEqual(args);
  });

  test('has the pod of the Job of `helm test`, but for its arguments', () => {
    const users = [{ name: 'shop', users: [{ name: 'clerk', access: 'readOnly', generate: true }] }];
    const both = render({ values: { ...values, additionalDatabases: users } });
    const scheduled = at(named(both, 'CronJob', 'citusdemo-verify'), 'spec.jobTemplate.spec.template.spec');
    const tested = at(named(both, 'Job', 'citusdemo-verify'), 'spec.template.spec');
    const without = (pod: unknown) => JSON.parse(JSON.stringify(pod, (key, value) => (key === 'args' ? [] : value)));
    expect(without(scheduled)).toEqual(without(tested));
  });
});

describe('PodMonitor and dashboard', () => {
  test('names the port and the labels that the pods have', () => {
    const monitor = named(objects, 'PodMonitor', 'citusdemo');
    expect(monitor.metadata.labels).toMatchObject({ release: 'prometheus' });
    const selector = z.record(z.string(), z.string()).parse(at(monitor, 'spec.selector.matchLabels'));
    const labels = z.array(z.string()).parse(at(monitor, 'spec.podTargetLabels'));
    for (const set of ofKind(objects, 'StatefulSet')) {
      const pod = z.record(z.string(), z.string()).parse(at(set, 'spec.template.metadata.labels'));
      expect(pod).toMatchObject(selector);
      expect(Object.keys(pod)).toEqual(expect.arrayContaining(labels));
      expect(at(set, 'spec.template.spec.containers.0.ports')).toContainEqual({ name: 'patroni', containerPort: 8008 });
    }
  });

  test('is JSON that Grafana reads, with metrics that exist', () => {
    const { data } = named(objects, 'ConfigMap', 'citusdemo-dashboard');
    const dashboard = JSON.parse(data?.['citusdemo.json'] ?? '');
    expect(dashboard.panels.length).toBeGreaterThan(8);
    for (const { gridPos, targets } of dashboard.panels) {
      expect(gridPos).toEqual({ h: 7, w: 12, x: expect.any(Number), y: expect.any(Number) });
      expectKnownMetrics(targets[0].expr);
    }
  });
});

describe('rules', () => {
  test('ask for metrics that exist', () => {
    for (const { expr } of rules(objects).groups[0]?.rules ?? []) expectKnownMetrics(expr);
  });

  test('leave out what would never have a series', () => {
    const alone = rules(render({ values: { monitoring: { prometheusRule: { enabled: true } } } }));
    expect(new Set(alone.groups[0]?.rules.map(({ alert }) => alert))).toEqual(
      new Set(['CitusGroupWithoutPrimary', 'CitusStandbyMissing']),
    );
  });

  test('each has its section in the runbook, to which it leads', () => {
    const headings = [
      ...readFileSync(new URL('../../docs/RUNBOOK.md', import.meta.url), 'utf8').matchAll(/^## (.+)$/gm),
    ];
    const alerts = rules(objects).groups[0]?.rules ?? [];
    expect(new Set(headings.map(([, heading]) => heading))).toEqual(new Set(alerts.map(({ alert }) => alert)));
    for (const { alert, annotations } of alerts) {
      expect(annotations['runbook_url']).toBe(`https://wiki.example/runbook#${alert.toLowerCase()}`);
    }
  });

  test('fire when they should, and only then (promtool)', { timeout: 120_000 }, () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-rules-'));
    try {
      writeFileSync(path.join(folder, 'rules.yaml'), stringify(rules(objects)));
      writeFileSync(path.join(folder, 'tests.yaml'), stringify({ rule_files: ['rules.yaml'], tests: ruleTests() }));
      const { error, status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'tests.yaml'], {
        cwd: folder,
        encoding: 'utf8',
      });
      if (error !== undefined) return console.log('promtool is not installed: the rules were not run with series');
      expect(`${stdout}${stderr}`).toContain('SUCCESS');
      expect(status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Patroni 4: api.py, do_GET_metrics. */
const PATRONI = [
  'patroni_primary',
  'patroni_postgres_running',
  'patroni_xlog_location',
  'patroni_xlog_replayed_location',
];
const KUBE_STATE_METRICS = ['kube_job_created', 'kube_job_status_failed', 'kube_job_status_succeeded'];

function expectKnownMetrics(expr: string): void {
  const own = metricsOf({ cluster: '', databases: [], nodes: [], now: 0, certificateEnds: undefined });
  const known = [...own.map(({ name }) => name), ...PATRONI, ...KUBE_STATE_METRICS];
  const used = [...expr.matchAll(/\b([a-z_]+)\{/g)].map(([, name]) => name);
  expect(used.length, expr).toBeGreaterThan(0);
  for (const name of used) expect(known).toContain(name);
}

interface Firing {
  readonly alert: string;
  readonly at: string;
  /** Values of the label that tells instances apart; empty: it does not fire. */
  readonly by?: string;
  readonly firing: readonly string[];
}

/** Each is a cluster's minutes: series as Patroni, kube-state-metrics and the program give them, and who is alerted when. */
function ruleTests() {
  const pod = (metric: string, group: number, index: number) =>
    `${metric}{namespace="shop",cluster_name="citusdemo",citus_group="${group}",scope="citusdemo",name="citusdemo-${group}-${index}",pod="citusdemo-${group}-${index}"}`;
  const well = [0, 1, 2].flatMap((group) => [
    { series: pod('patroni_primary', group, 0), values: '1x60' },
    { series: pod('patroni_primary', group, 1), values: '0x60' },
    { series: pod('patroni_postgres_running', group, 0), values: '1x60' },
    { series: pod('patroni_postgres_running', group, 1), values: '1x60' },
  ]);
  const replaced = (changes: Readonly<Record<string, string>>) =>
    well.map(({ series, values: given }) => ({ series, values: changes[series] ?? given }));
  const own = (metric: string, labels: string, samples: string) => ({
    series: `citus_databases_${metric}{namespace="shop",cluster="citusdemo"${labels}}`,
    values: samples,
  });
  const kubeJob = (name: string, created: number, failed: string, succeeded: string) => [
    { series: `kube_job_created{namespace="shop",job_name="${name}"}`, values: `${created}x60` },
    { series: `kube_job_status_failed{namespace="shop",job_name="${name}"}`, values: failed },
    { series: `kube_job_status_succeeded{namespace="shop",job_name="${name}"}`, values: succeeded },
  ];
  return [
    alertTest('a well cluster', well, [
      { alert: 'CitusGroupWithoutPrimary', at: '10m', firing: [] },
      { alert: 'CitusStandbyMissing', at: '30m', firing: [] },
    ]),
    alertTest(
      'the leader of a worker group stops after five minutes and nobody follows: within two minutes',
      replaced({
        [pod('patroni_primary', 2, 0)]: '1x5 stale',
        [pod('patroni_postgres_running', 2, 0)]: '1x5 stale',
      }),
      [
        { alert: 'CitusGroupWithoutPrimary', at: '5m', firing: [] },
        { alert: 'CitusGroupWithoutPrimary', at: '7m', by: 'citus_group', firing: ['2'] },
        { alert: 'CitusStandbyMissing', at: '10m', firing: [] },
        { alert: 'CitusStandbyMissing', at: '20m', by: 'citus_group', firing: ['2'] },
      ],
    ),
    alertTest(
      'a failover within a minute is no alert',
      replaced({ [pod('patroni_primary', 1, 0)]: '1x5 0x54', [pod('patroni_primary', 1, 1)]: '0x6 1x53' }),
      [6, 7, 8].map((minute) => ({ alert: 'CitusGroupWithoutPrimary', at: `${minute}m`, firing: [] })),
    ),
    alertTest(
      'no pod of a group was ever seen',
      well.filter(({ series }) => !series.includes('citus_group="1"')),
      [{ alert: 'CitusGroupWithoutPrimary', at: '2m', by: 'citus_group', firing: ['1'] }],
    ),
    alertTest(
      'the Job of verify fails, and the next one succeeds',
      [
        ...kubeJob('citusdemo-verify-29000000', 100, '0x60', '1x60'),
        ...kubeJob('citusdemo-verify-29000015', 1000, '_x9 0x1 1x49', '_x9 0x51'),
        // Under way from the twentieth minute on, and done in the thirtieth.
        ...kubeJob('citusdemo-verify-29000030', 2000, '_x19 0x41', '_x19 0x10 1x31'),
        ...kubeJob('other-verify-29000030', 3000, '1x60', '0x60'),
      ],
      [
        { alert: 'CitusVerifyFailed', at: '5m', firing: [] },
        { alert: 'CitusVerifyFailed', at: '15m', by: 'cluster', firing: ['citusdemo'] },
        { alert: 'CitusVerifyFailed', at: '25m', by: 'cluster', firing: ['citusdemo'] },
        { alert: 'CitusVerifyFailed', at: '35m', firing: [] },
        { alert: 'CitusDrift', at: '35m', firing: [] },
      ],
    ),
    alertTest('the Job of plan finds a difference', kubeJob('citusdemo-plan-29000000', 100, '1x60', '0x60'), [
      { alert: 'CitusDrift', at: '1m', by: 'cluster', firing: ['citusdemo'] },
      { alert: 'CitusVerifyFailed', at: '1m', firing: [] },
    ]),
    ...[
      ['CitusDatabaseNotReady', 'ready', '1', '0', '7m'],
      ['CitusWorkersNotJoined', 'workers_not_joined', '0', '2', '25m'],
      ['CitusInitSqlPending', 'init_sql_pending_statements', '0', '3', '70m'],
    ].map(([alert = '', metric = '', good = '', bad = '', when = '']) =>
      alertTest(
        `${metric} turns bad`,
        [own(metric, ',database="shop"', `${good}x5 ${bad}x100`)],
        [
          { alert, at: '5m', firing: [] },
          { alert, at: when, by: 'database', firing: ['shop'] },
        ],
      ),
    ),
    ...[
      ['CitusShardsMissing', 'shards_missing', '0', '4', '7m'],
      ['CitusMetadataDrift', 'metadata_drift', '0', '1', '25m'],
      ['CitusPreparedTransactionsOld', 'prepared_transactions', '0', '1', '17m'],
      ['CitusMaintenanceDaemonStopped', 'maintenance_daemon_running', '1', '0', '17m'],
    ].map(([alert = '', metric = '', good = '', bad = '', when = '']) =>
      alertTest(
        `${metric} turns bad on one node`,
        [
          own(metric, ',database="shop",node="citusdemo-1"', `${good}x5 ${bad}x60`),
          own(metric, ',database="shop",node="citusdemo-2"', `${good}x60`),
        ],
        [
          { alert, at: '5m', firing: [] },
          { alert, at: when, by: 'node', firing: ['citusdemo-1'] },
        ],
      ),
    ),
    alertTest(
      'a node cannot be reached',
      [own('node_accepts_writes', ',node="citusdemo-2"', '1x5 0x60')],
      [{ alert: 'CitusNodeDoesNotAcceptWrites', at: '8m', by: 'node', firing: ['citusdemo-2'] }],
    ),
    alertTest(
      'the last proof is a day old after ten minutes',
      [own('last_proof_timestamp_seconds', ',database="shop"', `${600 - 86_400}x60`)],
      [
        { alert: 'CitusProofOld', at: '10m', firing: [] },
        { alert: 'CitusProofOld', at: '20m', by: 'database', firing: ['shop'] },
      ],
    ),
    alertTest(
      'the certificate ends in 21 days after ten minutes',
      [own('certificate_expiry_timestamp_seconds', '', `${21 * 86_400 + 600}x100`)],
      [
        { alert: 'CitusCertificateEnds', at: '10m', firing: [] },
        { alert: 'CitusCertificateEnds', at: '75m', by: 'cluster', firing: ['citusdemo'] },
      ],
    ),
  ];
}

/** A unit test of promtool; every firing alert has the labels of its rule and of its series, which are read back from both. */
function alertTest(name: string, series: readonly { series: string; values: string }[], expected: readonly Firing[]) {
  return {
    name,
    interval: '1m',
    input_series: series,
    alert_rule_test: expected.map(({ alert, at: evalTime, by, firing }) => ({
      eval_time: evalTime,
      alertname: alert,
      exp_alerts: firing.map((value) => expectedAlert(alert, by ?? '', value, series)),
    })),
  };
}

function expectedAlert(
  alert: string,
  by: string,
  value: string,
  series: readonly { series: string; values: string }[],
) {
  const rule = (rules(objects).groups[0]?.rules ?? []).find(
    (candidate) => candidate.alert === alert && (by !== 'citus_group' || candidate.labels['citus_group'] === value),
  );
  if (rule === undefined) throw new Error(`There is no rule ${alert}`);
  const source = series.find(
    ({ series: text }) => text.startsWith('citus_databases_') && text.includes(`${by}="${value}"`),
  );
  const labels = Object.fromEntries(
    [...(source?.series.matchAll(/([a-z_]+)="([^"]*)"/g) ?? [])].map(([, label, content]) => [label, content]),
  );
  const bad = source?.values.split(' ').at(-1)?.split('x')[0] ?? '';
  const filled = (text: string) =>
    text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '').replace('{{ $value }}', bad);
  return {
    exp_labels: { ...labels, ...rule.labels },
    exp_annotations: Object.fromEntries(Object.entries(rule.annotations).map(([key, text]) => [key, filled(text)])),
  };
}
