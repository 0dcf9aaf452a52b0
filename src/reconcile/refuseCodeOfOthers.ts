import { forAll } from '../concurrency/parallel.ts';
import { OTHERS_HAVE_A_PART } from '../initSql/othersCode.ts';
import { carriedCodeProblems, carriedCodeScript, readCarriedCode } from '../objects/carriedCode.ts';
import type { Problem } from '../objects/change.ts';
import { ACTIVE_WORKERS } from '../objects/citusNode.ts';
import { falseShardsScript, readFalseShards } from '../objects/shard.ts';
import { UNPINNED } from '../objects/superuserSetting.ts';
import type { Session } from '../postgres/connection.ts';
import type { Sessions } from '../postgres/sessions.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { NodeSpec } from '../spec/types.ts';
import { problemsFailure } from './problemsFailure.ts';
import type { RebalanceTools } from './rebalanceTools.ts';
import { unknownShardProblems } from './unknownShardProblems.ts';
import { findUnknownShards } from './unknownShards.ts';

/**
 * Citus reads a shard, and writes its copy, as whoever asks for it: what is behind either then runs with a superuser's rights.
 */
export async function refuseCodeOfOthers(tools: RebalanceTools, session: Session): Promise<void> {
  const { database, label } = tools;
  const { rows, nodes } = await nodesOf(tools, session);
  const carried = await forAll(nodes, async (node) => ({
    label: label(node),
    found: readCarriedCode(await observedOn(tools, node, carriedCodeScript())),
  }));
  const problems = [
    ...carriedCodeProblems(carried, 'Moving shards'),
    ...(await falseShards(tools, nodes)),
    ...(await unseenShards(tools, session, rows)),
    ...(await unpinned(tools, nodes)),
    ...(await unknownToCoordinator(tools, nodes)),
  ];
  if (problems.length === 0) return;
  throw problemsFailure(problems, {
    database,
    what: `Shards of database '${database}' are not moved`,
    after: 'Nothing of this database was moved',
  });
}

/** For a command that works in databases which nobody declares: before it changes anything in one of them. */
export async function refuseUnpinned(tools: RebalanceTools, command: string): Promise<void> {
  const { sessions, coordinator, database } = tools;
  const { nodes } = await nodesOf(tools, await sessions.get(coordinator, database));
  const problems = [...(await unpinned(tools, nodes)), ...(await unknownToCoordinator(tools, nodes))];
  if (problems.length === 0) return;
  throw problemsFailure(problems, { database, what: `${command} does not begin`, after: 'Nothing was changed' });
}

/** The coordinator, and the declared workers that have the database. */
async function nodesOf({ coordinator, workers }: RebalanceTools, session: Session) {
  const { rows } = await session.query<ActiveWorker>(ACTIVE_WORKERS);
  return {
    rows,
    nodes: [coordinator, ...workers.filter(({ group }) => rows.some(({ groupid }) => groupid === group))],
  };
}

/** Shards would be moved, and nodes removed, by metadata that is not the latest. */
async function unknownToCoordinator(tools: RebalanceTools, nodes: readonly NodeSpec[]): Promise<readonly Problem[]> {
  const { coordinator, database, label } = tools;
  const suspects = nodes.filter((node) => node !== coordinator);
  const unknown = await findUnknownShards({ coordinator, suspects, nodes }, async (node, script) => {
    try {
      return await observedOn(tools, node, script);
    } catch (error) {
      if (isWithoutDatabase(error)) return '{}';
      throw error;
    }
  });
  const labels = new Map(nodes.map((node) => [node.group, label(node)]));
  return unknownShardProblems(unknown, { database, label: (group) => labels.get(group) ?? `group ${group}` });
}

/** `apply` pins what a superuser starts with in a declared database (superuserSetting.ts). */
async function unpinned(tools: RebalanceTools, nodes: readonly NodeSpec[]): Promise<readonly Problem[]> {
  const { sessions, database, label } = tools;
  const found = await forAll(nodes, async (node): Promise<readonly Problem[]> => {
    const statements = await missingSettings(sessions, node, database);
    if (statements === undefined) return [];
    return [
      {
        kind: 'refused',
        what: `Others may create functions in database '${database}', or have, and Citus would run them as superuser`,
        node: label(node),
        next: `Declare the database and run citus-databases apply, which gives the superuser a safe search_path there; or, on that node: ${statements}`,
      },
    ];
  });
  return found.flat();
}

async function missingSettings(sessions: Sessions, node: NodeSpec, database: string): Promise<string | undefined> {
  try {
    const session = await sessions.get(node, database);
    const results = await session.script<{ readonly statements: string | null }>(UNPINNED);
    return results.at(-1)?.rows[0]?.statements ?? undefined;
  } catch (error) {
    if (isWithoutDatabase(error)) return undefined;
    throw error;
  }
}

/** A node that lost its database: Citus cannot connect to it either. */
function isWithoutDatabase(error: unknown): boolean {
  return codeOf(error) === SQLSTATE.invalidCatalogName;
}

interface ActiveWorker {
  readonly groupid: number;
  readonly nodename: string;
  readonly nodeport: number;
}

/** A node that nobody declares is not connected to; where others own nothing, there is nothing to look for. */
async function unseenShards(
  { workers }: RebalanceTools,
  session: Session,
  active: readonly ActiveWorker[],
): Promise<readonly Problem[]> {
  const undeclared = active.filter(({ groupid }) => !workers.some(({ group }) => group === groupid));
  if (undeclared.length === 0) return [];
  const results = await session.script<{ readonly others: boolean }>(OTHERS_HAVE_A_PART);
  if (results.at(-1)?.rows[0]?.others !== true) return [];
  return undeclared.map(({ groupid, nodename, nodeport }) => ({
    kind: 'refused',
    what: `Group ${groupid} is registered and not declared: what others placed on its shards cannot be seen`,
    node: `${nodename}:${nodeport}`,
    next: 'Declare it among the workers until its shards are moved, and run again',
  }));
}

async function falseShards(tools: RebalanceTools, nodes: readonly NodeSpec[]): Promise<readonly Problem[]> {
  const found = await forAll(
    nodes,
    async (node): Promise<readonly Problem[]> =>
      readFalseShards(await observedOn(tools, node, falseShardsScript())).map((shard) => ({
        kind: 'refused',
        what: `Shard ${shard} is no table like the one it belongs to: moving it would run what is behind it as superuser`,
        node: tools.label(node),
        next: `Find out who put it in the place of the shard: what is missing of it has to come from a backup`,
      })),
  );
  return found.flat();
}

async function observedOn({ sessions, database }: RebalanceTools, node: NodeSpec, script: string): Promise<string> {
  const session = await sessions.get(node, database);
  return (await session.script<{ readonly observed: string }>(script)).at(-1)?.rows[0]?.observed ?? '{}';
}
