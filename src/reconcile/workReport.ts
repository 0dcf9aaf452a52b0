import type { NodeSpec } from '../spec/types.ts';
import type { ReportedFinding } from './finding.ts';
import type { Step, Work } from './work.ts';

export interface ReportedNode {
  readonly node: string;
  /** Nothing to do counts as done. */
  status: 'done' | 'failed' | 'notReached';
  /** What was changed, in the words of `plan`. */
  readonly changes: string[];
}

export interface ReportedStep {
  readonly step?: number;
  readonly title?: string;
  readonly work: readonly { readonly name: string; readonly nodes: readonly ReportedNode[] }[];
}

/** For each piece of work and node whether it is done, failed or was never reached: what a failed run leaves open. */
export class WorkReport {
  readonly #keepsChanges: boolean;
  #steps: readonly ReportedStep[] = [];
  #findings: readonly ReportedFinding[] = [];

  /** `changes: 'dropped'`: nobody is going to read them, and initSQL may have thousands. */
  constructor({ changes }: { readonly changes: 'kept' | 'dropped' }) {
    this.#keepsChanges = changes === 'kept';
  }

  /** Empty as long as nobody knows what there would be to do. */
  get steps(): readonly ReportedStep[] {
    return this.#steps;
  }

  /** What was wrong when the run began. */
  get findings(): readonly ReportedFinding[] {
    return this.#findings;
  }

  observed(findings: readonly ReportedFinding[]): void {
    this.#findings = findings;
  }

  expect<State>(order: readonly Step<State>[], state: State, label: (node: NodeSpec) => string): void {
    this.#labelOf = label;
    this.#steps = order.map(({ heading, works }) => ({
      ...(heading === undefined ? {} : { step: heading.number, title: heading.title(state) }),
      work: works.map((work) => ({
        name: work.name,
        nodes: work
          .nodes(state)
          .flat()
          .map((node): ReportedNode => ({ node: label(node), status: 'notReached', changes: [] })),
      })),
    }));
  }

  changed<State>(work: Work<State>, node: NodeSpec, summaries: () => readonly string[]): void {
    if (!this.#keepsChanges) return;
    const { changes } = this.#find(work.name, node);
    for (const summary of summaries()) changes.push(summary);
  }

  end<State>(work: Work<State>, node: NodeSpec, status: 'done' | 'failed'): void {
    this.#find(work.name, node).status = status;
  }

  #labelOf: (node: NodeSpec) => string = () => '';

  #find(name: string, node: NodeSpec): ReportedNode {
    const work = this.#steps.flatMap((step) => step.work).find((candidate) => candidate.name === name);
    const found = work?.nodes.find((candidate) => candidate.node === this.#labelOf(node));
    if (found === undefined) throw new Error(`work '${name}' on ${this.#labelOf(node)} is in no order`);
    return found;
  }
}
