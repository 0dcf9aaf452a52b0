import type { ReportedFinding } from '../reconcile/finding.ts';
import { type ReportedStep, WorkReport } from '../reconcile/workReport.ts';
import { Failure } from '../report/errors.ts';
import type { DatabaseSpec } from '../spec/types.ts';

/** How the work on one database ended. */
export interface AppliedDatabase {
  readonly database: string;
  readonly ready: boolean;
  readonly steps: readonly ReportedStep[];
  /** What was wrong before anything was changed, what the run then healed included. */
  readonly findings: readonly ReportedFinding[];
  readonly problem?: string;
}

/** The report of `apply --output json`: of each database what is done, what failed and what was never reached. */
export class ApplyReport {
  readonly #databases: readonly DatabaseSpec[];
  readonly #changes: 'kept' | 'dropped';
  readonly #applied = new Map<string, AppliedDatabase>();

  /** `changes: 'dropped'`: without what was changed. */
  constructor(databases: readonly DatabaseSpec[], { changes }: { readonly changes: 'kept' | 'dropped' }) {
    this.#databases = databases;
    this.#changes = changes;
  }

  /** Records how the work on one database ends. */
  async of({ name }: DatabaseSpec, work: (report: WorkReport) => Promise<void>): Promise<void> {
    const report = new WorkReport({ changes: this.#changes });
    try {
      await work(report);
      this.#applied.set(name, { database: name, ready: true, steps: report.steps, findings: report.findings });
    } catch (error) {
      const problem = error instanceof Failure ? { problem: error.message } : {};
      this.#applied.set(name, {
        ...{ database: name, ready: false, steps: report.steps, findings: report.findings },
        ...problem,
      });
      throw error;
    }
  }

  json(): string {
    // A database that was never begun has no steps.
    const databases = this.#databases.map(
      ({ name }) => this.#applied.get(name) ?? { database: name, ready: false, steps: [], findings: [] },
    );
    return `${JSON.stringify({ ready: databases.every(({ ready }) => ready), databases }, undefined, 2)}\n`;
  }
}
