import { type Item, isChange } from '../objects/change.ts';
import { Lanes } from '../report/lanes.ts';
import type { LineLog, StepLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import { executeChange } from './change.ts';
import { forAll } from './parallel.ts';
import type { Run } from './run.ts';

/** Executes the items of one node in their order; returns how many changes there were. */
export async function executeItems(run: Run, items: readonly Item[], log: LineLog, depth: number): Promise<number> {
  let changes = 0;
  for (const item of items) {
    if (item.kind === 'note') log.line(item.text, depth);
    else if (item.kind === 'warning') log.warn(item.text, depth);
    else {
      if (item.starting !== undefined) log.line(item.starting, depth);
      await executeChange(run, item, log);
      if (item.done !== undefined) log.line(item.done, depth);
      changes += 1;
    }
  }
  return changes;
}

/** The work of one node within a step that all nodes do at the same time. */
export interface NodeWork {
  readonly node: NodeSpec;
  /** Returns what to say in a few words when nothing was changed. */
  readonly run: (log: LineLog) => Promise<{ readonly changes: number; readonly quiet: string }>;
}

/** Lets all nodes work at the same time, and tells of them one after the other. */
export async function executeInParallel(run: Run, works: readonly NodeWork[], log: StepLog): Promise<number> {
  const labels = works.map((work) => run.label(work.node));
  const lanes = new Lanes(labels, (label) => log.about(label === '' ? {} : { node: label }));
  try {
    const results = await forAll(works, async (work, index) => {
      const lane = lanes.lane(index);
      try {
        const { changes, quiet } = await work.run(lane);
        lane.finish(changes === 0 ? quiet : undefined);
        return changes;
      } catch (error) {
        lane.fail();
        throw error;
      }
    });
    return results.reduce((sum, changes) => sum + changes, 0);
  } finally {
    lanes.close();
  }
}

export function countChanges(items: readonly Item[]): number {
  return items.filter(isChange).length;
}
