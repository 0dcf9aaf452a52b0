import type { Joined } from './cluster/join.ts';
import { allNodes, databaseNodes, topologyOf } from './cluster/topology.ts';
import type { Context } from './context.ts';
import { observeAvailabilityOf, observeDatabaseOf, observeServerOf } from './execute/observe.ts';
import { forAll } from './execute/parallel.ts';
import type { Run } from './execute/run.ts';
import type { Problem } from './objects/change.ts';
import { refusal } from './objects/initSql/ledger.ts';
import { decideInitSql, type InitSqlDecision } from './objects/initSql/policy.ts';
import type { Script } from './objects/initSql/types.ts';
import { ownersOf } from './objects/role.ts';
import { missingExtensions, type Preflight, preflight } from './plan/preflight.ts';
import { inside, origin, type Situation } from './plan/situation.ts';
import { Failure } from './report/errors.ts';
import type { DatabaseSpec } from './spec/types.ts';

/** Looks at every node: first the servers, then inside the database wherever it exists. Two round trips for each. */
export async function look(context: Context, joined: Joined, run: Run, database: DatabaseSpec): Promise<Situation> {
  const topology = topologyOf(context.spec, joined.workers, database);
  const nodes = allNodes(topology);
  const roles = ownersOf(database);
  const servers = new Map(
    await forAll(nodes, async (node) => [node.group, await observeServerOf(run, node, database, roles)] as const),
  );
  const existing = databaseNodes(topology).filter((node) => {
    const observed = servers.get(node.group)?.database;
    return observed?.allowConnections === true;
  });
  const contents = new Map(
    await forAll(existing, async (node) => [node.group, await observeDatabaseOf(run, node, database)] as const),
  );
  return {
    spec: context.spec,
    database,
    topology,
    labels: joined.labels,
    servers,
    inside: contents,
    password: context.access.password,
  };
}

/** Finds everything that would stop the run later; throws it all in one Failure, or returns what to warn of. */
export async function check(run: Run, situation: Situation): Promise<Preflight> {
  const lacking = databaseNodes(situation.topology).filter((node) => missingExtensions(situation, node).length > 0);
  const available = new Map(
    await forAll(lacking, async (node) => {
      const names = missingExtensions(situation, node).map((extension) => extension.name);
      return [node.group, await observeAvailabilityOf(run, node, names)] as const;
    }),
  );
  const result = preflight(situation, available);
  if (result.problems.length > 0) throw preflightFailure(situation.database.name, result.problems);
  return result;
}

/** Decisions about initSQL that let the run go on. */
export type AcceptedInitSql = Exclude<InitSqlDecision, { kind: 'refused' }>;

/** What to do with initSQL, now that the ledger is known; refuses when what was executed is no prefix of the script. */
export function decide(situation: Situation, script: Script | undefined): AcceptedInitSql | undefined {
  if (script === undefined) return undefined;
  const { coordinator } = situation.topology;
  const decision = decideInitSql({
    policy: situation.database.initSQLPolicy,
    units: script.units,
    ledger: inside(situation, coordinator).ledger?.rows ?? 'absent',
    managed: origin(situation) !== 'existing',
  });
  if (decision.kind === 'refused') throw refusal(decision, situation.database.name);
  return decision;
}

/** What makes running again useless outweighs what might pass. */
function preflightFailure(database: string, problems: readonly Problem[]): Failure {
  const kinds = ['invalid', 'refused', 'failed'] as const;
  const kind = kinds.find((candidate) => problems.some((problem) => problem.kind === candidate)) ?? 'failed';
  const [only] = problems;
  if (problems.length === 1 && only !== undefined) {
    return new Failure({ kind, what: only.what, node: only.node, database, next: `${only.next}. Nothing was changed` });
  }
  const lines = problems.map(
    (problem) => `${problem.node === undefined ? '' : `${problem.node}: `}${problem.what}\n  Next: ${problem.next}`,
  );
  return new Failure({
    kind,
    what: `Database '${database}' cannot be made ready: ${problems.length} problems`,
    cause: `\n${lines.join('\n')}`,
    next: 'Mend them and run again. Nothing was changed',
  });
}
