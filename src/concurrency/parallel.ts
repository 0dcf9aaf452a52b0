import { Failure, worstKind } from '../report/errors.ts';

/**
 * Runs an action for every item, at most `limit` at a time, and waits for all of them to end, also when one fails: the
 * others' connections must not be left in the middle of something. Then throws what went wrong, all of it.
 */
export async function forAll<Item, Result>(
  items: readonly Item[],
  action: (item: Item, index: number) => Promise<Result>,
  limit = Number.POSITIVE_INFINITY,
): Promise<readonly Result[]> {
  const results = new Map<number, Result>();
  const failures = new Map<number, unknown>();
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item === undefined) continue;
      try {
        results.set(index, await action(item, index));
      } catch (error) {
        failures.set(index, error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, () => work()));
  if (failures.size > 0) throw together([...failures].toSorted(([a], [b]) => a - b).map(([, error]) => error));
  return items.map((_, index) => results.get(index) as Result);
}

/** What an action gives for each node, by the node's group; all nodes at once. */
export async function byGroup<Node extends { readonly group: number }, Result>(
  nodes: readonly Node[],
  action: (node: Node) => Promise<Result>,
): Promise<ReadonlyMap<number, Result>> {
  return new Map(await forAll(nodes, async (node) => [node.group, await action(node)] as const));
}

/** A signal, or a defect of this program, comes first. Several failures become one that lists them. */
function together(errors: readonly unknown[]): unknown {
  const failures = errors.filter((error) => error instanceof Failure);
  const [first, ...others] = failures;
  if (first === undefined || failures.length < errors.length)
    return errors.find((error) => !(error instanceof Failure));
  if (others.length === 0) return first;
  return new Failure(
    {
      kind: worstKind(failures),
      what: `${failures.length} things failed at the same time`,
      cause: `\n${failures.map((failure) => failure.message).join('\n')}`,
      next: 'Remove the causes and run again: what is done stays done',
    },
    { cause: first },
  );
}
