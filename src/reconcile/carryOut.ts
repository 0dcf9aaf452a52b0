import type { Change, Item, Procedure } from '../objects/change.ts';
import { holdBack } from '../report/heldLog.ts';
import type { LineLog, StepLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import { executeItems, isDue } from './executeItems.ts';
import { executeInParallel, type NodeWork } from './lanes.ts';
import { type Run, withOneLockCheck } from './run.ts';
import { type Line, nodesOfStage, type Observable, type Stage, type Step, stagesOf, type Work } from './work.ts';
import type { WorkReport } from './workReport.ts';

export interface Tools<State> {
  readonly run: Run;
  readonly log: StepLog;
  readonly report: WorkReport;
  /** Observes nodes again. Returns what that changes in the state, which others may have changed meanwhile. */
  readonly observe: (
    what: Observable,
    nodes: readonly NodeSpec[],
    state: State,
    run: Run,
  ) => Promise<(latest: State) => State>;
  readonly withRegistrationLock: <Result>(body: () => Promise<Result>) => Promise<Result>;
  /** Carries out what is more than statements; returns how many changes that made. */
  readonly execute: (procedure: Procedure, run: Run, log: LineLog) => Promise<number>;
}

export interface CarriedOut<State> {
  readonly state: State;
  readonly changes: number;
}

/** Carries out an order of work, step by step. The state was observed under the lock. */
export async function carryOut<State>(
  order: readonly Step<State>[],
  state: State,
  tools: Tools<State>,
): Promise<CarriedOut<State>> {
  tools.report.expect(order, state, tools.run.label);
  const walk = new Walk(state, tools);
  await walk.all(stagesOf(order));
  return walk;
}

class Walk<State> implements CarriedOut<State> {
  state: State;
  changes = 0;
  readonly #tools: Tools<State>;
  /** How many changes there had been when a step began. */
  readonly #changesBefore = new Map<Step<State>, number>();
  #run: Run;

  constructor(state: State, tools: Tools<State>) {
    this.state = state;
    this.#tools = tools;
    this.#run = tools.run;
  }

  async all(stages: readonly Stage<State>[]): Promise<void> {
    for (let index = 0; index < stages.length; ) {
      const end = stages.findIndex((stage, at) => at > index && stage.step.alongside === undefined);
      const [stage, ...next] = stages.slice(index, end === -1 ? undefined : end);
      if (stage === undefined) return;
      // One check of the lock serves a step and those that continue it.
      if (stage.first) this.#run = withOneLockCheck(this.#tools.run);
      if (next.length > 0 && next.every(({ step }) => step.alongside?.(this.state))) await this.#alongside(stage, next);
      else for (const each of [stage, ...next]) await this.#stage(each, this.#tools.log);
      index += 1 + next.length;
    }
  }

  /** The next stages while the first one is carried out; the log tells of them after it. */
  async #alongside(first: Stage<State>, next: readonly Stage<State>[]): Promise<void> {
    const { log: held, release } = holdBack(this.#tools.log);
    const rest = async () => {
      for (const stage of next) await this.#stage(stage, held);
    };
    // Both end before anything is thrown. What failed first in the order of the steps is what there is to report.
    const results = await Promise.allSettled([this.#stage(first, this.#tools.log).then(release), rest()]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #stage(stage: Stage<State>, log: StepLog): Promise<void> {
    const { heading } = stage.step;
    if (stage.first) this.#changesBefore.set(stage.step, this.changes);
    if (stage.first && heading !== undefined) log.step(heading.number, heading.title(this.state));
    const to = heading === undefined ? log : log.about({ step: heading.number });
    const [{ log: kind, lock } = {}] = stage.works;
    if (kind === 'lanes') return await this.#lanes(stage, to);
    if (lock === undefined || !this.#isDue(stage)) return await this.#works(stage, to, false);
    await this.#tools.withRegistrationLock(() => this.#works(stage, to, true));
  }

  #isDue({ works }: Stage<State>): boolean {
    return works.some((work) =>
      work
        .nodes(this.state)
        .flat()
        .some((node) => work.items(this.state, node).some(isDue)),
    );
  }

  async #works(stage: Stage<State>, to: StepLog, locked: boolean): Promise<void> {
    for (const work of stage.works) {
      const due: string[] = [];
      for (const [list, nodes] of work.nodes(this.state).entries()) {
        // What a lock protects is observed only under the lock.
        if (work.lock === undefined || locked) await this.#observe(work, nodes, list);
        const carryOut = work.log === 'once' ? this.#once : this.#lines;
        due.push(...(await carryOut.call(this, stage, work, nodes, to)));
      }
      if (due.length > 0) writeLines(to, work.after?.(this.state, due));
      else if (work.log === 'once') this.#writeNothing(stage, work, to);
    }
  }

  /** Returns the labels of the nodes that had something to do. */
  async #lines(stage: Stage<State>, work: Work<State>, nodes: readonly NodeSpec[], to: StepLog): Promise<string[]> {
    const due: string[] = [];
    for (const node of nodes) {
      const items = work.items(this.state, node);
      if (items.some(isDue)) due.push(this.#run.label(node));
      const silent = !items.some(isDue) && this.#writeNothing(stage, work, to);
      await this.#execute(work, node, silent ? items.filter(({ kind }) => kind !== 'note') : items, to, 1);
    }
    return due;
  }

  async #once(_: Stage<State>, work: Work<State>, nodes: readonly NodeSpec[], to: StepLog): Promise<string[]> {
    const all = nodes.map((node) => ({ node, items: work.items(this.state, node).filter(isDue) }));
    for (const { node, items } of all) if (items.length === 0) this.#tools.report.end(work, node, 'done');
    const due = all.filter(({ items }) => items.length > 0);
    if (due.length === 0) return [];
    const labels = due.map(({ node }) => this.#run.label(node));
    writeLines(to, work.before?.(this.state, labels));
    if (work.summaries !== false) this.#writeSummaries(work, due, to);
    await this.#inParallel(
      due.map(({ node, items }) => ({
        node,
        run: async (lane) => {
          // Their lines were written for all nodes at once.
          const quiet = items.map((item) => (item.kind === 'change' ? withoutLines(item) : item));
          return { changes: await this.#execute(work, node, quiet, lane, 2, 'later'), quiet: '' };
        },
      })),
      to,
    );
    return labels;
  }

  #writeSummaries(
    work: Work<State>,
    due: readonly { readonly node: NodeSpec; readonly items: readonly Item[] }[],
    to: StepLog,
  ): void {
    const linesOf = (items: readonly Item[]) => items.flatMap((item) => ('underWay' in item ? [item.underWay] : []));
    for (const underWay of new Set(due.flatMap(({ items }) => linesOf(items)))) {
      const where = due.filter(({ items }) => linesOf(items).includes(underWay));
      const names = where.map(({ node }) => this.#run.label(node)).join(', ');
      to.line(`${underWay}${work.summaries === 'withoutNodes' ? '' : ` on ${names}`}`, 1);
    }
  }

  async #lanes(stage: Stage<State>, to: StepLog): Promise<void> {
    const works = nodesOfStage(stage, this.state)
      .map(({ node, works }) => ({
        node,
        works,
        quiet: works.flatMap((work) => work.nothing?.(this.state, false) ?? []),
      }))
      // A node that has nothing to do takes part if there is something to say of it.
      .filter(({ node, works, quiet }) => {
        const takesPart = quiet.length > 0 || works.some((work) => work.items(this.state, node).some(isDue));
        if (!takesPart) for (const work of works) this.#tools.report.end(work, node, 'done');
        return takesPart;
      })
      .map(
        ({ node, works, quiet }): NodeWork => ({
          node,
          run: async (lane) => ({ changes: await this.#lane(works, node, lane), quiet: quiet.join('; ') }),
        }),
      );
    await this.#inParallel(works, to);
  }

  /** What other nodes get meanwhile must not decide what this one gets: it sees the state as it was at first. */
  async #lane(works: readonly Work<State>[], node: NodeSpec, lane: LineLog): Promise<number> {
    const label = this.#run.label(node);
    let state = this.state;
    let changes = 0;
    for (const work of works) {
      const what = work.observe?.(state, { changed: this.changes > 0, list: 0 });
      if (what !== undefined) {
        const update = await this.#tools.observe(what, [node], state, this.#run);
        state = update(state);
        this.state = update(this.state);
      }
      writeLines(lane, work.before?.(state, [label]));
      changes += await this.#execute(work, node, work.items(state, node), lane, 2, 'later');
      writeLines(lane, work.after?.(state, [label]));
    }
    return changes;
  }

  async #inParallel(works: readonly NodeWork[], to: StepLog): Promise<void> {
    const made = await executeInParallel(this.#run, works, to);
    this.changes += made;
  }

  /** `later`: whoever calls counts the changes, together with those of other nodes. */
  async #execute(
    work: Work<State>,
    node: NodeSpec,
    items: readonly Item[],
    log: LineLog,
    depth: number,
    count: 'now' | 'later' = 'now',
  ): Promise<number> {
    const { report } = this.#tools;
    const run = this.#run;
    try {
      const made = await executeItems(items, {
        run,
        log,
        depth,
        execute: (procedure) => this.#tools.execute(procedure, run, log),
        onDone: (summaries) => report.changed(work, node, summaries),
      });
      if (count === 'now') this.changes += made;
      report.end(work, node, 'done');
      return made;
    } catch (error) {
      report.end(work, node, 'failed');
      throw error;
    }
  }

  async #observe(work: Work<State>, nodes: readonly NodeSpec[], list: number): Promise<void> {
    const what = work.observe?.(this.state, { changed: this.changes > 0, list });
    if (what === undefined) return;
    const update = await this.#tools.observe(what, nodes, this.state, this.#run);
    this.state = update(this.state);
  }

  #writeNothing(stage: Stage<State>, work: Work<State>, to: StepLog): boolean {
    const text = work.nothing?.(this.state, this.changes > (this.#changesBefore.get(stage.step) ?? 0));
    if (text !== undefined) to.line(text, 1);
    return text !== undefined;
  }
}

function withoutLines({ starting: _, done: __, ...change }: Change): Change {
  return change;
}

function writeLines(to: LineLog, lines: readonly Line[] | undefined): void {
  for (const { text, depth } of lines ?? []) to.line(text, depth);
}
