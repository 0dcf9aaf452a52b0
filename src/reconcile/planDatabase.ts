import { type Change, isChange, type Procedure } from '../objects/change.ts';
import { quoteShellWord } from '../postgres/quote.ts';
import { oneLine } from '../report/visible.ts';
import { isDue } from './executeItems.ts';
import type { ReportedFinding } from './finding.ts';
import { findingsOf, remarks, reported } from './findings.ts';
import { orderOf } from './order.ts';
import { label, origin, type Situation } from './situation.ts';
import { nodesOfStage, type Step, stagesOf } from './work.ts';

export interface PlannedChange {
  /** What is new, statements of initSQL included, or what exists and is changed. */
  readonly action: 'create' | 'change';
  readonly node: string;
  readonly summary: string;
}

export interface PlannedStep {
  /** As the log counts: fewer without Citus. */
  readonly step: number;
  readonly title: string;
  readonly changes: readonly PlannedChange[];
}

/** What apply would do with one database; steps without changes are left out. */
export interface DatabasePlan {
  readonly database: string;
  /** Not there yet: the plan takes it to be empty, which template1 may prove wrong. */
  readonly absent: boolean;
  readonly steps: readonly PlannedStep[];
  /** How many changes there are beside initSQL. */
  readonly differences: number;
  readonly warnings: readonly string[];
  /** What is wrong with what exists. */
  readonly findings: readonly ReportedFinding[];
}

/** What the order of work has to do in this situation, all at once. */
export function planDatabase(
  situation: Situation,
  warnings: readonly string[],
  order: readonly Step<Situation>[] = orderOf(situation),
): DatabasePlan {
  return planOf(situation, warnings, order);
}

/** The same for an order of work that needs to know more than a Situation says. */
export function planOf<State extends Situation>(
  situation: State,
  warnings: readonly string[],
  order: readonly Step<State>[],
): DatabasePlan {
  const items = stagesOf(order).flatMap((stage) =>
    nodesOfStage(stage, situation).flatMap(({ node, works }) =>
      works.flatMap((work) => work.items(situation, node).map((item) => ({ step: stage.step, node, item }))),
    ),
  );
  const listed = new Set<string>();
  const due = items.flatMap(({ step, node, item }) => {
    if (!isDue(item)) return [];
    const summaries = item.kind === 'change' ? [item.summary] : item.summaries;
    // What a piece of work does, a later one finds done: rights on schemas stand in two pieces.
    const fresh = summaries.filter((summary) => !listed.has(`${node.group} ${summary}`));
    for (const summary of fresh) listed.add(`${node.group} ${summary}`);
    return fresh.map((summary) => ({
      step,
      isChange: isChange(item),
      change: { action: actionOf(item), node: label(situation, node), summary },
    }));
  });
  return {
    database: situation.database.name,
    absent: origin(situation) === 'absent',
    steps: order.flatMap((step) => {
      const changes = due.filter((candidate) => candidate.step === step).map(({ change }) => change);
      return changes.length === 0 ? [] : [{ ...headingOf(step, situation), changes }];
    }),
    differences: due.filter((candidate) => candidate.isChange).length,
    findings: findingsOf(situation).map(reported),
    warnings: [
      ...warnings,
      ...remarks(situation),
      ...items.flatMap(({ item }) => (item.kind === 'warning' ? [item.text] : [])),
    ],
  };
}

function actionOf(item: Change | Procedure): PlannedChange['action'] {
  return !isChange(item) || item.creates === true ? 'create' : 'change';
}

function headingOf<State>(
  { heading }: Step<State>,
  situation: State,
): { readonly step: number; readonly title: string } {
  return { step: heading?.number ?? 0, title: heading?.planned(situation) ?? '' };
}

/** initSQL with policy `always` runs every time and is no difference that anything could remove. */
export function hasChanges(plan: DatabasePlan, alwaysRuns: boolean): boolean {
  return plan.differences > 0 || (plan.steps.length > 0 && !alwaysRuns);
}

const MARKS = { create: '+', change: '~' } as const;

/** What is kept though no entry declares it any more; undefined where there is nothing. */
export function formatUndeclared(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const [name = ''] = names;
  if (names.length === 1) {
    return `! Not in this spec, though this program created it: database '${oneLine(name)}'. apply leaves it as it is; to drop it: citus-databases drop ${quoteShellWord(name)} --confirm ${quoteShellWord(name)}`;
  }
  const list = names.map((each) => `'${oneLine(each)}'`).join(', ');
  return `! Not in this spec, though this program created them: databases ${list}. apply leaves them as they are; to drop one: citus-databases drop NAME --confirm NAME`;
}

export function formatPlan(plan: DatabasePlan): string {
  const lines = [
    `Database '${plan.database}'${plan.absent ? ' does not exist yet; the plan takes it to be empty' : ''}`,
  ];
  for (const text of plan.warnings) lines.push(`  WARNING: ${oneLine(text)}`);
  if (plan.steps.length === 0) lines.push('  Nothing to do');
  for (const step of plan.steps) {
    lines.push('', `Step ${step.step}: ${step.title}`);
    for (const { action, node, summary } of step.changes) lines.push(`  ${MARKS[action]} ${node}: ${oneLine(summary)}`);
  }
  return lines.join('\n');
}

/** One line for all databases; undefined where there is nothing to do. */
export function formatTotal(plans: readonly DatabasePlan[]): string | undefined {
  const changes = plans.flatMap(({ steps }) => steps.flatMap((step) => step.changes));
  if (changes.length === 0) return undefined;
  const nodes = new Set(changes.map(({ node }) => node)).size;
  return `${changes.length} to change on ${nodes} ${nodes === 1 ? 'node' : 'nodes'}. Nothing has been changed yet.`;
}
