import { forAll } from '../concurrency/parallel.ts';
import { Failure } from '../report/errors.ts';
import { Lanes } from '../report/lanes.ts';
import type { LineLog, StepLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Run } from './run.ts';

/** The work of one node within a step that all nodes do at the same time. */
export interface NodeWork {
  readonly node: NodeSpec;
  /** Returns what to say in a few words when nothing was changed. */
  readonly run: (log: LineLog) => Promise<{ readonly changes: number; readonly quiet: string }>;
}

/** Runs all nodes at the same time and reports them one after the other. */
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
        // At once and in full: the other nodes may work on for minutes before the run ends with the same words.
        if (error instanceof Failure) lane.warn(error.message, 2);
        lane.fail();
        throw error;
      }
    });
    return results.reduce((sum, changes) => sum + changes, 0);
  } finally {
    lanes.close();
  }
}
