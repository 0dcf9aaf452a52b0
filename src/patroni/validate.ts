import { poll } from '../concurrency/poll.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { Spec } from '../spec/types.ts';
import { checkValues } from './check.ts';
import { listItems } from './lists.ts';
import type { GroupPlan } from './plan.ts';
import { judge, type ServerJudgement } from './serverSettings.ts';
import type { Tools } from './tools.ts';

/** A server may be starting: it is given so long, at most. Without changes too, because an install has only been seeded. */
const PATIENCE_MS = 30_000;
const POLL_MS = 2_000;

/** What the checks of one group found. */
export interface Checked {
  readonly problems: readonly string[];
  /** Why no server of the group could be asked; undefined: one was. */
  readonly unasked: string | undefined;
}

/** Checks a group's values with the help of any server of the group that answers. */
export async function checkGroup(spec: Spec, plan: GroupPlan, tools: Tools): Promise<Checked> {
  const asked = await askServers(plan, tools);
  const judgement = asked.judgement;
  const problems = checkValues({
    wanted: plan.wanted,
    memoryLimit: plan.spec.memoryLimit,
    citus: spec.cluster.citus,
    databases: new Set([
      spec.cluster.database,
      ...spec.databases.map((database) => database.name),
      ...(judgement?.citusDatabases ?? []),
    ]),
    known: judgement?.known,
    missingLibraries: judgement?.missingLibraries ?? [],
    refused: judgement?.refused ?? new Map(),
  });
  return { problems, unasked: asked.reason };
}

interface Asked {
  readonly judgement: ServerJudgement | undefined;
  readonly reason: string | undefined;
}

async function askServers(plan: GroupPlan, tools: Tools): Promise<Asked> {
  const deadline = performance.now() + Math.min(PATIENCE_MS, tools.patroni.timeoutSeconds * 1000);
  const libraries = listItems(plan.wanted['shared_preload_libraries'] ?? '');
  let reason: string | undefined;
  async function askEach(): Promise<ServerJudgement | undefined> {
    reason = undefined;
    for (const member of plan.spec.members) {
      try {
        return await judge(plan.spec.group, member, tools.sql, plan.wanted, libraries);
      } catch (error) {
        tools.signal.throwIfAborted();
        reason ??= `${member.host}:${member.port}: ${describe(error)}`;
      }
    }
    return undefined;
  }
  const judgement = await poll(askEach, { everyMs: POLL_MS, deadline, signal: tools.signal });
  return { judgement, reason: judgement === undefined ? reason : undefined };
}

/** One Failure for all groups; what is wrong in several of them is said once. */
export function invalidValues(found: readonly { readonly label: string; readonly problems: readonly string[] }[]) {
  const groups = new Map<string, string[]>();
  for (const { label, problems } of found) {
    for (const problem of problems) groups.set(problem, [...(groups.get(problem) ?? []), label]);
  }
  const lines = [...groups].map(([problem, labels]) =>
    labels.length === found.length ? problem : `${labels.join(', ')}: ${problem}`,
  );
  return new Failure({
    kind: 'invalid',
    what: `The parameters have ${lines.length === 1 ? '1 problem' : `${lines.length} problems`}:${lines.map((line) => `\n  ${line}`).join('')}`,
    next: 'Correct patroni.parameters, or patroni.postgresql.parameters in the values. Nothing was sent',
  });
}
