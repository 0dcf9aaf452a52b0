import { unlessInterrupted } from '../concurrency/interrupt.ts';
import { forAll } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import type { DynamicConfig } from '../patroni/difference.ts';
import { firstConfig } from '../patroni/firstConfig.ts';
import { readConfig, sendConfig } from '../patroni/group.ts';
import { type ConfigureLock, takeConfigureLock } from '../patroni/lock.ts';
import { type GroupPlan, planGroup } from '../patroni/plan.ts';
import { describeChange, type GroupResult, logResult, resultOf } from '../patroni/report.ts';
import { restartGroup } from '../patroni/restartGroup.ts';
import { settleGroup } from '../patroni/settle.ts';
import { openTools, type Tools } from '../patroni/tools.ts';
import { checkGroup, invalidValues } from '../patroni/validate.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';

export interface ConfigureOptions {
  readonly dryRun: boolean;
  readonly output: 'text' | 'json';
}

/**
 * Sets the wanted parameters in Patroni's configuration of each group and waits until they are in force. Nothing is sent
 * before the values of all groups are checked.
 */
export async function configure(context: Context, options: ConfigureOptions): Promise<void> {
  const { log, spec } = context;
  const tools = await unlessInterrupted(context.signal, openTools(context));
  log.frame(`Configuring PostgreSQL parameters: ${spec.cluster.name}`);
  const configs = await forAll(tools.patroni.groups, (group) => firstConfig(context, group, tools));
  const { results, refusal } = options.dryRun
    ? await compare(context, configs, tools)
    : await underLock(context, tools);
  if (options.output === 'json') context.print(`${JSON.stringify({ groups: results }, undefined, 2)}\n`);
  if (refusal !== undefined) throw refusal;
  if (!options.dryRun) conclude(context, results);
}

async function compare(context: Context, configs: readonly DynamicConfig[], tools: Tools): Promise<Outcome> {
  const plans = await checkedPlans(context, configs, tools);
  return { results: plans.map((plan) => dryRun(context, plan)), refusal: undefined };
}

async function underLock(context: Context, tools: Tools): Promise<Outcome> {
  const lock = await takeConfigureLock(context, tools);
  try {
    // what was read before the lock was taken does not count
    const configs = await forAll(tools.patroni.groups, (group) => readConfig(group, tools.rest));
    return await carryOut(context, await checkedPlans(context, configs, tools), tools, lock);
  } finally {
    await lock.release();
  }
}

async function checkedPlans(
  context: Context,
  configs: readonly DynamicConfig[],
  tools: Tools,
): Promise<readonly GroupPlan[]> {
  const plans = tools.patroni.groups.flatMap((group, index) => {
    const config = configs[index];
    return config === undefined ? [] : [planGroup(context.spec, group, config)];
  });
  await check(context, plans, tools);
  return plans;
}

async function check(context: Context, plans: readonly GroupPlan[], tools: Tools): Promise<void> {
  const checked = await forAll(plans, async (plan) => ({ plan, ...(await checkGroup(context.spec, plan, tools)) }));
  if (checked.some(({ problems }) => problems.length > 0)) {
    throw invalidValues(checked.map(({ plan, problems }) => ({ label: plan.label, problems })));
  }
  for (const { plan, unasked } of checked) {
    if (unasked === undefined) continue;
    context.log.warn(`${plan.label}: no server could be asked whether it takes these values (${unasked})`);
  }
}

function dryRun(context: Context, plan: GroupPlan): GroupResult {
  const { changes } = plan.difference;
  context.log.line(`${plan.label}: ${count(changes.length)} to change`);
  for (const change of changes) context.log.line(describeChange(change), 1);
  return {
    group: plan.spec.group,
    changes,
    pendingRestart: [],
    commands: [],
    restarts: 0,
    unasked: {},
    unconfirmed: {},
  };
}

