import { inCluster } from '../kubernetes/client.ts';
import { readPreparation } from '../prepare/document.ts';
import { makePreparations } from '../prepare/makeSecrets.ts';
import { Failure } from '../report/errors.ts';
import type { StepLog } from '../report/stepLog.ts';

export interface PrepareContext {
  readonly document: string;
  readonly log: StepLog;
  readonly signal: AbortSignal;
  readonly hide: (secret: string) => void;
}

/**
 * Checks that this revision of the release may take the place of the one that runs, and makes the Secrets that values ask
 * for. They are made here and not by the chart, so that no manifest holds a password: rolling back brings no old one back,
 * and tools that only render templates make no new ones.
 */
export async function prepare({ document, log, signal, hide }: PrepareContext): Promise<void> {
  const wanted = await readPreparation(document);
  const kubernetes = await inCluster(signal);
  if (kubernetes === undefined) {
    throw new Failure({
      kind: 'invalid',
      what: 'There is no service account here to ask Kubernetes with',
      next: 'This command is for the Job that the chart makes',
    });
  }
  await makePreparations({ kubernetes, log, hide }, wanted);
}
