import type { Joined } from '../cluster/join.ts';
import type { Sessions } from '../postgres/sessions.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';

/** With what shards of one database are moved. */
export interface RebalanceTools {
  readonly sessions: Sessions;
  readonly coordinator: NodeSpec;
  readonly workers: readonly NodeSpec[];
  readonly label: (node: NodeSpec) => string;
  readonly database: string;
  readonly signal: AbortSignal;
  readonly log: LineLog;
}

export function rebalanceTools(
  { sessions, coordinator, workers, labels }: Joined,
  database: string,
  { signal, log }: Pick<RebalanceTools, 'signal' | 'log'>,
): RebalanceTools {
  const label = (node: NodeSpec) => labels.get(node.group) ?? node.nodeName;
  return { sessions, coordinator, workers, label, database, signal, log };
}
