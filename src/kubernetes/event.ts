import { inCluster } from './client.ts';

/** The Job that this pod belongs to, as the chart hands it in (templates/_job.tpl). */
const JOB_VARIABLE = 'CITUS_DATABASES_JOB';
/** Kubernetes' limit for the note of an Event (API reference, Event v1). */
const LONGEST = 1024;
const DEADLINE_MS = 5_000;

/**
 * Leaves the last message as an Event of the Job: `kubectl get events` shows it when pod and Job are gone, as after `helm
 * upgrade --atomic`. Whatever goes wrong here changes nothing: the message is on the log all the same.
 */
export async function leaveEvent(message: string): Promise<void> {
  const { [JOB_VARIABLE]: job } = process.env;
  if (job === undefined || job === '') return;
  try {
    const kubernetes = await inCluster(AbortSignal.timeout(DEADLINE_MS));
    if (kubernetes === undefined) return;
    const { namespace } = kubernetes;
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    await kubernetes.call('POST', `/api/v1/namespaces/${namespace}/events`, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: `${job}.`, namespace },
      involvedObject: { apiVersion: 'batch/v1', kind: 'Job', name: job, namespace },
      type: 'Warning',
      reason: 'NotReady',
      message: message.length > LONGEST ? `${message.slice(0, LONGEST - 3)}...` : message,
      source: { component: 'citus-databases' },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    });
  } catch {
    // No API server, or no right to.
  }
}
