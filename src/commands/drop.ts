import { joinCluster } from '../cluster/join.ts';
import { allNodes, topologyOf } from '../cluster/topology.ts';
import { forAll } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import { originOf } from '../objects/bookkeeping.ts';
import { dropProblems, type Obstacles } from '../objects/dropDatabase.ts';
import { quoteShellWord } from '../postgres/quote.ts';
import { carryOut } from '../reconcile/carryOut.ts';
import { belongsToCluster, dropOnNode, observeObstaclesOf } from '../reconcile/dropDatabase.ts';
import { DROP_ORDER, dropSituation } from '../reconcile/dropOrder.ts';
import { locked } from '../reconcile/locked.ts';
import { observeServerOf } from '../reconcile/observe.ts';
import { problemsFailure } from '../reconcile/problemsFailure.ts';
import type { Run } from '../reconcile/run.ts';
import { refuseOtherServers } from '../reconcile/sameServers.ts';
import { WorkReport } from '../reconcile/workReport.ts';
import { Failure } from '../report/errors.ts';
import { undeclaredDatabase } from '../spec/complete.ts';
import type { DatabaseSpec, NodeSpec, Spec } from '../spec/types.ts';

export interface DropOptions {
  readonly database: string;
  /** Has to repeat the name. */
  readonly confirm: string | undefined;
  /** Also when this program did not make the database. */
  readonly unmanaged: boolean;
}

/** Removes one database from every node of the cluster, whatever the spec says of worker groups. */
export async function drop(context: Context, options: DropOptions): Promise<void> {
  const name = options.database;
  refuseProtected(context.spec, name);
  if (options.confirm !== name) {
    throw new Failure({
      kind: 'invalid',
      what: `Dropping database '${name}' must be confirmed with its name`,
      next: `All its data would be lost on every node. If that is meant: --confirm ${quoteShellWord(name)}`,
    });
  }
  const log = context.log.about({ database: name });
  const declared = context.spec.databases.find((database) => database.name === name);
  const database: DatabaseSpec = declared ?? undeclaredDatabase(name);
  log.frame(`Dropping database: ${name}`);
  if (declared !== undefined) {
    log.warn(
      `The spec still declares database '${name}': the next apply makes it again. Take it out of additionalDatabases`,
    );
  }
  const joined = await joinCluster(context);
  try {
    const servers = await refuseOtherServers(joined);
    await locked(context, joined, database, async (run) => {
      const topology = topologyOf(context.spec, joined.workers, { ...database, workerGroups: undefined });
      const nodes = allNodes(topology);
      const observed = await forAll(nodes, (node) => observeServerOf(run, node, database, []));
      const [coordinator] = observed;
      const row = coordinator?.bookkeeping?.row ?? null;
      const exists = nodes.filter((_, index) => observed[index]?.database !== null);
      if (exists.length === 0 && row === null) {
        log.line(`Database '${name}' does not exist on any node`);
        return;
      }
      const ours = row !== null && originOf(row, coordinator?.database ?? undefined) !== 'existing';
      const found = await forAll(exists, async (node) => ({ node, obstacles: await observeObstaclesOf(run, node) }));
      const foreign = ours ? await foreignOn(run, found, declared, row.state === 'dropping') : exists;
      if (foreign.length > 0 && !options.unmanaged) {
        throw new Failure({
          kind: 'refused',
          what: `Database '${name}' was not made by this program`,
          node: foreign.map((node) => run.label(node)).join(', '),
          next: 'Nothing was changed. To drop it anyway, add --unmanaged',
        });
      }
      const problems = found.flatMap(({ node, obstacles }) => dropProblems(name, obstacles, run.label(node)));
      if (problems.length > 0) {
        throw problemsFailure(problems, {
          database: name,
          what: `Database '${name}' cannot be dropped`,
          after: 'Nothing was changed',
        });
      }
      await carryOut(
        DROP_ORDER,
        dropSituation(name, topology, (node) => exists.includes(node)),
        {
          run,
          log,
          report: new WorkReport({ changes: 'dropped' }),
          observe: async () => (situation) => situation,
          withRegistrationLock: (body) => body(),
          execute: async ({ node }, within, lane) => {
            await dropOnNode(within, node, servers.get(node.group) ?? '', lane);
            return 1;
          },
        },
      );
    });
  } finally {
    await joined.sessions.close();
  }
  log.frame(`Database '${name}' is gone from every node`);
}

/**
 * Workers on which somebody else has a database of this name. Where the entry puts it, it is the entry's; elsewhere, as after
 * a group was taken out of the list, it has to show that it belongs to the cluster. In one whose DROP was cut off is nothing.
 */
async function foreignOn(
  run: Run,
  found: readonly { readonly node: NodeSpec; readonly obstacles: Obstacles }[],
  declared: DatabaseSpec | undefined,
  begun: boolean,
): Promise<readonly NodeSpec[]> {
  if (begun) return [];
  const placed = (group: number) =>
    group === 0 || (declared !== undefined && (declared.workerGroups?.includes(group) ?? true));
  const elsewhere = found.filter(({ node, obstacles }) => !placed(node.group) && obstacles.database?.invalid !== true);
  const belongs = await forAll(elsewhere, ({ node }) => belongsToCluster(run, node));
  return elsewhere.filter((_, index) => belongs[index] !== true).map(({ node }) => node);
}

function refuseProtected(spec: Spec, name: string): void {
  const reasons = new Map([
    ['postgres', "it is PostgreSQL's maintenance database, which holds this program's locks"],
    ['template0', 'it is a template of PostgreSQL'],
    ['template1', 'it is a template of PostgreSQL'],
    [spec.cluster.database, 'Patroni manages it (cluster.database)'],
  ]);
  const reason = reasons.get(name);
  if (reason === undefined) return;
  throw new Failure({
    kind: 'refused',
    what: `Database '${name}' is never dropped: ${reason}`,
    next: 'Name another database',
  });
}
