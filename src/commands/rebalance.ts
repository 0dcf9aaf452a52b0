import { type Joined, joinCluster } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import { CITUS_VERSION } from '../objects/citusExtension.ts';
import { inTurn, rebalance } from '../reconcile/rebalance.ts';
import { rebalanceTools } from '../reconcile/rebalanceTools.ts';
import { refuseOtherServers } from '../reconcile/sameServers.ts';
import { serverDatabases } from '../reconcile/serverDatabases.ts';
import { Failure } from '../report/errors.ts';
import { REBALANCE_DEFAULTS } from '../spec/complete.ts';
import type { RebalanceOptions } from '../spec/types.ts';

export interface RebalanceCommandOptions {
  readonly names: readonly string[];
  /** In place of those of the entry. */
  readonly options: Partial<RebalanceOptions>;
}

/** Spreads the shards of databases over the nodes that take shards, and follows Citus until they are there. */
export async function rebalanceDatabases(context: Context, { names, options }: RebalanceCommandOptions): Promise<void> {
  refusePlain(context);
  const joined = await joinCluster(context);
  try {
    await refuseOtherServers(joined);
    await refuseWithoutShards(joined, names);
    for (const name of names) {
      const log = context.log.about({ database: name });
      log.frame(`Rebalancing database: ${name}`);
      const declared = context.spec.databases.find((database) => database.name === name)?.rebalance.options;
      const tools = rebalanceTools(joined, name, { signal: context.signal, log });
      await inTurn(tools, () => rebalance(tools, { ...REBALANCE_DEFAULTS, ...declared, ...options }, 'rebalance'));
      log.frame(`The shards of database '${name}' are balanced`);
      await joined.sessions.closeDatabase(name);
    }
  } finally {
    await joined.sessions.close();
  }
}

/** Before anything is moved: names on the command line may be wrong. */
async function refuseWithoutShards(joined: Joined, names: readonly string[]): Promise<void> {
  const { open: existing } = await serverDatabases(joined);
  const unknown = names.find((name) => !existing.includes(name));
  if (unknown !== undefined) {
    throw new Failure({
      kind: 'invalid',
      what: `There is no database '${unknown}' to rebalance`,
      next: 'Correct the name. Nothing was moved',
    });
  }
  for (const database of names) {
    const session = await joined.sessions.get(joined.coordinator, database);
    if ((await session.query(CITUS_VERSION)).rows.length > 0) continue;
    throw new Failure({
      kind: 'invalid',
      what: `Database '${database}' has no shards: the extension citus is not in it`,
      next: 'Name a database with Citus. Nothing was moved',
    });
  }
}

export function refusePlain({ spec }: Context): void {
  if (spec.cluster.citus) return;
  throw new Failure({
    kind: 'invalid',
    what: 'Plain PostgreSQL has no shards (cluster.citus is false)',
    next: 'Run this on a Citus cluster',
  });
}
