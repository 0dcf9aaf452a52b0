import { pause } from '../concurrency/interrupt.ts';
import { byGroup } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import type { Problem } from '../objects/change.ts';
import { readServerSettings, serverSettingsScript } from '../objects/server.ts';
import { versionProblems } from '../objects/versions.ts';
import { MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Interrupted } from '../report/errors.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Joined } from './join.ts';

export interface Patience {
  readonly maxAttempts: number;
  readonly retryDelaySeconds: number;
}

/**
 * Waits until the nodes have one version of PostgreSQL and of Citus, as long as nodes are waited for: in a rolling update
 * some run the old image for a while, or restart. Returns what differs in the end.
 */
export async function waitForOneVersion(
  context: Context,
  joined: Joined,
  nodes: readonly NodeSpec[],
  { maxAttempts, retryDelaySeconds }: Patience,
): Promise<readonly Problem[]> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await differences(context, joined, nodes).catch((error: unknown) => {
      if (error instanceof Interrupted || attempt >= maxAttempts) throw error;
      return describe(error);
    });
    if (typeof outcome !== 'string' && (outcome.length === 0 || attempt >= maxAttempts)) return outcome;
    const reason = typeof outcome === 'string' ? outcome : outcome.map(inWords).join('; ');
    context.log.line(`Waiting for nodes of one version... (attempt ${attempt}/${maxAttempts}: ${reason})`);
    await pause(1000 * retryDelaySeconds, context.signal);
  }
}

async function differences(context: Context, joined: Joined, nodes: readonly NodeSpec[]): Promise<readonly Problem[]> {
  const found = await byGroup(nodes, async (node) => {
    const session = await joined.sessions.get(node, MAINTENANCE_DATABASE);
    const results = await session.script(serverSettingsScript(), { joinable: true });
    const row = results.at(-1)?.rows[0] as { readonly observed: string } | undefined;
    if (row === undefined) throw new Error('the server returned no settings');
    return { label: joined.labels.get(node.group) ?? node.nodeName, settings: readServerSettings(row.observed) };
  });
  return versionProblems([...found.values()], context.spec.cluster.citus);
}

function inWords({ what, node }: Problem): string {
  return node === undefined ? what : `${node}: ${what}`;
}
