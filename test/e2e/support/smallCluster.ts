export interface SmallCluster {
  /** Pods of each group, coordinator first. */
  readonly replicas?: readonly number[];
}

/** Values of a cluster for a machine of two cores: a coordinator and one worker group of one pod each, unless told. */
export function smallCluster({ replicas = [1, 1] }: SmallCluster = {}): Readonly<Record<string, unknown>> {
  const resources = { requests: { cpu: '50m', memory: '128Mi' } };
  const [coordinator = 1, ...workers] = replicas;
  return {
    clusterName: 'citusdemo',
    coordinator: { replicas: coordinator, resources },
    workers: workers.map((count, index) => ({ citusGroup: String(index + 1), replicas: count, resources })),
    storage: { size: '1Gi' },
    patroni: { postgresql: { parameters: { max_connections: 100, shared_buffers: '32MB' } } },
  };
}
