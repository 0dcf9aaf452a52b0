import { quoteShellWord } from '../postgres/quote.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { PatroniSpec } from '../spec/types.ts';
import type { ParameterChange } from './difference.ts';
import type { GroupPlan } from './plan.ts';
import { restartOrder } from './restart.ts';
import { restartMember } from './restMember.ts';
import type { GroupState } from './settle.ts';

/** What came of one group; the report in JSON is made of these. */
export interface GroupResult {
  readonly group: number;
  readonly changes: readonly ParameterChange[];
  /** Parameters that wait for a restart; among them may be some that follow from others, or were set by hand. */
  readonly pendingRestart: readonly PendingRestart[];
  /** What restarts them, in this order. */
  readonly commands: readonly string[];
  readonly restarts: number;
  /** Members that could not be asked, and why. */
  readonly unasked: Readonly<Record<string, string>>;
  /** Members whose servers could not be asked, and why: only Patroni says that they have the parameters. */
  readonly unconfirmed: Readonly<Record<string, string>>;
}

export interface PendingRestart {
  readonly name: string;
  /** undefined: Patroni does not tell. */
  readonly value: string | undefined;
  readonly members: readonly string[];
}

export function resultOf(
  plan: GroupPlan,
  state: GroupState,
  restarts: number,
  patroni: PatroniSpec,
  citus: boolean,
): GroupResult {
  const order = restartOrder(state.members.map(({ member }) => restartMember(member)));
  return {
    group: plan.spec.group,
    changes: plan.difference.changes,
    pendingRestart: pendingRestarts(plan, state),
    commands: order.map((member) => restartCommand(member, plan.spec.group, patroni, citus)),
    restarts,
    unasked: Object.fromEntries(
      state.members.flatMap(({ member, progress, reason }) =>
        progress === undefined ? [[member.name, reason ?? 'no answer']] : [],
      ),
    ),
    unconfirmed: Object.fromEntries(
      state.members.flatMap(({ member, progress, settings, reason }) =>
        progress !== undefined && settings === undefined && member.sql !== undefined
          ? [[member.name, reason ?? 'no answer']]
          : [],
      ),
    ),
  };
}

function pendingRestarts(plan: GroupPlan, state: GroupState): readonly PendingRestart[] {
  const found = new Map<string, { value: string | undefined; members: string[] }>();
  for (const { member, progress } of state.members) {
    const own = [...(progress ?? [])].filter(([, step]) => step === 'needsRestart').map(([name]) => name);
    const told = new Map(member.status?.pending?.map((parameter) => [parameter.name, parameter.newValue]));
    for (const name of new Set([...own, ...told.keys()])) {
      const entry = found.get(name) ?? { value: plan.wanted[name] ?? told.get(name), members: [] };
      entry.members.push(member.name);
      found.set(name, entry);
    }
  }
  return [...found].map(([name, entry]) => ({ name, ...entry })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
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

export function logResult(result: GroupResult, log: LineLog): void {
  const waiting = new Set(result.pendingRestart.map(({ name }) => name));
  for (const { name, to } of result.changes) {
    if (!waiting.has(name)) log.line(`✓ ${name} ${to === undefined ? 'is back at its default' : `= ${to}`}`, 1);
  }
  for (const { name, value, members } of result.pendingRestart) {
    log.line(`${name}${value === undefined ? '' : ` = ${value}`}: waits for a restart of ${members.join(', ')}`, 1);
  }
  if (result.commands.length > 0) {
    log.line(result.commands.length === 1 ? 'Restart it with:' : 'Restart them, in this order, with:', 1);
    for (const command of result.commands) log.line(command, 2);
  }
  for (const [member, reason] of Object.entries(result.unasked)) {
    log.warn(`${member} could not be asked (${reason}); it takes its parameters from Patroni when it comes back`, 1);
  }
  for (const [member, reason] of Object.entries(result.unconfirmed)) {
    log.warn(`The server of ${member} could not be asked (${reason}): only Patroni says that it has the parameters`, 1);
  }
}
