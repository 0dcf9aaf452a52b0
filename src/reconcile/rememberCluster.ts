import { remembers } from '../cluster/release.ts';
import type { LineLog } from '../report/stepLog.ts';
import { seenCluster } from './identity.ts';
import type { Situation } from './situation.ts';

/** Before anything is made in a cluster that was found to be the release's own; says nothing where nothing is new. */
export async function rememberCluster(situation: Situation, log: Pick<LineLog, 'warn'>): Promise<void> {
  const { release } = situation;
  const seen = seenCluster(situation);
  if (release === undefined || seen === undefined) return;
  const { identity, unreadable } = release;
  if (identity !== undefined && remembers(identity, seen)) return;
  const reason = unreadable ?? (await release.write(seen));
  if (reason === undefined) return;
  log.warn(
    `Which cluster the release runs cannot be remembered (ConfigMap ${release.name}), and another one under its name would not be noticed: ${reason}`,
  );
}
