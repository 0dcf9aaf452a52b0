import { type Change, type Item, isChange } from '../objects/change.ts';
import { classify } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import { executeChange } from './executeChange.ts';
import type { Run } from './run.ts';

/** Neighbours that may go in one message stand together; everything else stands alone. */
export function inBatches(items: readonly Item[]): readonly (readonly Item[])[] {
  const groups: Item[][] = [];
  for (const item of items) {
    const last = groups.at(-1);
    const before = last?.at(-1);
    if (last !== undefined && before !== undefined && belongTogether(before, item)) last.push(item);
    else groups.push([item]);
  }
  return groups;
}

function belongTogether(left: Item, right: Item): boolean {
  return (
    isChange(left) &&
    isChange(right) &&
    left.batch !== undefined &&
    left.batch === right.batch &&
    left.node.group === right.node.group &&
    left.scope === right.scope
  );
}

export interface BatchTools {
  readonly log: LineLog;
  readonly depth: number;
  /** Called as soon as a change is known to be done. */
  readonly onDone: (change: Change) => void;
}

/**
 * All of them in one message, and so in one transaction: one round trip. What fails leaves nothing behind, so they are
 * then tried one by one, and the one that is to blame fails under its own name. The log is the same either way.
 */
export async function executeBatch(
  run: Run,
  changes: readonly Change[],
  { log, depth, onDone }: BatchTools,
): Promise<void> {
  const [first, ...others] = changes;
  if (first === undefined) return;
  const starting = (change: Change) => (change.starting === undefined ? undefined : log.line(change.starting, depth));
  const done = (change: Change) => {
    if (change.done !== undefined) log.line(change.done, depth);
    onDone(change);
  };
  starting(first);
  try {
    await executeChange(run, together(first, changes), log);
  } catch (error) {
    if (!isOneToBlame(error) || run.signal.aborted) throw error;
    for (const change of changes) {
      if (change !== first) starting(change);
      await executeChange(run, change, log);
      done(change);
    }
    return;
  }
  done(first);
  for (const change of others) {
    starting(change);
    done(change);
  }
}

function together(first: Change, changes: readonly Change[]): Change {
  return {
    ...first,
    statements: changes.flatMap((change) => change.statements),
    // A duplicate says that one of them is there, and nothing of the others: one by one each finds out for itself.
    doneOnRetry: [],
    retryOn: changes.flatMap((change) => change.retryOn ?? []),
  };
}

/** A server that cannot be reached is no reason to wait for it as often as there are changes. */
function isOneToBlame(error: unknown): boolean {
  return error instanceof Failure && error.cause instanceof Error && classify(error.cause) !== 'transient';
}