interface Outcome {
  readonly results: readonly GroupResult[];
  /** A group that must not be restarted. */
  readonly refusal: Failure | undefined;
}

/** The values go to all groups before anything is restarted, and restarts are one group after the other. */
async function carryOut(
  context: Context,
  plans: readonly GroupPlan[],
  tools: Tools,
  lock: ConfigureLock,
): Promise<Outcome> {
  const { log } = context;
  const sent = new Map<GroupPlan, number>();
  for (const plan of plans) {
    const { patch, changes } = plan.difference;
    if (changes.length > 0) {
      log.line(`${plan.label}: sending ${count(changes.length)}`);
      for (const change of changes) log.line(describeChange(change), 1);
    }
    if (patch === undefined) continue;
    await sendConfig(plan.spec, tools.rest, patch);
    // members need not react to a new record of names
    if (changes.length > 0) sent.set(plan, performance.now());
  }
  const states = new Map(
    await forAll(plans, async (plan) => [plan, await settleGroup(plan, tools, sent.get(plan))] as const),
  );
  const results: GroupResult[] = [];
  const refusals: Failure[] = [];
  for (const plan of plans) {
    let state = states.get(plan);
    if (state === undefined) continue;
    let restarts = 0;
    const { restart } = tools.patroni;
    if (restart === 'whenNeeded' && state.members.some(({ member }) => member.status?.pending !== undefined)) {
      log.line(`${plan.label}: restarting what needs it`);
      restarts = await restartUnlessRefused(plan, tools, log, refusals, lock);
      if (restarts > 0) state = await settleGroup(plan, tools, sent.get(plan));
    }
    const result = resultOf(plan, state, restarts, tools.patroni, context.spec.cluster.citus);
    log.line(`${plan.label}: ${summary(plan, result)}`);
    logResult(result, log);
    for (const stranger of state.strangers) {
      log.warn(`${stranger} is in the spec, but Patroni knows no such member of this group yet`, 1);
    }
    results.push(result);
  }
  return { results, refusal: refusals[0] };
}

/** A group that must not be restarted does not stop the others; one whose restart fails does. */
async function restartUnlessRefused(
  plan: GroupPlan,
  tools: Tools,
  log: LineLog,
  refusals: Failure[],
  lock: ConfigureLock,
): Promise<number> {
  try {
    return await restartGroup(plan, tools, log, lock);
  } catch (error) {
    if (!(error instanceof Failure) || error.details.kind !== 'refused') throw error;
    if (refusals.length > 0) log.warn(error.message);
    refusals.push(error);
    return 0;
  }
}

function summary(plan: GroupPlan, result: GroupResult): string {
  const names = Object.keys(plan.wanted);
  const waiting = result.pendingRestart.length;
  const inForce = names.filter((name) => !result.pendingRestart.some((pending) => pending.name === name)).length;
  const changed = result.changes.length === 0 ? 'nothing to change, ' : '';
  return `${changed}${count(inForce)} in force${waiting === 0 ? '' : `, ${waiting} waiting for a restart`}`;
}

function count(number: number): string {
  return number === 1 ? '1 parameter' : `${number} parameters`;
}

function conclude(context: Context, results: readonly GroupResult[]): void {
  const { log } = context;
  log.blank();
  if (results.every((result) => result.changes.length === 0 && result.restarts === 0)) log.line('Nothing was changed');
  log.frame(verdict(results));
}

/** "In force" is said of what every server has been asked about. */
function verdict(results: readonly GroupResult[]): string {
  const waiting = results.filter((result) => result.pendingRestart.length > 0).length;
  if (waiting > 0) return `Parameters are set; ${waiting} of ${results.length} groups wait for a restart`;
  const names = results.flatMap(({ unasked, unconfirmed }) => Object.keys({ ...unasked, ...unconfirmed }));
  if (names.length > 0) return `Parameters are set; not asked whether they are in force: ${names.join(', ')}`;
  return 'Parameters are in force!';
}
