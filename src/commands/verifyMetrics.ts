import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { nodeLabels } from '../cluster/topology.ts';
import { forAll } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import { PEM, readBounded } from '../files/read.ts';
import { ownNamespace } from '../kubernetes/namespace.ts';
import { connect, MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import { applicationName } from '../postgres/startup.ts';
import { metricsOf, type VerifiedFacts } from '../reconcile/metrics.ts';
import { exposition } from '../report/prometheus.ts';
import type { SslSpec } from '../spec/types.ts';

export interface MetricsDestination {
  readonly printed: boolean;
  /** Of a Pushgateway. */
  readonly pushTo: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const PUSH_TIMEOUT_MS = 10_000;

/** Also of a run that failed: that is when they are needed. Not of one that a signal ended, which found out nothing. */
export async function reportMetrics(
  context: Context,
  facts: ReadonlyMap<string, VerifiedFacts>,
  { printed, pushTo }: MetricsDestination,
): Promise<void> {
  if (context.signal.aborted) return;
  const { databases, cluster, ssl } = context.spec;
  const text = exposition(
    metricsOf({
      cluster: cluster.name,
      databases: databases.map(({ name }) => facts.get(name) ?? { database: name, ready: false }),
      nodes: await nodesNow(context),
      now: Date.now(),
      certificateEnds: await certificateEnds(ssl),
    }),
  );
  if (printed) context.print(text);
  if (pushTo !== undefined) await push(context, pushTo, text);
}

/** As they are when the run ends: one that did not answer may be why it failed. */
async function nodesNow(context: Context) {
  const { coordinator, workers, withoutSuperuser } = context.spec.cluster;
  // Without a superuser nobody looks at workers, nor into the maintenance database.
  const nodes = [coordinator, ...(withoutSuperuser ? [] : (workers ?? []))];
  const database = withoutSuperuser ? context.spec.databases[0]?.name : undefined;
  const labels = nodeLabels(nodes);
  return await forAll(nodes, async (node) => {
    const options = {
      applicationName: applicationName(context.command),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      signal: context.signal,
    };
    const name = labels.get(node.group) ?? node.nodeName;
    try {
      const session = await connect({ node, database: database ?? MAINTENANCE_DATABASE }, context.access, options);
      await session.close();
      return { node: name, acceptsWrites: session.inRecovery !== true };
    } catch {
      return { node: name, acceptsWrites: false };
    }
  });
}

/** Of the servers' certificate, which serves the program as its own, where it is at hand. */
async function certificateEnds({ enabled, directory, certificate }: SslSpec): Promise<number | undefined> {
  if (!enabled) return undefined;
  try {
    return Date.parse(
      new X509Certificate(await readBounded(path.join(directory, certificate), { mostBytes: PEM })).validTo,
    );
  } catch {
    return undefined;
  }
}

/**
 * POST replaces the metrics of these names alone, so that the last proof stays where this run did not prove anything
 * (Pushgateway documentation, "API").
 */
async function push(context: Context, address: string, text: string): Promise<void> {
  const namespace = await ownNamespace();
  // Clusters of one name in two namespaces are two groups.
  const group = [...(namespace === undefined ? [] : ['namespace', namespace]), 'cluster', context.spec.cluster.name];
  const url = `${address.replace(/\/+$/, '')}/metrics/job/citus-databases/${group.map(encodeURIComponent).join('/')}`;
  try {
    const response = await fetch(url, {
      method: 'POST',
      body: text,
      // Whoever answers there does not choose where else this program reports to.
      redirect: 'manual',
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(PUSH_TIMEOUT_MS)]),
    });
    if (response.ok) return;
    context.log.warn(`The metrics were not pushed to ${address}: HTTP status ${response.status}`);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    context.log.warn(`The metrics were not pushed to ${address}: ${cause instanceof Error ? cause.message : cause}`);
  }
}
