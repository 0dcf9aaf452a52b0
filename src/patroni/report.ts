import { quoteShellWord } from '../objects/quote.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { PatroniSpec } from '../spec/types.ts';
import type { ParameterChange } from './difference.ts';
import { type GroupPlan, watched } from './plan.ts';
import { restartOrder } from './restart.ts';
import { restartMember } from './restMember.ts';
import type { GroupState } from './settle.ts';

/** What came of one group; the report in JSON is made of these. */
export interface GroupResult {
  readonly group: number;
  readonly changes: readonly ParameterChange[];
  /** Members by parameter; empty when everything is in force. */
  readonly pendingRestart: Readonly<Record<string, readonly string[]>>;
  /** What restarts them, in this order. */
  readonly commands: readonly string[];
  readonly restarts: number;
  /** Members that could not be asked, and why. */
  readonly unasked: Readonly<Record<string, string>>;
}

export function resultOf(
  plan: GroupPlan,
  state: GroupState,
  restarts: number,
  patroni: PatroniSpec,
  citus: boolean,
): GroupResult {
  const pending: Record<string, string[]> = {};
  for (const { member, progress } of state.members) {
    const own = watched(plan).filter(({ name }) => progress?.get(name) === 'needsRestart');
    const others = member.status?.pending?.map((parameter) => parameter.name) ?? [];
    for (const name of new Set([...own.map((parameter) => parameter.name), ...others])) {
      pending[name] = [...(pending[name] ?? []), member.name];
    }
  }
  const order = restartOrder(state.members.map(({ member }) => restartMember(member)));
  return {
    group: plan.spec.group,
    changes: plan.difference.changes,
    pendingRestart: pending,
    commands: order.map((member) => restartCommand(member, plan.spec.group, patroni, citus)),
    restarts,
    unasked: Object.fromEntries(
      state.members.flatMap(({ member, progress, reason }) =>
        progress === undefined ? [[member.name, reason ?? 'no answer']] : [],
      ),
    ),
  };
}

function restartCommand(member: string, group: number, patroni: PatroniSpec, citus: boolean): string {
  return [
    patroni.patronictl,
    'restart',
    quoteShellWord(patroni.scope),
    quoteShellWord(member),
    ...(citus ? ['--group', String(group)] : []),
    '--pending',
  ].join(' ');
}

/** `work_mem: 4MB -> 16MB` */
export function describeChange({ name, from, to }: ParameterChange): string {
  if (to === undefined) return `${name}: ${from} -> its default`;
  return from === undefined ? `${name}: ${to}` : `${name}: ${from} -> ${to}`;
}

export function logResult(plan: GroupPlan, result: GroupResult, log: LineLog): void {
  const pending = Object.entries(result.pendingRestart);
  const names = new Set(pending.map(([name]) => name));
  for (const { name, to } of result.changes) {
    if (!names.has(name)) log.line(`✓ ${name} ${to === undefined ? 'is back at its default' : `= ${to}`}`, 1);
  }
  for (const [name, members] of pending) {
    const value = plan.wanted[name];
    log.line(`${name}${value === undefined ? '' : ` = ${value}`}: waits for a restart of ${members.join(', ')}`, 1);
  }
  if (result.commands.length > 0) {
    log.line(result.commands.length === 1 ? 'Restart it with:' : 'Restart them, in this order, with:', 1);
    for (const command of result.commands) log.line(command, 2);
  }
  for (const [member, reason] of Object.entries(result.unasked)) {
    log.warn(`${member} could not be asked (${reason}); it takes its parameters from Patroni when it comes back`, 1);
  }
}
