import { eventually } from './command.ts';
import type { Release } from './release.ts';

/** An image with Debian's Prometheus, Pushgateway and postgres_exporter (monitoring.Dockerfile). */
export const MONITORING_IMAGE = { registry: '', repository: 'citus-databases-monitoring', tag: 'e2e' };

const IMAGE = `${MONITORING_IMAGE.repository}:${MONITORING_IMAGE.tag}`;
const pod = (
  name: string,
  command: readonly string[],
  more: { readonly mounts?: object[]; readonly volumes?: object[] },
) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: 'RuntimeDefault' } },
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name,
        image: IMAGE,
        imagePullPolicy: 'IfNotPresent',
        command,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        volumeMounts: more.mounts ?? [],
      },
    ],
    volumes: more.volumes ?? [],
  },
});

/**
 * What the Prometheus operator makes of the chart's PodMonitor, for one pod of each group: the intervals are its defaults and
 * the chart's. Debian's Prometheus cannot ask Kubernetes for pods, so that they stand here.
 */
const CONFIGURATION = `
apiVersion: v1
kind: ConfigMap
metadata: { name: prometheus }
data:
  rules.yaml: |
    {{- include "citus-cluster.rules" . | nindent 4 }}
  prometheus.yaml: |
    global: { scrape_interval: 30s, evaluation_interval: 30s }
    rule_files: [rules.yaml]
    scrape_configs:
      - job_name: pods
        static_configs:
          {{- range $group := include "citus-cluster.groups" . | fromJsonArray }}
          {{- $pod := printf "%s-0" .name }}
          {{- $host := printf "%s.%s" $pod (include "citus-cluster.headlessService" $) }}
          - targets: ["{{ $host }}:8008", "{{ $host }}:9187"]
            labels: { namespace: {{ $.Release.Namespace }}, cluster_name: {{ include "citus-cluster.scope" $ }}, citus_group: "{{ .group }}", pod: {{ $pod }} }
          {{- end }}
      - job_name: pushgateway
        honor_labels: true
        scrape_interval: 5s
        static_configs: [{ targets: ["pushgateway:9091"] }]
`;

/** Prometheus and a Pushgateway beside the release, as values of `extraObjects`: the rules are the chart's own. */
export const monitoringObjects: readonly (object | string)[] = [
  CONFIGURATION,
  pod(
    'prometheus',
    ['prometheus', '--config.file=/etc/citus/prometheus.yaml', '--storage.tsdb.path=/data', '--log.level=warn'],
    {
      mounts: [
        { name: 'configuration', mountPath: '/etc/citus' },
        { name: 'data', mountPath: '/data' },
      ],
      volumes: [
        { name: 'configuration', configMap: { name: 'prometheus' } },
        { name: 'data', emptyDir: {} },
      ],
    },
  ),
  pod('pushgateway', ['prometheus-pushgateway'], {}),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'pushgateway' },
    spec: { selector: { app: 'pushgateway' }, ports: [{ port: 9091 }] },
  },
];

export interface Prometheus {
  /** The series of a query, as promtool prints them: `name{label="value"} => 1 @[…]`. */
  query(expression: string): Promise<readonly string[]>;
  /** Waits until the query has as many series. */
  has(count: number, expression: string, timeoutMs: number): Promise<void>;
}

export function createPrometheus(release: Release): Prometheus {
  async function query(expression: string): Promise<readonly string[]> {
    const promtool = ['promtool', 'query', 'instant', 'http://localhost:9090', expression];
    const printed = await release.kubectl('exec', 'prometheus', '--', ...promtool);
    return printed.split('\n').filter((line) => line.trim() !== '');
  }
  return {
    query,
    async has(count, expression, timeoutMs) {
      let found: readonly string[] = [];
      await eventually(`${expression} has ${count} series`, timeoutMs, async () => {
        found = await query(expression);
        return found.length === count ? true : undefined;
      }).catch((error: unknown) => {
        throw new Error(`${expression} has ${found.length} series, not ${count}:\n${found.join('\n')}`, {
          cause: error,
        });
      });
    },
  };
}
