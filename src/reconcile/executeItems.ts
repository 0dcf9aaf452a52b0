import { type Change, type Item, isChange, type Procedure } from '../objects/change.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { executeBatch, inBatches } from './batch.ts';
import { executeChange } from './executeChange.ts';
import type { Run } from './run.ts';

export interface ItemTools {
  readonly run: Run;
  readonly log: LineLog;
  readonly depth: number;
  /** Returns how many changes it made. */
  readonly execute: (procedure: Procedure) => Promise<number>;
  /** Called with the summaries of what is done, as soon as it is. */
  readonly onDone: (summaries: () => readonly string[]) => void;
}

/** Something that `plan` lists and `apply` does, rather than something to say. */
export function isDue(item: Item): item is Change | Procedure {
  return item.kind === 'change' || item.kind === 'procedure';
}

/** Executes the items of one node in their order; returns how many changes there were. */
export async function executeItems(items: readonly Item[], tools: ItemTools): Promise<number> {
  const { run, log, depth, onDone } = tools;
  let changes = 0;
  for (const batch of inBatches(items)) {
    const [item] = batch;
    if (item === undefined) continue;
    if (isDue(item)) log.changing?.();
    if (batch.length > 1) {
      await executeBatch(run, batch.filter(isChange), { log, depth, onDone: ({ summary }) => onDone(() => [summary]) });
      changes += batch.length;
    } else if (item.kind === 'note') log.line(item.text, depth);
    else if (item.kind === 'warning') log.warn(item.text, depth);
    else if (item.kind === 'refusal') throw new Failure(item.failure);
    else if (item.kind === 'procedure') {
      changes += await tools.execute(item);
      onDone(() => item.summaries);
    } else {
      if (item.starting !== undefined) log.line(item.starting, depth);
      await executeChange(run, item, log);
      if (item.done !== undefined) log.line(item.done, depth);
      onDone(() => [item.summary]);
      changes += 1;
    }
  }
  return changes;
}
