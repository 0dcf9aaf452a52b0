import type { ReportedFinding } from '../reconcile/finding.ts';
import type { DatabasePlan } from '../reconcile/planDatabase.ts';
import { Failure } from '../report/errors.ts';
import type { DatabaseSpec } from '../spec/types.ts';

/** A plan as the report has it; `problem`: why apply could not carry it out. */
interface ReportedPlan extends DatabasePlan {
  readonly problem?: string;
}

/** What is known of one database so far. */
interface Known {
  plan?: DatabasePlan;
  seen?: { readonly absent: boolean; readonly findings: readonly ReportedFinding[] };
}

const NOTHING_PLANNED = { absent: false, steps: [], differences: 0, warnings: [], findings: [] } as const;

/** What `plan --output json` says, also of databases that are refused. */
export class PlanReport {
  readonly #databases: readonly DatabaseSpec[];
  readonly #plans = new Map<string, ReportedPlan>();

  constructor(databases: readonly DatabaseSpec[]) {
    this.#databases = databases;
  }

  add(name: string, plan: DatabasePlan): void {
    this.#plans.set(name, plan);
  }

  /** Plans one database. Where that fails, the report has what was known by then, and the reason. */
  async of({ name }: DatabaseSpec, body: (known: Known) => Promise<void>): Promise<void> {
    const known: Known = {};
    try {
      await body(known);
    } catch (error) {
      if (error instanceof Failure) {
        const plan = known.plan ?? { ...NOTHING_PLANNED, database: name, ...known.seen };
        this.#plans.set(name, { ...plan, problem: error.message });
      }
      throw error;
    }
  }

  json(changes: boolean, undeclared: readonly string[]): string {
    const names = new Set([...this.#databases.map(({ name }) => name), ...this.#plans.keys()]);
    const databases = [...names].flatMap((name) => this.#plans.get(name) ?? []);
    return `${JSON.stringify({ changes, databases, undeclared }, undefined, 2)}\n`;
  }
}
