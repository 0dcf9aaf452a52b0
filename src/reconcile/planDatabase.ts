import { allNodes, databaseNodes } from '../cluster/topology.ts';
import type { InitSqlDecision } from '../initSql/policy.ts';
import { type Item, isChange, type StepNumber } from '../objects/change.ts';
import { label, origin, type Situation } from './situation.ts';
import {
  authinfoItems,
  coordinatorCitusItems,
  coordinatorDatabaseItems,
  coordinatorExtensionItems,
  intentItems,
  parameterItems,
  parameterWarningItems,
  registrationItems,
  roleItems,
  schemaItems,
  workerInsideItems,
  workerServerItems,
} from './steps.ts';
import { stepHeading } from './stepTitles.ts';
import { privilegeItems, relationAccessItems, userItems } from './userSteps.ts';

export interface PlannedChange {
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
}

/** The same items that apply executes, all at once, as text. */
export function planDatabase(
  situation: Situation,
  initSql: InitSqlDecision | undefined,
  warnings: readonly string[],
): DatabasePlan {
  const { topology, database, spec } = situation;
  const { coordinator, workers, otherWorkers } = topology;
  const citus = spec.cluster.citus;
  const nodes = databaseNodes(topology);
  const items: readonly (readonly [StepNumber, readonly Item[]])[] = [
    [1, intentItems(situation)],
    [1, allNodes(topology).flatMap((node) => userItems(situation, node))],
    [
      1,
      citus
        ? workers.flatMap((node) => [...workerServerItems(situation, node), ...workerInsideItems(situation, node)])
        : [],
    ],
    [1, otherWorkers.flatMap((node) => roleItems(situation, node))],
    [2, coordinatorDatabaseItems(situation)],
    [3, citus ? coordinatorCitusItems(situation) : []],
    [4, coordinatorExtensionItems(situation)],
    [5, citus ? nodes.flatMap((node) => authinfoItems(situation, node)) : []],
    [6, citus ? registrationItems(situation) : []],
    [6, nodes.flatMap((node) => privilegeItems(situation, node))],
    [6, schemaItems(situation)],
    [7, nodes.flatMap((node) => relationAccessItems(situation, node))],
    [8, [...parameterWarningItems(situation), ...nodes.flatMap((node) => parameterItems(situation, node))]],
  ];
  const steps = ([1, 2, 3, 4, 5, 6, 7, 8] as const).map((step): PlannedStep => {
    const changes = items
      .filter(([number]) => number === step)
      .flatMap(([, list]) => list.filter(isChange))
      .map((change) => ({ node: label(situation, change.node), summary: change.summary }));
    const sql =
      step === 7 ? initSqlSummaries(initSql).map((summary) => ({ node: label(situation, coordinator), summary })) : [];
    const { number, title } = stepHeading(step, database.name, citus);
    return { step: number, title, changes: [...sql, ...changes] };
  });
  return {
    database: database.name,
    absent: origin(situation) === 'absent',
    steps: steps.filter((step) => step.changes.length > 0),
    differences: items.flatMap(([, list]) => list.filter(isChange)).length,
    warnings: [
      ...warnings,
      ...items.flatMap(([, list]) => list.flatMap((item) => (item.kind === 'warning' ? [item.text] : []))),
      ...(initSql?.kind === 'skip' ? [initSql.warning] : []),
      ...(initSql?.kind === 'record' && initSql.warning !== undefined ? [initSql.warning] : []),
    ],
  };
}

function initSqlSummaries(decision: InitSqlDecision | undefined): readonly string[] {
  if (decision === undefined) return [];
  if (decision.kind === 'record')
    return decision.units.map((unit) => `record line ${unit.line} as executed: ${unit.display}`);
  const units =
    decision.kind === 'run'
      ? decision.pending
      : decision.kind === 'runAlways'
        ? decision.units
        : decision.kind === 'unknownOutcome'
          ? [decision.unit, ...decision.pending]
          : [];
  return units.flatMap((unit) => (unit.kind === 'session' ? [] : [`execute line ${unit.line}: ${unit.display}`]));
}

/** initSQL with policy `always` runs every time and is no difference that anything could remove. */
export function hasChanges(plan: DatabasePlan, alwaysRuns: boolean): boolean {
  return plan.differences > 0 || (plan.steps.length > 0 && !alwaysRuns);
}

export function formatPlan(plan: DatabasePlan): string {
  const lines = [
    `Database '${plan.database}'${plan.absent ? ' does not exist yet; the plan takes it to be empty' : ''}`,
  ];
  for (const text of plan.warnings) lines.push(`  WARNING: ${text}`);
  if (plan.steps.length === 0) lines.push('  Nothing to do');
  for (const step of plan.steps) {
    lines.push('', `Step ${step.step}: ${step.title}`);
    for (const change of step.changes) lines.push(`  ${change.node}: ${change.summary}`);
  }
  return lines.join('\n');
}
